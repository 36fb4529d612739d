import Foundation
import GRDB
import WaybillModel

/// Deliveries in and out of `hub.db`.
public enum DeliveryRecord {
    /// Writes the delivery as it is now.
    public static func save(_ delivery: Delivery, in db: Database) throws {
        try DeliveryWriter(in: db).save(delivery)
    }

    /// The store's deliveries that the hub still has to do with. Index delivery_open.
    public static func open(of store: StoreID, in db: Database) throws -> [Delivery] {
        let rows = try Row.fetchAll(
            db.cachedStatement(sql: "SELECT * FROM delivery WHERE store_id = ? AND is_open ORDER BY session"),
            arguments: [store.rawValue])
        return try rows.map { try delivery($0, in: db) }
    }

    /// One delivery by its primary key, or nil.
    public static func find(_ session: SessionID, _ store: StoreID, in db: Database) throws -> Delivery? {
        let row = try Row.fetchOne(
            db.cachedStatement(sql: "SELECT * FROM delivery WHERE session = ? AND store_id = ? AND session_id = ?"),
            arguments: [session.number, store.rawValue, session.rawValue])
        return try row.map { try delivery($0, in: db) }
    }

    /// All deliveries of a session, by store. Primary key prefix.
    public static func all(of session: SessionID, in db: Database) throws -> [Delivery] {
        let rows = try Row.fetchAll(
            db.cachedStatement(sql: "SELECT * FROM delivery WHERE session = ? ORDER BY store_id"),
            arguments: [session.number])
        return try rows.map { try delivery($0, in: db) }
    }

    private static func delivery(_ row: Row, in db: Database) throws -> Delivery {
        guard let session = SessionID(row["session_id"]), let store = StoreID(row["store_id"]),
            let job = JobID(row["job"])
        else { throw DatabaseError(message: "hub.db holds a delivery with a damaged name") }
        var package: PackageRef?
        if let hex: String = row["package"], let id = PackageID(hex: hex) {
            package = try PackageRecord.find(id, in: db)
        }
        var delivery = Delivery(
            session: session, store: store, job: job, version: Version(epoch: row["epoch"], number: row["version"]),
            package: package, isNoData: row["is_no_data"], run: row["run"], tryCount: row["try_count"])
        delivery.forgivenAttempts = row["forgiven_attempts"]
        delivery.ignoresWindow = row["ignores_window"]
        delivery.isGranted = row["is_granted"]
        delivery.cancelAskedAt = timestamp(row["cancel_asked_at"])
        delivery.cancelReason = row["cancel_reason"]
        delivery.isRevokedByHub = row["is_revoked_by_hub"]
        delivery.supersededBy = (row["superseded_by"] as String?).flatMap(SessionID.init)
        delivery.note = row["note"]
        if let text: String = row["told_outcome"], let outcome = StoreOutcome(rawValue: text) {
            delivery.told.standing = Delivery.Standing(outcome: outcome, attempt: row["told_attempt"])
        }
        delivery.told.message = row["told_message"]
        delivery.told.isTransient = row["told_transient"]
        delivery.told.lastingFailures = (row["told_failures"] as String).split(separator: " ").compactMap { Int($0) }
        delivery.told.attempts = row["attempts"]
        delivery.told.requestedAt = timestamp(row["requested_at"])
        delivery.told.downloadedAt = timestamp(row["downloaded_at"])
        delivery.told.appliedAt = timestamp(row["applied_at"])
        delivery.told.canceledAt = timestamp(row["canceled_at"])
        delivery.told.rowsChanged = row["rows_changed"]
        delivery.told.longestLockMilliseconds = row["longest_lock_ms"]
        delivery.told.exceptions = row["exceptions"]
        return delivery
    }
}

/// As much of an open delivery as planning needs, for thousands of stores at once.
public struct OpenDelivery: Sendable {
    public var session: SessionID
    public var version: Version
    public var status: DeliveryStatus
    /// The store may ask for it and have it.
    public var isOnOffer: Bool

    /// The newest of each store that has an open delivery of the job. Index delivery_open_of_job.
    public static func newest(of job: JobID, in db: Database) throws -> [StoreID: OpenDelivery] {
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT store_id, session_id, epoch, version, status, cancel_asked_at IS NOT NULL FROM delivery
                WHERE job = ? AND is_open ORDER BY session
                """, arguments: [job.rawValue])
        var newest: [StoreID: OpenDelivery] = [:]
        while let row = try rows.next() {
            guard let store = StoreID(row[0]), let session = SessionID(row[1]),
                let status = DeliveryStatus(rawValue: row[4])
            else { throw DatabaseError(message: "hub.db holds a delivery with a damaged name") }
            newest[store] = OpenDelivery(
                session: session, version: Version(epoch: row[2], number: row[3]), status: status,
                isOnOffer: status.mayBeOnOffer && !(row[5] as Bool))
        }
        return newest
    }
}

extension DeliveryStatus {
    /// On offer, unless a cancel was asked for.
    var mayBeOnOffer: Bool {
        switch self {
        case .available, .requested, .downloaded, .downloadFailed, .applyFailed: true
        case .applied, .noData, .canceled, .superseded, .suspended: false
        }
    }
}

func timestamp(_ milliseconds: Int64?) -> Timestamp? { milliseconds.map(Timestamp.init(milliseconds:)) }

/// Packages in and out of `hub.db`; the files themselves lie in the hub's folder `packages`.
public enum PackageRecord {
    public static func save(
        _ package: PackageRef, session: SessionID, manifest: [UInt8], signature: [UInt8], in db: Database
    ) throws {
        try db.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO package (id, session, kind, rows, bytes, manifest, signature)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """
        ).execute(arguments: [
            package.id.hex, session.number, package.kind.rawValue, package.rows, package.bytes, Data(manifest),
            Data(signature),
        ])
        for base in package.bases {
            try db.cachedStatement(
                sql: "INSERT OR REPLACE INTO package_base (package, epoch, version, session) VALUES (?, ?, ?, ?)"
            ).execute(arguments: [package.id.hex, base.version.epoch, base.version.number, base.session.rawValue])
        }
    }

    public static func find(_ id: PackageID, in db: Database) throws -> PackageRef? {
        guard
            let row = try Row.fetchOne(
                db.cachedStatement(sql: "SELECT * FROM package WHERE id = ?"), arguments: [id.hex])
        else {
            return nil
        }
        let bases = try Row.fetchAll(
            db.cachedStatement(sql: "SELECT * FROM package_base WHERE package = ? ORDER BY version, session"),
            arguments: [id.hex])
        return PackageRef(
            id: id, kind: PackageKind(rawValue: row["kind"]) ?? .full, bases: bases.compactMap(watermark),
            rows: row["rows"], bytes: row["bytes"])
    }

    /// What the packages of sessions are, by the session's number.
    static func kinds(of sessions: [Int64], in db: Database) throws -> [Int64: Set<PackageKind>] {
        // Index package_by_session.
        let rows = try Row.fetchCursor(
            try db.cachedStatement(
                sql: """
                    SELECT DISTINCT session, kind FROM package WHERE session IN (SELECT value FROM json_each(?))
                    """), arguments: [sessions.jsonArray])
        var kinds: [Int64: Set<PackageKind>] = [:]
        while let row = try rows.next() {
            if let kind = PackageKind(rawValue: row[1]) { kinds[row[0], default: []].insert(kind) }
        }
        return kinds
    }

    /// The signed description of a package, as it goes over the wire; nil also when its file is no longer kept.
    public static func manifest(of id: PackageID, in db: Database) throws -> (manifest: [UInt8], signature: [UInt8])? {
        guard
            let row = try Row.fetchOne(
                db.cachedStatement(
                    sql: "SELECT manifest, signature FROM package WHERE id = ? AND length(manifest) > 0"),
                arguments: [id.hex])
        else { return nil }
        return ([UInt8](row["manifest"] as Data), [UInt8](row["signature"] as Data))
    }
}

func watermark(_ row: Row) -> Watermark? {
    SessionID(row["session"]).map {
        Watermark(version: Version(epoch: row["epoch"], number: row["version"]), session: $0)
    }
}
