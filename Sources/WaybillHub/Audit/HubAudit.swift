import GRDB
import WaybillAdmin
import WaybillModel
import WaybillSessions
import WaybillSocket

/// The audit log as administrators read it.
extension HubBackend {
    func audit(_ filter: AuditFilter) async throws -> [AuditLine] {
        try await operations.reading { db in
            try AuditLog.rows(since: filter.since?.timestamp, who: filter.who, limit: filter.limit, in: db)
                .map(AuditLine.init)
        }
    }

    func verifyAudit(_ witness: AuditWitness?) async throws -> AuditVerification {
        let verdict = try await operations.reading { db in
            try AuditLog.verify(witness: witness.map { ($0.sequence, $0.hash) }, in: db)
        }
        return AuditVerification(
            rows: verdict.rows, first: verdict.first, head: verdict.head, headHash: verdict.headHash.hexText,
            firstBreak: verdict.firstBreak.map { .init(sequence: $0.sequence, fault: $0.fault) })
    }
}

extension AuditLine {
    init(_ row: AuditRow) {
        let entry = row.entry
        func some(_ text: String) -> String? { text.isEmpty ? nil : text }
        self.init(
            sequence: row.sequence, at: UTCTime(entry.at), who: entry.who.name, uid: entry.who.uid,
            door: entry.who.door.rawValue, action: entry.action, subject: some(entry.subject),
            arguments: some(entry.arguments), outcome: entry.outcome.rawValue, message: some(entry.message),
            asked: entry.asked, hash: row.hash.hexText)
    }
}

extension AuditLog {
    /// Writes down that a store's machine has got its identity; nothing when it only asks again for the answer.
    static func appendEnrolment(
        of store: StoreID, before: StoreRecord?, key: CurvePublicKey, machine: String, at now: Timestamp,
        in db: Database
    ) throws {
        guard before?.publicKey != key.bytes else { return }
        let entry = AuditEntry(
            at: now, who: AuditWho(name: store.rawValue, door: .agent), action: "store enrol",
            subject: store.rawValue, outcome: .done, message: "key \(key.z85), machine \(machine)")
        try append(entry, in: db)
    }

    /// Writes down what has become of a key that a store has made itself.
    static func appendKey(
        _ key: CurvePublicKey, _ what: String, of store: StoreID, at now: Timestamp, in db: Database
    ) throws {
        let entry = AuditEntry(
            at: now, who: AuditWho(name: store.rawValue, door: .agent), action: "store rotate-key",
            subject: store.rawValue, outcome: .done, message: "key \(key.z85) \(what)")
        try append(entry, in: db)
    }
}

extension AuditClerk {
    func noteRefusedEnrolment(_ message: ReceivedMessage, _ refusal: EnrolmentRefusal) {
        note(
            denied: "store enrol", by: AuditWho(name: message.peerAddress ?? "unknown address", door: .agent),
            refusal.description)
    }

    func noteRefusedKey(_ refusal: Refusal, _ formerHolder: String) {
        note(
            denied: "connect", by: AuditWho(name: refusal.address, door: .agent),
            "\(refusal)\(formerHolder)")
    }
}

extension RetentionHook {
    /// Rows of the audit log, when the settings let them go at all; `purge --older-than` has no say in it.
    static func audit(_ operations: Operations, _ configuration: HubConfiguration) -> [RetentionHook] {
        let days = configuration.auditDays
        guard days > 0 else { return [] }
        return [
            RetentionHook(kind: "audit") { cutoffs, isDryRun, _ in
                let before = cutoffs.now + -Int64(days) * 86_400_000
                let rows =
                    try isDryRun
                    ? operations.read { try AuditLog.countForgettable(before: before, in: $0) }
                    : operations.write { try AuditLog.forget(before: before, at: cutoffs.now, in: $0) }
                return (rows, 0)
            }
        ]
    }
}
