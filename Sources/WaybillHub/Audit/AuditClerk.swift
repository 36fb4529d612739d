import Dispatch
import GRDB
import Logging
import Synchronization
import WaybillAdmin
import WaybillModel
import WaybillSessions

/// Writes the audit log, and every row's hash to the hub's own log, where nobody who rewrites `hub.db` can reach it.
final class AuditClerk: Sendable {
    private let operations: Operations
    private let logger: Logger
    let now: @Sendable () -> Timestamp
    private let queue = DispatchQueue(label: "audit")
    private let strangers = Mutex(StrangerBudget())

    init(operations: Operations, logger: Logger, now: @escaping @Sendable () -> Timestamp) {
        self.operations = operations
        self.logger = logger
        self.now = now
    }

    /// Writes a row, durably.
    func write(_ entry: AuditEntry) async throws -> AuditRow {
        let row = try await operations.writing { db in try AuditLog.append(entry, in: db) }
        tell(row)
        return row
    }

    /// Tells the hub's log of a row that is on disk.
    func tell(_ row: AuditRow) {
        let entry = row.entry
        let about = entry.subject.isEmpty ? "" : " \(entry.subject)"
        logger.info(
            "audit \(row.sequence):\(row.hash.prefix(8).hexText) \(entry.action)\(about) by \(entry.who.name): \(entry.outcome.rawValue)"
        )
    }

    /// Where the log stands, and whether its chain holds, at the start of a hub.
    func tellHead() {
        do {
            let verdict = try operations.read { try AuditLog.verify(in: $0) }
            if let broken = verdict.firstBreak {
                logger.error("the audit log is broken at row \(broken.sequence): \(broken.fault)")
            } else if verdict.rows > 0 {
                logger.info("audit \(verdict.head):\(verdict.headHash.prefix(8).hexText) is where the audit log stands")
            }
        } catch {
            logger.error("the audit log cannot be read: \(error)")
        }
    }

    /// Writes down that somebody was turned away. Never waits; what strangers can cause is bounded, and counted beyond.
    func note(denied action: String, by who: AuditWho, subject: String = "", _ reason: String) {
        let at = now()
        guard let left = strangers.withLock({ $0.take("\(action) \(who.name) \(reason)", at: at) }) else { return }
        let reason = left == 0 ? reason : "\(reason) (and \(left) more that were not written down)"
        let entry = AuditEntry(
            at: at, who: who, action: action, subject: subject, outcome: .denied, message: reason)
        queue.async { [self] in
            do { tell(try operations.write { db in try AuditLog.append(entry, in: db) }) } catch {
                logger.error("the audit log cannot be written: \(error)")
            }
        }
    }
}

/// How many rows strangers may cause: without a bound anybody with a network could fill HQ's disk.
struct StrangerBudget {
    /// Rows an hour: enough to see an attack and from where, some 2 MB a day at the worst.
    static let perHour = 200

    private var begun: Timestamp?
    private var seen: Set<String> = []
    private var left = 0

    /// nil when this one is only counted, because there were too many or it was written down in this hour; else how
    /// many were only counted since the last row.
    mutating func take(_ what: String, at now: Timestamp) -> Int? {
        if begun.map({ now - $0 >= 3_600_000 || now < $0 }) ?? true {
            begun = now
            seen = []
        }
        guard seen.count < StrangerBudget.perHour, seen.insert(what).inserted else {
            left += 1
            return nil
        }
        defer { left = 0 }
        return left
    }
}
