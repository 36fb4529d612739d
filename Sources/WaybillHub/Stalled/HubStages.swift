import GRDB
import WaybillModel
import WaybillSessions

extension HubTurn {
    /// Learns how long stages took, in the transaction that writes their end.
    func learn(_ samples: [StageSample], of store: StoreID, _ batch: inout Batch) {
        for sample in samples {
            batch.saves.append { try StageHistoryRecord.add(sample, of: store, in: $0) }
        }
    }

    /// While `hub.db` could not be written the last time, each turn tries: else nobody would know that it can again.
    func probeAfterFailure(_ batch: inout Batch) {
        guard parts.pulse.isUnwritable else { return }
        let now = parts.clock.now()
        batch.saves.append { db in
            try db.execute(
                sql: """
                    INSERT INTO meta (name, value) VALUES ('written_at', ?)
                    ON CONFLICT (name) DO UPDATE SET value = excluded.value
                    """,
                arguments: [String(now.milliseconds)])
        }
    }
}
