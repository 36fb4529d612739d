import GRDB
import Synchronization
import WaybillModel
import WaybillSessions

/// An administrator's request on its way through the hub: who asks for what, and whether it is written down yet.
///
/// Routes and the backend find it in ``current`` and need not know of it: what they say here goes into the audit log
/// with the outcome, and an effect that is one transaction of `hub.db` writes the row in that transaction.
final class AuditTicket: Sendable {
    @TaskLocal static var current: AuditTicket?

    private struct State {
        var row: AuditRow?
        var note = ""
        var failure: String?
    }

    let entry: AuditEntry
    private let now: @Sendable () -> Timestamp
    private let state = Mutex(State())

    init(_ entry: AuditEntry, now: @escaping @Sendable () -> Timestamp) {
        self.entry = entry
        self.now = now
    }

    /// What came of it, for the row with the outcome.
    func note(_ text: String) { state.withLock { $0.note = text } }

    /// The administrator was told that it failed, and why.
    func failed(_ reason: String) { state.withLock { $0.failure = reason } }

    var result: String { state.withLock { $0.note } }
    var failure: String? { state.withLock { $0.failure } }
    /// The row, when the effect's own transaction has written it.
    var row: AuditRow? { state.withLock { $0.row } }

    /// Writes the row with outcome `done`, in the transaction of the effect.
    func record(in db: Database) throws {
        let row = try AuditLog.append(entry.ended(.done, result, at: now()), in: db)
        db.afterNextTransaction { [self] _ in state.withLock { $0.row = row } }
    }

    /// The order, written down in the transaction in which the wire thread carries it out.
    static func audited(_ order: HubOrder) -> HubOrder {
        guard let ticket = current else { return order }
        return .audited({ try ticket.record(in: $0) }, order)
    }
}
