import Foundation
import GRDB
import WaybillDatabase
import WaybillModel

/// Whether a store may speak to the hub.
public enum StoreState: String, Sendable {
    /// Added, its code not used yet.
    case pending
    case active
    case retired
}

/// A store as the hub keeps it.
public struct StoreRecord: Hashable, Sendable {
    public var id: StoreID
    public var state: StoreState
    /// The agent's CURVE key, 32 bytes; nil until it has enrolled.
    public var publicKey: [UInt8]?
    public var machine: String
    public var agentVersion: String
    /// The newest incarnation heard of; counter 0 before the first.
    public var incarnation: Incarnation
    /// The newest durable change heard of in that incarnation.
    public var sequence: Int64
    public var lastSeen: Timestamp?
    public var message: String
    /// Since when ``publicKey`` is the present one.
    public var keySince: Timestamp?
    /// Keys that are good beside ``publicKey``.
    public var spareKeys: [SpareKey] = []
    /// Headquarters wants a new key since then.
    public var renewalAskedAt: Timestamp?
    /// The old key is then to end at once.
    public var isRenewalAtOnce: Bool
    /// The hub's next keys that the store has on its disk.
    public var knownHubKeys: [UInt8]?

    init?(_ row: Row) {
        guard let id = StoreID(row["store_id"]), let state = StoreState(rawValue: row["state"]) else { return nil }
        self.id = id
        self.state = state
        publicKey = (row["public_key"] as Data?).map { [UInt8]($0) }
        machine = row["machine"]
        agentVersion = row["agent_version"]
        incarnation = Incarnation(counter: row["counter"], random: UInt64(bitPattern: row["random"] as Int64))
        sequence = row["sequence"]
        lastSeen = timestamp(row["last_seen"])
        message = row["message"]
        keySince = timestamp(row["key_since"])
        renewalAskedAt = timestamp(row["renewal_asked_at"])
        isRenewalAtOnce = row["renewal_at_once"] ?? false
        knownHubKeys = (row["known_hub_keys"] as Data?).map { [UInt8]($0) }
    }

    public static func find(_ id: StoreID, in db: Database) throws -> StoreRecord? {
        var record = try Row.fetchOne(
            db.cachedStatement(sql: "SELECT * FROM store WHERE store_id = ?"), arguments: [id.rawValue]
        )
        .flatMap(StoreRecord.init)
        record?.spareKeys = try StoreKeys.spare(of: id, in: db)
        return record
    }

    public static func all(in db: Database) throws -> [StoreRecord] {
        let spare = try StoreKeys.allSpare(in: db)
        return try Row.fetchAll(db.cachedStatement(sql: "SELECT * FROM store ORDER BY store_id")).compactMap(
            StoreRecord.init
        ).map {
            var record = $0
            record.spareKeys = spare[$0.id.rawValue] ?? []
            return record
        }
    }

    /// Writes what the wire thread learns of a store.
    public func saveContact(in db: Database) throws {
        try db.cachedStatement(
            sql: """
                UPDATE store SET agent_version = ?, counter = ?, random = ?, sequence = ?, last_seen = ?, message = ?
                WHERE store_id = ?
                """
        ).execute(
            binding: [
                agentVersion.databaseValue, incarnation.counter.databaseValue,
                Int64(bitPattern: incarnation.random).databaseValue, sequence.databaseValue,
                lastSeen?.milliseconds.databaseValue ?? .null, message.databaseValue, id.rawValue.databaseValue,
            ], in: db)
    }

    /// The watermarks the store last told.
    public static func positions(of store: StoreID, in db: Database) throws -> [JobID: Watermark] {
        // Primary key prefix (store_id).
        let rows = try Row.fetchCursor(
            try db.cachedStatement(sql: "SELECT job, epoch, version, session FROM position WHERE store_id = ?"),
            arguments: [store.rawValue])
        var positions: [JobID: Watermark] = [:]
        while let row = try rows.next() {
            guard let job = JobID(row[0]), let session = SessionID(row[3]) else { continue }
            positions[job] = Watermark(version: Version(epoch: row[1], number: row[2]), session: session)
        }
        return positions
    }

    /// Where stores stand that have something of the job.
    public static func positions(at job: JobID, in db: Database) throws -> [StoreID: Watermark] {
        // All of the table, which has a short row for each store and job.
        let rows = try Row.fetchCursor(
            db, sql: "SELECT store_id, epoch, version, session FROM position WHERE job = ?", arguments: [job.rawValue])
        // Thousands of stores stand at a few sessions.
        var sessions: [String: SessionID?] = [:]
        var positions: [StoreID: Watermark] = [:]
        while let row = try rows.next() {
            let name: String = row[3]
            if sessions[name] == nil { sessions.updateValue(SessionID(name), forKey: name) }
            guard let store = StoreID(row[0]), let known = sessions[name], let session = known else { continue }
            positions[store] = Watermark(version: Version(epoch: row[1], number: row[2]), session: session)
        }
        return positions
    }

    /// Stores that take part, by name.
    public static func active(in db: Database) throws -> [StoreID] {
        try String.fetchAll(db, sql: "SELECT store_id FROM store WHERE state = 'active' ORDER BY store_id")
            .compactMap(StoreID.init)
    }

    /// Replaces the watermarks of a store by what it says now. Those that stay as they are, are not written.
    public static func savePositions(_ positions: [JobID: Watermark], of store: StoreID, in db: Database) throws {
        let before = try self.positions(of: store, in: db)
        for job in before.keys where positions[job] == nil {
            try db.execute(
                sql: "DELETE FROM position WHERE store_id = ? AND job = ?", arguments: [store.rawValue, job.rawValue])
        }
        for (job, mark) in positions where before[job] != mark {
            try savePosition(mark, at: job, of: store, in: db)
        }
    }

    /// Where the store now stands in one job.
    public static func savePosition(
        _ position: Watermark, at job: JobID, of store: StoreID, in db: Database
    ) throws {
        try db.cachedStatement(
            sql: """
                INSERT INTO position (store_id, job, epoch, version, session) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (store_id, job) DO UPDATE
                    SET epoch = excluded.epoch, version = excluded.version, session = excluded.session
                """
        ).execute(
            binding: [
                store.rawValue.databaseValue, job.rawValue.databaseValue, position.version.epoch.databaseValue,
                position.version.number.databaseValue, position.session.rawValue.databaseValue,
            ], in: db)
    }
}

/// Why an enrolment was refused, in the words that both logs show.
public struct EnrolmentRefusal: Error, Hashable, CustomStringConvertible {
    public let description: String
    /// Somebody may have what only the store should have: worth a person's attention.
    public let isAlarm: Bool
    public init(_ description: String, isAlarm: Bool = false) {
        self.description = description
        self.isAlarm = isAlarm
    }
}

/// Adding, enrolling and retiring stores.
public enum Enrolment {
    /// Adds the store, or gives a known one a new code; earlier unused codes of it become void.
    /// - Parameter secretHash: SHA-256 of the code's secret; the secret itself is not kept.
    public static func add(
        _ store: StoreID, secretHash: [UInt8], at now: Timestamp, expiresAt: Timestamp, in db: Database
    ) throws {
        try db.cachedStatement(
            sql: """
                INSERT INTO store (store_id, state, added_at) VALUES (?, 'pending', ?)
                ON CONFLICT (store_id) DO UPDATE
                    SET state = CASE state WHEN 'retired' THEN 'pending' ELSE state END,
                        public_key = CASE state WHEN 'retired' THEN NULL ELSE public_key END,
                        retired_at = NULL
                """
        ).execute(arguments: [store.rawValue, now.milliseconds])
        try db.cachedStatement(sql: "DELETE FROM enrolment WHERE store_id = ? AND used_at IS NULL").execute(arguments: [
            store.rawValue
        ])
        try db.cachedStatement(
            sql: "INSERT INTO enrolment (secret_sha256, store_id, created_at, expires_at) VALUES (?, ?, ?, ?)"
        ).execute(arguments: [Data(secretHash), store.rawValue, now.milliseconds, expiresAt.milliseconds])
    }

    /// Uses a code. The same code with the same key may come again, for the answer may have been lost.
    /// - Throws: ``EnrolmentRefusal``.
    public static func use(
        store: StoreID, secretHash: [UInt8], publicKey: [UInt8], machine: String, at now: Timestamp, in db: Database
    ) throws {
        guard
            let row = try Row.fetchOne(
                db.cachedStatement(sql: "SELECT * FROM enrolment WHERE secret_sha256 = ?"),
                arguments: [Data(secretHash)])
        else { throw EnrolmentRefusal("the enrolment code is not known here; ask for a new one") }
        guard row["store_id"] == store.rawValue else {
            throw EnrolmentRefusal("the enrolment code is for another store than \(store)")
        }
        guard let record = try StoreRecord.find(store, in: db), record.state != .retired else {
            throw EnrolmentRefusal("store \(store) is retired; add it again for a new code")
        }
        if let usedKey: Data = row["public_key"] {
            guard [UInt8](usedKey) == publicKey, record.publicKey == publicKey else {
                throw EnrolmentRefusal(
                    "the enrolment code of store \(store) has been used already; ask for a new one",
                    isAlarm: [UInt8](usedKey) != publicKey)
            }
            return
        }
        guard now.milliseconds <= row["expires_at"] else {
            throw EnrolmentRefusal("the enrolment code of store \(store) has expired; ask for a new one")
        }
        try StoreKeys.refuseForeign(publicKey, for: store, in: db)
        // The old machine's keys end with it; what is now the present one may have been one of them.
        try StoreKeys.end(of: store, in: db)
        try db.cachedStatement(sql: "DELETE FROM store_key WHERE public_key = ?").execute(arguments: [Data(publicKey)])
        try db.cachedStatement(sql: "UPDATE enrolment SET used_at = ?, public_key = ? WHERE secret_sha256 = ?").execute(
            arguments: [now.milliseconds, Data(publicKey), Data(secretHash)])
        // A machine that enrols anew is a new machine: what the old one had reached says nothing about it.
        try db.cachedStatement(
            sql: """
                UPDATE store SET state = 'active', public_key = ?, machine = ?, enrolled_at = ?, counter = 0, random = 0,
                    sequence = 0, message = '', key_since = ?, renewal_asked_at = NULL, renewal_at_once = 0,
                    known_hub_keys = NULL
                WHERE store_id = ?
                """
        ).execute(arguments: [Data(publicKey), machine, now.milliseconds, now.milliseconds, store.rawValue])
        try db.cachedStatement(sql: "DELETE FROM position WHERE store_id = ?").execute(arguments: [store.rawValue])
    }

    /// The store that a key was enrolled for, whether it is still good or not.
    public static func holder(of publicKey: [UInt8], in db: Database) throws -> StoreID? {
        // A hub has thousands of codes, and this is asked for refusals only: a scan will do.
        try String.fetchOne(
            db.cachedStatement(
                sql: """
                    SELECT store_id FROM store_key WHERE public_key = :key
                    UNION ALL SELECT store_id FROM enrolment WHERE public_key = :key LIMIT 1
                    """), arguments: ["key": Data(publicKey)]
        ).flatMap(StoreID.init)
    }

    /// Ends a store's right to connect. Its open deliveries stay listed, off offer.
    public static func retire(_ store: StoreID, at now: Timestamp, in db: Database) throws {
        try StoreKeys.end(of: store, in: db)
        try db.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO store_key (public_key, store_id, state, since)
                SELECT public_key, store_id, 'ended', ? FROM store WHERE store_id = ? AND public_key IS NOT NULL
                """
        ).execute(arguments: [now.milliseconds, store.rawValue])
        try db.cachedStatement(
            sql: "UPDATE store SET state = 'retired', public_key = NULL, retired_at = ? WHERE store_id = ?"
        ).execute(arguments: [now.milliseconds, store.rawValue])
        try db.cachedStatement(sql: "DELETE FROM enrolment WHERE store_id = ? AND used_at IS NULL").execute(arguments: [
            store.rawValue
        ])
    }
}
