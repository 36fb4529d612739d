import Foundation
import GRDB
import WaybillModel

/// Stores in numbers, for a look at the whole chain: none of them becomes a value of ours.
public struct StoreCounts: Sendable, Equatable {
    public var pending = 0
    public var active = 0
    public var retired = 0
    /// Active stores with an open delivery.
    public var behind = 0
    /// Active stores that headquarters wants a new key of.
    public var renewalsAsked = 0
    /// Active stores whose former key is still good.
    public var oldKeysValid = 0

    private static let active = "store_id IN (SELECT store_id FROM store WHERE state = 'active')"

    public static func all(in db: Database) throws -> StoreCounts {
        var counts = StoreCounts()
        // All of the table, once.
        let rows = try Row.fetchAll(
            db, sql: "SELECT state, count(*) AS stores, count(renewal_asked_at) AS asked FROM store GROUP BY state")
        for row in rows {
            switch StoreState(rawValue: row["state"]) {
            case .pending: counts.pending = row["stores"]
            case .active:
                counts.active = row["stores"]
                counts.renewalsAsked = row["asked"]
            case .retired: counts.retired = row["stores"]
            case nil: break
            }
        }
        counts.behind =
            try Int.fetchOne(
                // Index delivery_open alone.
                db, sql: "SELECT count(DISTINCT store_id) FROM delivery WHERE is_open AND \(active)") ?? 0
        counts.oldKeysValid =
            try Int.fetchOne(
                db, sql: "SELECT count(DISTINCT store_id) FROM store_key WHERE state = 'former' AND \(active)") ?? 0
        return counts
    }

    /// Active stores that do not have these keys of the hub on their disk.
    public static func unaware(of keys: [UInt8], in db: Database) throws -> Int {
        try Int.fetchOne(
            db, sql: "SELECT count(*) FROM store WHERE state = 'active' AND known_hub_keys IS NOT ?",
            arguments: [Data(keys)]) ?? 0
    }
}
