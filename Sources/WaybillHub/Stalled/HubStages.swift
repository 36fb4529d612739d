import GRDB
import WaybillModel
import WaybillSessions

extension HubTurn {
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
