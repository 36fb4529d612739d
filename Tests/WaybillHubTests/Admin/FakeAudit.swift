import WaybillAdmin
import WaybillHub

/// What the fake hub has written down.
extension FakeBackend {
    func audit(_ filter: AuditFilter) async throws -> [AuditLine] {
        [
            AuditLine(
                sequence: 118, at: FakeBackend.time, who: filter.who ?? "anna", uid: 1000, door: "socket",
                action: "session cancel", subject: "2", arguments: #"{"reason":"wrong prices"}"#, outcome: "done",
                message: nil, asked: nil, hash: "9a0c61e1f7d2b34c")
        ]
    }

    func verifyAudit(_ witness: AuditWitness?) async throws -> AuditVerification {
        AuditVerification(
            rows: 118, first: 1, head: 118, headHash: "9a0c61e1f7d2b34c",
            firstBreak: witness.map { .init(sequence: $0.sequence, fault: "it was changed") })
    }
}
