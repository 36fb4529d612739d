import GRDB
import WaybillModel

/// Writes deliveries, many in one transaction: what SQLite makes of the statement is made once for a connection, not
/// once for each delivery.
public struct DeliveryWriter {
    private let statement: Statement

    public init(in db: Database) throws {
        statement = try db.cachedStatement(sql: DeliveryWriter.sql)
    }

    /// Names of columns, in the order of ``values(_:)``. The first two are the key.
    private static let columns = [
        "session", "store_id", "session_id", "job", "epoch", "version", "package", "status", "is_open", "is_no_data",
        "run", "is_granted", "cancel_asked_at", "cancel_reason", "is_revoked_by_hub", "superseded_by", "note",
        "told_outcome", "told_attempt", "told_message", "told_transient", "told_failures", "attempts", "requested_at",
        "downloaded_at", "applied_at", "canceled_at", "rows_changed", "longest_lock_ms", "message", "try_count",
        "forgiven_attempts", "ignores_window", "exceptions",
    ]

    /// An update where there is one: replacing the row would touch its key and all of its indexes.
    private static let sql = """
        INSERT INTO delivery (\(columns.joined(separator: ", ")))
        VALUES (\(columns.map { _ in "?" }.joined(separator: ", ")))
        ON CONFLICT (session, store_id) DO UPDATE SET
            \(columns.dropFirst(2).map { "\($0) = excluded.\($0)" }.joined(separator: ", "))
        """

    /// Writes the delivery as it is now.
    public func save(_ delivery: Delivery) throws {
        try statement.execute(arguments: StatementArguments(DeliveryWriter.values(delivery)))
    }

    private static func values(_ delivery: Delivery) -> [(any DatabaseValueConvertible)?] {
        let told = delivery.told
        let status = delivery.status
        return [
            delivery.session.number, delivery.store.rawValue, delivery.session.rawValue, delivery.job.rawValue,
            delivery.version.epoch, delivery.version.number, delivery.package?.id.hex, status.rawValue,
            delivery.isOpen, delivery.isNoData, delivery.run, delivery.isGranted,
            delivery.cancelAskedAt?.milliseconds, delivery.cancelReason, delivery.isRevokedByHub,
            delivery.supersededBy?.rawValue, delivery.note, told.standing?.outcome.rawValue,
            told.standing?.attempt ?? 0, told.message, told.isTransient,
            told.lastingFailures.map(String.init).joined(separator: " "), told.attempts,
            told.requestedAt?.milliseconds, told.downloadedAt?.milliseconds, told.appliedAt?.milliseconds,
            told.canceledAt?.milliseconds, told.rowsChanged, told.longestLockMilliseconds, delivery.message,
            delivery.tryCount, delivery.forgivenAttempts, delivery.ignoresWindow, told.exceptions,
        ]
    }
}
