import GRDB
import WaybillModel
import WaybillSessions

extension Proof.Verdict {
    /// Rows that lie in quarantine at the store differ for a reason that is known and shown elsewhere: they are no sign
    /// of damage, and sending them again would end where they are.
    ///
    /// Excused are rows that are named here (``Narrowing/namedMax``) and in the hub's copy of the store's list; more of
    /// them stay differences, so that nothing is ever called right that might not be.
    /// - Parameter entries: what the store has said last.
    func excusing(_ entries: [QuarantineEntry], of job: JobID) -> Proof.Verdict {
        let known = Set(entries.filter { $0.job == job }.map(QuarantinedKey.init))
        guard outcome == .diverged, !known.isEmpty else { return self }
        var verdict = self
        var excused = 0
        verdict.named = named.filter { difference in
            guard known.contains(QuarantinedKey(difference)) else { return true }
            verdict.counts[difference.kind, default: 0] -= 1
            excused += 1
            return false
        }
        guard excused > 0 else { return self }
        verdict.counts = verdict.counts.filter { $0.value > 0 }
        let words = excused == 1 ? "1 row is in quarantine there" : "\(excused) rows are in quarantine there"
        verdict.message += (verdict.message.isEmpty ? "" : "; ") + words
        if verdict.counts.isEmpty, verdict.unfinished.isEmpty, !verdict.needsFullLoad {
            verdict.outcome = .ok
            verdict.ranges = [:]
        }
        return verdict
    }
}

/// A row as the store's list of its quarantine names it.
struct QuarantinedKey: Hashable {
    private var table: String
    private var key: String

    init(_ entry: QuarantineEntry) {
        table = entry.table.lowercased()
        key = entry.key
    }

    init(_ difference: RowDifference) {
        self.init(
            table: difference.table,
            key: difference.key.map { value in
                if case .blob = value { value.text.uppercased() } else { value.text }
            })
    }

    init(table: String, key: [DatabaseValue]) {
        self.init(
            table: table,
            key: key.map { value in
                if case .blob = value.storage { value.plainText.uppercased() } else { value.plainText }
            })
    }

    private init(table: String, key: [String]) {
        self.table = table.lowercased()
        self.key = QuarantineEntry.keyText(key)
    }
}
