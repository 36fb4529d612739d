import GRDB
import WaybillModel
import WaybillSessions
import WaybillWire

/// What letters promise, looked at while they are on their way.
extension World {
    /// Whether nobody has gone back to an older state of anything, or put something else in its place: then what one
    /// side has said must be on its disk.
    var isHistoryStraight: Bool {
        let bends: [Trouble] = [
            .hubRestored, .hubDatabaseRestored, .rowsLost, .storeRestored, .machineRestored, .machineReplaced, .twins,
            .storeRetired,
        ]
        return bends.allSatisfy { injected[$0.rawValue] == nil }
    }

    /// The hub says something to a machine.
    func inspect(_ frame: [UInt8], to machine: Machine) {
        let isAcknowledgement = frame.count > 2 && frame[2] == World.acknowledgementTag
        // What came in before the newer key is answered in the same turn still.
        let isStranger = !admitted.contains(machine.key) && shutOutAt[machine.key] != now
        guard isAcknowledgement || isStranger, let letter = try? HubLetter(decoding: frame) else { return }
        switch letter {
        case .welcome, .grant, .chunk:
            if isStranger {
                checker.violate("the hub obeys m\(machine.number), whose key is not that of store \(machine.store)")
            }
        case .acknowledgement(let names):
            checker.acknowledged.formUnion(names)
            inspectAcknowledged(names, machine)
        default: break
        }
    }

    /// Field 15 behind the protocol's number; only such letters are decoded for looking at them.
    private static let acknowledgementTag: UInt8 = 15 << 3 | 2

    /// What is acknowledged the hub must have on disk, because the store forgets it.
    private func inspectAcknowledged(_ names: [ReportName], _ machine: Machine) {
        let told = names.compactMap { machine.reported[$0] }.filter { $0.outcome == .applied }
        guard !told.isEmpty, isHistoryStraight, let hub else { return }
        let missing = try? hub.operations.read { db in
            try told.first { report in
                try Bool.fetchOne(
                    db,
                    sql: """
                        SELECT told_outcome IS NOT 'applied' FROM delivery WHERE session_id = ? AND store_id = ? AND run = ?
                        """, arguments: [report.session.rawValue, machine.store.rawValue, report.run]) ?? false
            }
        }
        if let report = missing {
            checker.violate(
                "the hub has acknowledged that store \(machine.store) applied session \(report.session), and did not "
                    + "write it down")
        }
    }

    /// A machine has said something.
    func noteReports(_ letter: AgentLetter, of machine: Machine) {
        guard case .reports(let reports) = letter.body else { return }
        // Of a failure is told even where a full disk does not take it into the outbox.
        for report in reports where report.outcome != .applyFailed && report.outcome != .downloadFailed {
            machine.reported[report.name] = report
        }
        machine.hasReported = true
    }

    /// A report leaves the outbox when the hub has it, and not before.
    func inspectOutbox(of machine: Machine) {
        guard machine.hasReported, !machine.disk.isDown, let agent = machine.agent else { return }
        machine.hasReported = false
        let left = try? agent.ledger.read { db in
            Set(
                try Row.fetchAll(db, sql: "SELECT id, counter, random FROM _waybill_outbox").map { row in
                    ReportName(
                        incarnation: Incarnation(
                            counter: row["counter"], random: UInt64(bitPattern: row["random"] as Int64)),
                        id: row["id"])
                })
        }
        guard let left else { return }
        for (name, report) in machine.reported where !left.contains(name) && !checker.acknowledged.contains(name) {
            checker.violate(
                "store \(machine.store) has forgotten its report on session \(report.session), which the hub has not "
                    + "acknowledged")
        }
    }

    /// The hub shows a run as cancelled that the store had leave to apply: then the store has promised it.
    func inspectPromise(_ call: Checker.Call) {
        guard isHistoryStraight, let machine = newest(call.store), let agent = machine.agent, !machine.disk.isDown
        else {
            return
        }
        let outcome = try? agent.ledger.read {
            try String.fetchOne(
                $0, sql: "SELECT outcome FROM _waybill_outcome WHERE session = ? AND run = ?",
                arguments: [call.session.rawValue, call.run]) ?? ""
        }
        guard let outcome, outcome != "canceled" else { return }
        checker.violate(
            "run \(call.run) of session \(call.session) is shown as cancelled at store \(call.store), which "
                + (outcome.isEmpty ? "has promised nothing" : "says '\(outcome)'"))
    }
}
