import Foundation
import GRDB
import WaybillDatabase
import WaybillModel

/// Histories of stages in and out of `hub.db`: one small row for each store and stage, and one for all stores together.
public enum StageHistoryRecord {
    /// Stands for all stores; no store can have this name.
    private static let everybody = ""

    static func createTable(in db: Database) throws {
        try db.execute(
            sql: """
                -- store_id '': all stores. counts: durations by class, see StageHistory.
                CREATE TABLE stage_history (
                    store_id TEXT NOT NULL,
                    stage TEXT NOT NULL,
                    counts BLOB NOT NULL,
                    PRIMARY KEY (store_id, stage)
                ) WITHOUT ROWID;
                """)
    }

    /// Learns from stages that have ended, in the transaction that writes their ends. Each row is read and written
    /// once, also that of all stores, which every sample changes.
    public static func add(_ samples: [(store: StoreID, sample: StageSample)], in db: Database) throws {
        var histories: [(name: String, stage: DeliveryStage, before: StageHistory?, now: StageHistory)] = []
        var places: [String: Int] = [:]
        for (store, sample) in samples where StageHistory.isTelling(sample) {
            for name in [store.rawValue, everybody] {
                let key = sample.stage.rawValue + " " + name
                let place = places[key] ?? histories.count
                if place == histories.count {
                    let known = try find(name, sample.stage, in: db)
                    histories.append((name, sample.stage, known, known ?? StageHistory()))
                    places[key] = place
                }
                histories[place].now.add(sample)
            }
        }
        for history in histories where history.before != history.now {
            // Primary key.
            try db.cachedStatement(
                sql: "INSERT OR REPLACE INTO stage_history (store_id, stage, counts) VALUES (?, ?, ?)"
            ).execute(
                binding: [
                    history.name.databaseValue, history.stage.rawValue.databaseValue,
                    Data(history.now.bytes).databaseValue,
                ], in: db)
        }
    }

    /// Milliseconds within which a delivery of the store should come forward.
    public static func expected(
        _ entry: StageWatch.Entry, of store: StoreID, floor: Int64, in db: Database
    ) throws -> Int64 {
        StageHistory.expected(
            entry, store: try find(store.rawValue, entry.stage, in: db), all: try find(everybody, entry.stage, in: db),
            floor: floor)
    }

    private static func find(_ name: String, _ stage: DeliveryStage, in db: Database) throws -> StageHistory? {
        // Primary key.
        try Data.fetchOne(
            try db.cachedStatement(sql: "SELECT counts FROM stage_history WHERE store_id = ? AND stage = ?"),
            arguments: [name, stage.rawValue]
        ).flatMap { StageHistory(bytes: [UInt8]($0)) }
    }
}
