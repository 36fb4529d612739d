import Foundation
import GRDB
import WaybillModel

/// Deliveries in and out of `hub.db`.
public enum DeliveryRecord {
    /// Writes the delivery as it is now.
    public static func save(_ delivery: Delivery, in db: Database) throws {
        let told = delivery.told
        try db.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO delivery (
                    session, store_id, session_id, job, epoch, version, package, status, is_open, is_no_data, run,
                    is_granted, cancel_asked_at, cancel_reason, is_revoked_by_hub, superseded_by, note, told_outcome,
                    told_attempt, told_message, told_transient, told_failures, attempts, requested_at, downloaded_at,
                    applied_at, canceled_at, rows_changed, longest_lock_ms, message, try_count, forgiven_attempts,
                    ignores_window, exceptions
                ) VALUES (
                    :session, :store, :session_id, :job, :epoch, :version, :package, :status, :is_open, :is_no_data,
                    :run, :is_granted, :cancel_asked_at, :cancel_reason, :is_revoked, :superseded_by, :note,
                    :told_outcome, :told_attempt, :told_message, :told_transient, :told_failures, :attempts,
                    :requested_at, :downloaded_at, :applied_at, :canceled_at, :rows_changed, :longest_lock_ms, :message,
                    :try_count, :forgiven_attempts, :ignores_window, :exceptions
                )
                """
        ).execute(arguments: [
            "session": delivery.session.number, "store": delivery.store.rawValue,
            "session_id": delivery.session.rawValue, "job": delivery.job.rawValue,
            "epoch": delivery.version.epoch, "version": delivery.version.number,
            "package": delivery.package?.id.hex, "status": delivery.status.rawValue, "is_open": delivery.isOpen,
            "is_no_data": delivery.isNoData, "run": delivery.run, "is_granted": delivery.isGranted,
            "cancel_asked_at": delivery.cancelAskedAt?.milliseconds, "cancel_reason": delivery.cancelReason,
            "is_revoked": delivery.isRevokedByHub, "superseded_by": delivery.supersededBy?.rawValue,
            "note": delivery.note, "told_outcome": told.standing?.outcome.rawValue,
            "told_attempt": told.standing?.attempt ?? 0, "told_message": told.message,
            "told_transient": told.isTransient,
            "told_failures": told.lastingFailures.map(String.init).joined(separator: " "),
            "attempts": told.attempts, "requested_at": told.requestedAt?.milliseconds,
            "downloaded_at": told.downloadedAt?.milliseconds,
            "applied_at": told.appliedAt?.milliseconds, "canceled_at": told.canceledAt?.milliseconds,
            "rows_changed": told.rowsChanged, "longest_lock_ms": told.longestLockMilliseconds,
            "message": delivery.message, "try_count": delivery.tryCount,
            "forgiven_attempts": delivery.forgivenAttempts, "ignores_window": delivery.ignoresWindow,
            "exceptions": told.exceptions,
        ])
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
