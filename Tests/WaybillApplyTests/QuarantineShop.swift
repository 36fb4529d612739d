import GRDB
import WaybillModel

@testable import WaybillApply

/// What tests of the quarantine look at.
extension Shop {
    /// `table key kind attempts`, refused ones first.
    var quarantined: [String] {
        get throws {
            try ledger.quarantine().entries.map { "\($0.table) \($0.key) \($0.kind.rawValue) \($0.attempts)" }
        }
    }

    var entries: [QuarantineEntry] { get throws { try ledger.quarantine().entries } }

    var newestReport: StoreReport? { get throws { try ledger.outbox(limit: 1_000).last } }

    @discardableResult
    func order(
        _ action: QuarantineOrder.Action, _ id: String = "1-x", table: String? = nil, key: String? = nil
    ) throws -> QuarantineReport {
        try ledger.carryOut(
            QuarantineOrder(id: id, action: action, table: table, key: key), at: Timestamp(milliseconds: clock))
    }
}

extension Parcel {
    static let category = TableShape(
        name: "category",
        columns: [
            ColumnShape("category_id", .text), ColumnShape("parent_id", .text, nullable: true),
            ColumnShape("name", .text, nullable: true),
        ], key: ["category_id"])
    static let product = TableShape(
        name: "product",
        columns: [
            ColumnShape("product_id", .text), ColumnShape("category_id", .text, nullable: true),
            ColumnShape("name", .text, nullable: true),
        ], key: ["product_id"])
    static let assorted = TableShape(
        name: "assorted", columns: [ColumnShape("product_id", .text), ColumnShape("valid_from", .text)],
        key: ["product_id", "valid_from"])
}

extension Parcel.Table {
    static func category(_ rows: [TestRow] = [], removed: [TestRow] = []) -> Parcel.Table {
        Parcel.Table(
            shape: Parcel.category, rows: rows, removed: removed, references: ["parent_id": "category"])
    }
    static func product(_ rows: [TestRow] = [], removed: [TestRow] = []) -> Parcel.Table {
        Parcel.Table(
            shape: Parcel.product, rows: rows, removed: removed, references: ["category_id": "category"])
    }
    static func assorted(_ rows: [TestRow] = [], removed: [TestRow] = []) -> Parcel.Table {
        Parcel.Table(
            shape: Parcel.assorted, rows: rows, removed: removed, references: ["product_id": "product"])
    }
}
