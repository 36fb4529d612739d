import GRDB
import WaybillModel

/// What the deliveries of a session add up to. Kept beside them by triggers: a list of sessions with thousands of
/// deliveries each is read without touching one of them.
public struct SessionTally: Hashable, Sendable {
    /// How many deliveries show which status.
    public var deliveries: [DeliveryStatus: Int] = [:]
    /// Of the packages, however many deliveries share one; without those of deliveries that have no data.
    public var rows: Int64 = 0
    public var bytes: Int64 = 0
    /// Of the bytes, those that have arrived.
    public var bytesDone: Int64 = 0
    /// Rows that stores have put into quarantine.
    public var exceptions = 0

    public init() {}

    static func createTable(in db: Database) throws {
        let package = { (name: String, row: String) in
            "ifnull((SELECT \(name) FROM package WHERE id = \(row).package), 0)"
        }
        let leave = """
            UPDATE session_tally SET deliveries = deliveries - 1, rows = rows - \(package("rows", "OLD")),
                bytes = bytes - \(package("bytes", "OLD")), exceptions = exceptions - OLD.exceptions
            WHERE session = OLD.session AND status = OLD.status
            """
        let enter = """
            INSERT INTO session_tally (session, status, deliveries, rows, bytes, exceptions)
            VALUES (NEW.session, NEW.status, 1, \(package("rows", "NEW")), \(package("bytes", "NEW")), NEW.exceptions)
            ON CONFLICT (session, status) DO UPDATE SET deliveries = deliveries + 1, rows = rows + excluded.rows,
                bytes = bytes + excluded.bytes, exceptions = exceptions + excluded.exceptions
            """
        try db.execute(
            sql: """
                -- By session and status of its deliveries; rows and bytes of their packages, each counted for each delivery.
                CREATE TABLE session_tally (
                    session INTEGER NOT NULL,
                    status TEXT NOT NULL,
                    deliveries INTEGER NOT NULL,
                    rows INTEGER NOT NULL,
                    bytes INTEGER NOT NULL,
                    exceptions INTEGER NOT NULL,
                    PRIMARY KEY (session, status)
                ) WITHOUT ROWID;
                INSERT INTO session_tally
                SELECT delivery.session, delivery.status, count(*), ifnull(sum(package.rows), 0),
                    ifnull(sum(package.bytes), 0), sum(delivery.exceptions)
                FROM delivery LEFT JOIN package ON package.id = delivery.package
                GROUP BY delivery.session, delivery.status;
                CREATE TRIGGER session_tally_insert AFTER INSERT ON delivery BEGIN \(enter); END;
                CREATE TRIGGER session_tally_delete AFTER DELETE ON delivery BEGIN \(leave); END;
                CREATE TRIGGER session_tally_update AFTER UPDATE OF status, package, exceptions ON delivery
                    WHEN OLD.status <> NEW.status OR OLD.package IS NOT NEW.package OR OLD.exceptions <> NEW.exceptions
                    BEGIN \(leave); \(enter); END;
                -- They were there for counting.
                DROP INDEX delivery_status;
                DROP INDEX delivery_exceptions;
                """)
    }

    /// Statuses of deliveries whose bytes have arrived.
    private static let arrived: Set<DeliveryStatus> = [.downloaded, .applied, .applyFailed]

    /// Of these sessions, by number; one without any delivery is missing.
    public static func find(_ sessions: [Int64], in db: Database) throws -> [Int64: SessionTally] {
        // Primary key prefix (session).
        let rows = try Row.fetchCursor(
            try db.cachedStatement(
                sql: """
                    SELECT session, status, deliveries, rows, bytes, exceptions FROM session_tally
                    WHERE session IN (SELECT value FROM json_each(?)) AND deliveries > 0
                    """), arguments: [sessions.jsonArray])
        var tallies: [Int64: SessionTally] = [:]
        while let row = try rows.next() {
            guard let status = DeliveryStatus(rawValue: row[1]) else { continue }
            tallies[row[0], default: SessionTally()].add(
                status, deliveries: row[2], rows: row[3], bytes: row[4], exceptions: row[5])
        }
        return tallies
    }

    private mutating func add(_ status: DeliveryStatus, deliveries: Int, rows: Int64, bytes: Int64, exceptions: Int) {
        self.deliveries[status] = deliveries
        self.exceptions += exceptions
        guard status != .noData else { return }
        self.rows += rows
        self.bytes += bytes
        if SessionTally.arrived.contains(status) { bytesDone += bytes }
    }

    /// What is left when the session's last delivery has gone.
    static func forget(_ session: Int64, in db: Database) throws {
        try db.execute(sql: "DELETE FROM session_tally WHERE session = ?", arguments: [session])
    }
}

extension [Int64] {
    /// As `json_each` reads it: how a list is bound to one parameter.
    var jsonArray: String { "[\(map(String.init).joined(separator: ","))]" }
}
