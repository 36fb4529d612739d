import Foundation
import Testing

extension SystemTests {
    @Suite struct BadImportTests {
        @Test func everyBadRowIsNamedAndNothingIsImported() async throws {
            try await Chain.with([], publish: false) { chain in
                let folder = chain.hub.world.folder + "/bad"
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                func write(_ name: String, _ lines: [String], tail: [UInt8] = []) throws {
                    let text = Data((lines.joined(separator: "\r\n") + "\r\n").utf8) + tail
                    try text.write(to: URL(filePath: folder + "/" + name))
                }
                try write(
                    "product.csv",
                    [
                        "product_id,category_id,name,sales_unit", "NEW1,02.01,fine,ea", "NEW2,no-such-category,bad,ea",
                        "NEW1,02.01,twice,ea",
                    ], tail: Array("NEW3,02.01,".utf8) + [0xc3, 0x28] + Array(",ea\r\n".utf8))
                try write(
                    "trade_agreement.csv",
                    [
                        "line_id,account_code,account_relation,product_id,unit,currency,qty_from,qty_to,from_date,to_date,amount,price_unit,find_next",
                        "N1,all,,AAAAAAAAABAAAAAA,ea,USD,-1,,,,1.00,,0",
                        "N2,all,,AAAAAAAAABAAAAAA,ea,USD,,,2001-02-30,,1.00,,0",
                    ])
                try write("store_price_group.csv", ["store_id,price_group_id", "NOBODY,PG-D-WEB"])
                try write("delivery_mode.csv", ["mode_id,title", "M,wrong column"])
                let version = try chain.hub.hqRows("SELECT max(version) FROM _waybill_change")
                let answer = try await chain.hub.waybill("import", folder)
                #expect(answer.ending == .status(1))
                let lines = answer.err.split(separator: "\n")
                for expected in [
                    ["product.csv", "3", "category_id", "no-such-category"], ["product.csv", "4", "NEW1"],
                    ["product.csv", "5", "name", "UTF-8"], ["trade_agreement.csv", "2", "qty_from", "-1"],
                    ["trade_agreement.csv", "3", "from_date", "2001-02-30"],
                    ["store_price_group.csv", "2", "store_id", "NOBODY"], ["delivery_mode.csv", "title"],
                ] {
                    #expect(
                        lines.contains { line in expected.allSatisfy { line.contains($0) } },
                        "\(expected): \(answer.err)")
                }
                #expect(!answer.err.contains("fine"))
                #expect(try chain.hub.hqRows("SELECT max(version) FROM _waybill_change") == version)
                #expect(try chain.hub.hqRows("SELECT 1 FROM product WHERE product_id LIKE 'NEW%'").isEmpty)
            }
        }
    }
}
