import Foundation
import GRDB
import WaybillModel

/// A key of a store beside its present one.
public struct SpareKey: Hashable, Sendable {
    public enum State: String, Sendable {
        /// Offered by the store, good, and not used yet.
        case next
        /// Its successor is in use; good until ``SpareKey/endsAt``.
        case former
    }

    /// CURVE, 32 bytes.
    public var publicKey: [UInt8]
    public var state: State
    /// When it became what it is.
    public var since: Timestamp
    /// nil for one that has no end yet.
    public var endsAt: Timestamp?
}

/// The keys of stores: a new one is good before the old one ends, so that whoever dies in between still gets in.
///
///     offered ──> next ──first message──> present ──the next one is used──> former ──grace──> ended
///
/// The present one stands in `store.public_key`. What has ended stays listed, for the log's sake.
public enum StoreKeys {
    static func createTables(in db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE store_key (
                    public_key BLOB PRIMARY KEY,
                    store_id TEXT NOT NULL,
                    state TEXT NOT NULL CHECK (state IN ('next', 'former', 'ended')),
                    since INTEGER NOT NULL,
                    ends_at INTEGER
                ) WITHOUT ROWID;
                CREATE INDEX store_key_by_store ON store_key (store_id);

                ALTER TABLE store ADD COLUMN key_since INTEGER;
                -- Somebody at headquarters wants the store to make a new key; its old one then ends at once, or later.
                ALTER TABLE store ADD COLUMN renewal_asked_at INTEGER;
                ALTER TABLE store ADD COLUMN renewal_at_once INTEGER NOT NULL DEFAULT 0;
                -- The hub's next keys that the store has on its disk: CURVE and Ed25519, 64 bytes.
                ALTER TABLE store ADD COLUMN known_hub_keys BLOB;
                UPDATE store SET key_since = enrolled_at WHERE public_key IS NOT NULL;
                """)
    }

    /// Keys that are good beside the present one, or will be.
    public static func spare(of store: StoreID, in db: Database) throws -> [SpareKey] {
        // store_key_by_store
        try Row.fetchAll(
            db.cachedStatement(
                sql: "SELECT * FROM store_key WHERE store_id = ? AND state <> 'ended' ORDER BY since, public_key"),
            arguments: [store.rawValue]
        ).compactMap(SpareKey.init)
    }

    static func allSpare(in db: Database) throws -> [String: [SpareKey]] {
        let rows = try Row.fetchAll(
            db.cachedStatement(sql: "SELECT * FROM store_key WHERE state <> 'ended' ORDER BY since, public_key"))
        return Dictionary(grouping: rows) { $0["store_id"] as String }.mapValues { $0.compactMap(SpareKey.init) }
    }

    /// Makes a key that an active store has offered good, beside its present one. Repeating it changes nothing.
    /// - Throws: ``EnrolmentRefusal``.
    public static func offer(_ key: [UInt8], of store: StoreID, at now: Timestamp, in db: Database) throws {
        guard let record = try StoreRecord.find(store, in: db), record.state == .active else {
            throw EnrolmentRefusal("store \(store) is not enrolled")
        }
        if record.publicKey == key || record.spareKeys.contains(where: { $0.publicKey == key && $0.state == .next }) {
            return
        }
        try refuseForeign(key, for: store, in: db)
        // One at a time: what was offered before and never used is lost, or belongs to a machine that is one too many.
        try db.cachedStatement(sql: "UPDATE store_key SET state = 'ended' WHERE store_id = ? AND state = 'next'")
            .execute(arguments: [store.rawValue])
        try db.cachedStatement(
            sql: """
                INSERT INTO store_key (public_key, store_id, state, since) VALUES (?, ?, 'next', ?)
                ON CONFLICT (public_key) DO UPDATE SET state = 'next', since = excluded.since, ends_at = NULL
                """
        ).execute(arguments: [Data(key), store.rawValue, now.milliseconds])
    }

    /// No key is ever that of two stores, not even one after the other.
    static func refuseForeign(_ key: [UInt8], for store: StoreID, in db: Database) throws {
        // store_by_key, the primary key of store_key; enrolment is small, and asked for new keys only.
        let owner = try String.fetchOne(
            db.cachedStatement(
                sql: """
                    SELECT store_id FROM store WHERE public_key = :key AND store_id <> :store
                    UNION ALL SELECT store_id FROM store_key WHERE public_key = :key AND store_id <> :store
                    """),
            arguments: ["key": Data(key), "store": store.rawValue])
        if let owner { throw EnrolmentRefusal("this key is that of store \(owner) already") }
    }

    /// A store has spoken with the key that it had offered: from now on that is its present one.
    /// - Parameter grace: milliseconds for which the old one stays good, unless it was to end at once.
    /// - Returns: false when it was not waiting for its first use.
    public static func use(
        _ key: [UInt8], of store: StoreID, at now: Timestamp, grace: Int64, in db: Database
    ) throws -> Bool {
        guard let record = try StoreRecord.find(store, in: db), record.state == .active,
            record.spareKeys.contains(where: { $0.publicKey == key && $0.state == .next })
        else { return false }
        let isAtOnce = record.isRenewalAtOnce || grace <= 0
        try db.cachedStatement(sql: "DELETE FROM store_key WHERE public_key = ?").execute(arguments: [Data(key)])
        if isAtOnce { try end(of: store, in: db) }
        if let old = record.publicKey {
            try db.cachedStatement(
                sql:
                    "INSERT OR REPLACE INTO store_key (public_key, store_id, state, since, ends_at) VALUES (?, ?, ?, ?, ?)"
            ).execute(arguments: [
                Data(old), store.rawValue, isAtOnce ? "ended" : SpareKey.State.former.rawValue, now.milliseconds,
                (now + max(0, grace)).milliseconds,
            ])
        }
        try db.cachedStatement(
            sql: """
                UPDATE store SET public_key = ?, key_since = ?, renewal_asked_at = NULL, renewal_at_once = 0
                WHERE store_id = ?
                """
        ).execute(arguments: [Data(key), now.milliseconds, store.rawValue])
        return true
    }

    /// Ends what has outlived its grace.
    /// - Returns: the stores concerned.
    public static func endOld(at now: Timestamp, in db: Database) throws -> [StoreID] {
        // A store has one or two former keys in its last day: the table is small.
        let stores = try String.fetchAll(
            db.cachedStatement(sql: "SELECT DISTINCT store_id FROM store_key WHERE state = 'former' AND ends_at <= ?"),
            arguments: [now.milliseconds])
        try db.cachedStatement(sql: "UPDATE store_key SET state = 'ended' WHERE state = 'former' AND ends_at <= ?")
            .execute(arguments: [now.milliseconds])
        return stores.compactMap(StoreID.init)
    }

    /// Ends all that a store has beside its present key.
    static func end(of store: StoreID, in db: Database) throws {
        try db.cachedStatement(sql: "UPDATE store_key SET state = 'ended' WHERE store_id = ? AND state <> 'ended'")
            .execute(arguments: [store.rawValue])
    }

    /// Wants a store to make a new key, with its next Welcome.
    /// - Returns: false when it is not enrolled.
    public static func askRenewal(of store: StoreID, atOnce: Bool, at now: Timestamp, in db: Database) throws -> Bool {
        try db.cachedStatement(
            sql: """
                UPDATE store SET renewal_asked_at = ?, renewal_at_once = max(renewal_at_once, ?)
                WHERE store_id = ? AND state = 'active'
                """
        ).execute(arguments: [now.milliseconds, atOnce, store.rawValue])
        return db.changesCount > 0
    }

    /// Notes that a store has the hub's next keys on its disk.
    public static func noteKnown(_ hubKeys: [UInt8], by store: StoreID, in db: Database) throws {
        try db.cachedStatement(sql: "UPDATE store SET known_hub_keys = ? WHERE store_id = ?").execute(arguments: [
            Data(hubKeys), store.rawValue,
        ])
    }
}

extension SpareKey {
    fileprivate init?(_ row: Row) {
        guard let state = State(rawValue: row["state"]) else { return nil }
        publicKey = [UInt8](row["public_key"] as Data)
        self.state = state
        since = Timestamp(milliseconds: row["since"])
        endsAt = timestamp(row["ends_at"])
    }
}

/// When the hub's own keys were announced and replaced. The keys themselves are files.
public enum HubKeyDates {
    public enum Event: String, Sendable {
        case announced = "hub-keys-announced"
        case switched = "hub-keys-switched"
    }

    public static func note(_ event: Event, at now: Timestamp, in db: Database) throws {
        try db.cachedStatement(sql: "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)").execute(arguments: [
            event.rawValue, "\(now.milliseconds)",
        ])
    }

    public static func find(_ event: Event, in db: Database) throws -> Timestamp? {
        let text = try String.fetchOne(
            db.cachedStatement(sql: "SELECT value FROM meta WHERE name = ?"), arguments: [event.rawValue])
        return timestamp(text.flatMap(Int64.init))
    }
}

extension Enrolment {
    /// When the unused code of each store ends.
    public static func unusedCodes(in db: Database) throws -> [StoreID: Timestamp] {
        let rows = try Row.fetchAll(
            db.cachedStatement(
                sql: "SELECT store_id, max(expires_at) AS ends FROM enrolment WHERE used_at IS NULL GROUP BY store_id"))
        var codes: [StoreID: Timestamp] = [:]
        for row in rows {
            if let store = StoreID(row["store_id"]) { codes[store] = Timestamp(milliseconds: row["ends"]) }
        }
        return codes
    }

    /// Voids codes that carry keys which the hub no longer has.
    /// - Returns: whose.
    public static func voidUnusedCodes(in db: Database) throws -> [StoreID] {
        let stores = try unusedCodes(in: db).keys.sorted()
        try db.cachedStatement(sql: "DELETE FROM enrolment WHERE used_at IS NULL").execute()
        return stores
    }

    /// Leaves a sentence with the store that somebody must read.
    public static func note(_ message: String, of store: StoreID, in db: Database) throws {
        try db.cachedStatement(sql: "UPDATE store SET message = ? WHERE store_id = ?").execute(arguments: [
            message, store.rawValue,
        ])
    }
}
