import Foundation
import GRDB
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillPlan

/// A random generator with a seed, so that a failing run can be repeated.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}

/// A small chain whose retail tables are edited at random, with plain SQL.
final class RandomChain {
    let folder: String
    let hq: DatabaseQueue
    let rows: Rows
    private let products: Int

    init(_ random: inout SeededRandom, products: Int = 24) throws {
        self.products = products
        folder = FileManager.default.temporaryDirectory.path + "/waybill-random-" + UUID().uuidString
        try DurableFile.createFolder(folder)
        hq = try OpenDatabase.queue(at: folder + "/hq.db", label: "hq")
        try hq.write { db in try HQSchema.install(in: db) }
        rows = try RandomChain.openRows(folder)
        try sql(
            """
            INSERT INTO legal_entity VALUES ('le1', 'EUR'), ('le2', 'SEK');
            INSERT INTO org_node VALUES ('n0', NULL, NULL, NULL), ('n1', 'n0', NULL, NULL), ('n2', 'n0', NULL, NULL);
            INSERT INTO address VALUES ('DE', ''), ('US', 'CA'), ('US', 'NY');
            """)
        for number in 0..<6 {
            try sql(
                "INSERT INTO store VALUES ('s\(number)', 'n\(number % 3)', 'store', NULL, 'DE', NULL, 'le\(number % 2 + 1)', 'EUR')"
            )
            try sql(
                "INSERT INTO price_group VALUES ('g\(number)', NULL, \(number)); INSERT INTO store_price_group VALUES ('s\(number)', 'g\(number % 3)')"
            )
            try sql("INSERT INTO delivery_mode VALUES ('m\(number)', NULL)")
            try sql(
                "INSERT INTO category VALUES ('c\(number)', \(number == 0 ? "NULL" : "'c\((number - 1) / 2)'"), 'C')")
            try sql(
                "INSERT INTO assortment VALUES ('a\(number)', NULL, '\(number == 5 ? "draft" : "published")', '2026-0\(number + 1)-01', NULL)"
            )
        }
        try hq.write { db in
            for number in 0..<products {
                try db.execute(
                    sql: "INSERT INTO product VALUES ('p\(number)', 'c\(number % 6)', 'P\(number)', 'ea')")
                try db.execute(
                    sql: "INSERT INTO product_release VALUES ('p\(number)', 'le\(number % 2 + 1)', \(number), 0)")
            }
        }
        try sql(
            "INSERT INTO assortment_node VALUES ('a1', 'n0'); INSERT INTO assortment_line VALUES ('a1', 0, 'include', 'c0', NULL)"
        )
        for _ in 0..<30 { _ = try edit(&random) }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private static func openRows(_ folder: String) throws -> Rows {
        var token: UInt64 = 0
        return try Rows(path: folder + "/rows.db", hqPath: folder + "/hq.db", newest: nil) {
            token += 1
            return token
        }
    }

    func sql(_ text: String) throws { try hq.write { try $0.execute(sql: text) } }

    // MARK: edits

    /// One random edit; the text of what was done.
    func edit(_ random: inout SeededRandom) throws -> String {
        func pick(_ letter: String, _ count: Int) -> String {
            "'\(letter)\(Int.random(in: 0..<count, using: &random))'"
        }
        let product = pick("p", products)
        let category = pick("c", 8)
        let line = Int.random(in: 0..<6, using: &random)
        let kind = Bool.random(using: &random) ? "include" : "exclude"
        let target = Bool.random(using: &random) ? "\(category), NULL" : "NULL, \(product)"
        let day = "'2026-0\(Int.random(in: 1...9, using: &random))-15'"
        let text =
            switch Int.random(in: 0..<25, using: &random) {
            case 0, 1, 2:
                "INSERT OR REPLACE INTO assortment_line VALUES (\(pick("a", 6)), \(line), '\(kind)', \(target))"
            case 3: "DELETE FROM assortment_line WHERE assortment_id = \(pick("a", 6)) AND line_no = \(line)"
            case 4:
                "UPDATE assortment SET status = iif(status = 'draft', 'published', 'draft') WHERE assortment_id = \(pick("a", 6))"
            case 5: "UPDATE assortment SET effective_to = \(day) WHERE assortment_id = \(pick("a", 6))"
            case 6: "UPDATE product SET category_id = \(category) WHERE product_id = \(product)"
            case 7: "INSERT OR REPLACE INTO product VALUES (\(product), \(category), 'again', 'ea')"
            case 8: "DELETE FROM product WHERE product_id = \(product)"
            case 9: "UPDATE category SET parent_category_id = \(category) WHERE category_id = \(pick("c", 8))"
            case 10: "INSERT OR REPLACE INTO category VALUES (\(pick("c", 8)), \(category), 'K')"
            case 11: "DELETE FROM category WHERE category_id = \(category)"
            case 12: "UPDATE category SET name = 'N\(line)' WHERE category_id = \(category)"
            case 13:
                "INSERT OR REPLACE INTO product_release VALUES (\(product), \(pick("le", 3)), \(line), \(line % 2))"
            case 14: "DELETE FROM product_release WHERE product_id = \(product)"
            case 15: "INSERT OR IGNORE INTO assortment_node VALUES (\(pick("a", 6)), \(pick("n", 3)))"
            case 16: "DELETE FROM assortment_node WHERE assortment_id = \(pick("a", 6))"
            case 17: "UPDATE store SET node_id = \(pick("n", 3)) WHERE store_id = \(pick("s", 6))"
            case 18:
                "INSERT OR REPLACE INTO delivery_mode_product VALUES (\(pick("m", 6)), \(line), '\(kind)', \(target))"
            case 19: "INSERT OR IGNORE INTO delivery_mode_node VALUES (\(pick("m", 6)), \(pick("n", 3)))"
            case 20: "DELETE FROM delivery_mode_product WHERE mode_id = \(pick("m", 6)) AND line_no = \(line)"
            case 21:
                "INSERT OR REPLACE INTO trade_agreement VALUES ('l\(line)', 'group', \(pick("g", 6)), \(product), 'ea', 'EUR', NULL, NULL, NULL, NULL, \(line), 1, 0)"
            case 22:
                "INSERT OR REPLACE INTO price_adjustment VALUES ('x\(line)', '\(line == 1 ? "disabled" : "enabled")', \(pick("g", 6)), \(target), NULL, NULL, NULL, 'percent', \(line))"
            case 23: "DELETE FROM \(Bool.random(using: &random) ? "price_adjustment" : "trade_agreement")"
            default: "UPDATE price_group SET priority = \(line) WHERE price_group_id = \(pick("g", 6))"
            }
        try sql(text)
        return text
    }

    // MARK: what stands

    /// The rows and members of a job as they stand, as text.
    func content(of job: Job) throws -> [String] {
        try RandomChain.content(of: job, folder)
    }

    /// The same by rows that know nothing yet, from a copy of HQ's database.
    func freshContent(of job: Job) throws -> [String] {
        let copy = folder + "/copy-" + UUID().uuidString
        try DurableFile.createFolder(copy)
        defer { try? FileManager.default.removeItem(atPath: copy) }
        try hq.writeWithoutTransaction { db in try db.execute(sql: "VACUUM INTO ?", arguments: [copy + "/hq.db"]) }
        let fresh = try RandomChain.openRows(copy)
        _ = try fresh.derive(job)
        try fresh.close()
        return try RandomChain.content(of: job, copy)
    }

    private static func content(of job: Job, _ folder: String) throws -> [String] {
        let queue = try DatabaseQueue(path: folder + "/rows.db")
        defer { try? queue.close() }
        return try queue.read { db in
            var lines: [String] = []
            for table in job.subjobs.map(\.table) {
                let columns = (["_scope"] + table.columns.map(\.name)).map { "quote(\(quoted($0)))" }
                lines += try String.fetchAll(
                    db,
                    sql: """
                        SELECT '\(table.name): ' || \(columns.joined(separator: " || ' ' || "))
                        FROM \(quoted("rows_" + table.name)) ORDER BY 1
                        """)
            }
            lines += try String.fetchAll(
                db,
                sql: """
                    SELECT 'member: ' || table_name || ' ' || store_id || ' ' || scope FROM member
                    WHERE job = ? AND _died = \(Int64.max) ORDER BY 1
                    """,
                arguments: [job.id.rawValue])
            return lines
        }
    }
}
