import Foundation
import GRDB
import WaybillCapture
import WaybillDatabase
import WaybillModel

@testable import WaybillImport

/// An HQ database and CSV files in a folder of their own, removed at the end.
final class Headquarters {
    let folder: String
    var database: String { folder + "/hq.db" }
    let queue: DatabaseQueue
    let staging: StagingDatabase
    /// A clock that stands still: one that a test needs to move, it makes itself.
    static let noon = Timestamp(milliseconds: 1_795_258_380_000)

    init() throws {
        folder = NSTemporaryDirectory() + "/waybill-import-" + UUID().uuidString
        try DurableFile.createFolder(folder)
        queue = try OpenDatabase.queue(at: folder + "/hq.db", label: "test")
        try queue.write { try HQSchema.install(in: $0) }
        staging = try StagingDatabase(path: folder + "/staging.db") { Headquarters.noon }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func write(_ table: String, _ content: String) throws -> ImportFile {
        try write(table, Array(content.utf8))
    }

    func write(_ table: String, _ content: [UInt8]) throws -> ImportFile {
        let path = "\(folder)/\(table).csv"
        try DurableFile.write(content, to: path)
        return ImportFile(table: table, displayName: "\(table).csv", path: path)
    }

    @discardableResult
    func run(
        _ files: [ImportFile], replace: Bool = false, skipBadRows: Bool = false, watch: String? = nil
    ) throws -> ImportReport {
        try HQImport.run(
            files: files, into: database, staging: staging,
            options: ImportOptions(replace: replace, skipBadRows: skipBadRows, watch: watch))
    }

    /// The texts of all faults of an import that must be refused, and must change nothing.
    func faults(_ files: [ImportFile], replace: Bool = false) throws -> [String] {
        let before = try head
        do {
            try run(files, replace: replace)
            return ["(imported)"]
        } catch let rejected as ImportRejected {
            return try head == before ? rejected.faults.map(\.description) : ["(rejected, yet HQ changed)"]
        }
    }

    var head: Int64 { get throws { try queue.read { try ChangeLog.head(in: $0) } } }

    /// Rows as `a|b|…`, in the order of their text.
    func rows(_ table: String) throws -> [String] {
        try queue.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM \(quoted(table))").map { row in
                row.databaseValues.map { $0.isNull ? "NULL" : "\($0.storage.value ?? "")" }.joined(separator: "|")
            }.sorted()
        }
    }

    /// A small chain: categories ALL and Food, two stores' nodes, one entity, one product.
    func fill() throws {
        try run([
            write("org_node", "node_id,parent_node_id,kind,name\nROOT,,root,All\nN1,ROOT,channel,One\n"),
            write("legal_entity", "legal_entity_id,currency\nLE,EUR\n"),
            write(
                "store",
                "store_id,node_id,channel,name,country,state,legal_entity_id,currency\nS1,N1,store,One,DE,,LE,EUR\n"),
            write("category", "category_id,parent_category_id,name\nALL,,All\nFood,ALL,Food\n"),
            write("product", "product_id,category_id,name,sales_unit\np1,Food,Bread,ea\np2,Food,Milk,ea\n"),
            write(
                "assortment", "assortment_id,name,status,effective_from,effective_to\nA,Base,published,2025-01-01,\n"),
            write("price_group", "price_group_id,name,priority\nG,Group,0\n"),
        ])
    }
}

let agreementHeader =
    "line_id,account_code,account_relation,product_id,unit,currency,qty_from,qty_to,from_date,to_date,amount,"
    + "price_unit,find_next\n"
