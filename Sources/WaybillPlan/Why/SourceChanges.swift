import GRDB
import WaybillCapture

/// Finds when HQ last changed the rows that reasons name.
struct SourceChanges {
    let db: Database

    /// Changes that are looked through, newest first: what is older is not told. A second's work at most.
    private static let logRowsMax: Int64 = 2_000_000

    private struct Asked: Hashable {
        var table: String
        var key: [DatabaseValue]
    }

    func note(in findings: inout RowFindings) throws {
        var asked: Set<Asked> = []
        for reason in findings.rows.flatMap(\.reasons) + findings.reasons {
            if let table = reason.table { asked.insert(Asked(table: table, key: reason.key)) }
        }
        guard !asked.isEmpty else { return }
        let versions = try newest(asked)
        func noted(_ reasons: [RowReason]) -> [RowReason] {
            reasons.map { reason in
                var reason = reason
                reason.changedVersion = reason.table.flatMap { versions[Asked(table: $0, key: reason.key)] }
                return reason
            }
        }
        findings.reasons = noted(findings.reasons)
        for index in findings.rows.indices { findings.rows[index].reasons = noted(findings.rows[index].reasons) }
    }

    private func newest(_ asked: Set<Asked>) throws -> [Asked: Int64] {
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS temp.why_source;
                CREATE TEMP TABLE why_source (id INTEGER PRIMARY KEY, subject INTEGER, k1, k2, k3, k4, k5, k6, k7, k8);
                CREATE INDEX temp.why_source_key ON why_source (k1, subject);
                """)
        let list = asked.filter { $0.key.count <= 8 && !$0.key.isEmpty }
        var byID: [Int64: Asked] = [:]
        for (id, one) in list.enumerated() {
            byID[Int64(id)] = one
            let slots = one.key + Array(repeating: .null, count: 8 - one.key.count)
            try db.execute(
                sql: """
                    INSERT INTO temp.why_source
                    SELECT ?, subject.id, ?, ?, ?, ?, ?, ?, ?, ? FROM hq._waybill_subject AS subject
                    WHERE subject.table_name = ?
                    """,
                arguments: StatementArguments([Int64(id).databaseValue] + slots + [one.table.databaseValue]))
        }
        let head = try ChangeLog.head(in: db, schema: "hq")
        // The log's newest part by its primary key, each row looked up in the small index of what is asked for.
        let same = (2...8).map { "change.k\($0) IS source.k\($0)" }.joined(separator: " AND ")
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT source.id AS id, max(change.version) AS version
                FROM hq._waybill_change AS change
                CROSS JOIN temp.why_source AS source
                    ON source.k1 = change.k1 AND source.subject = change.subject AND \(same)
                WHERE change.version > ?
                GROUP BY source.id
                """,
            arguments: [head - SourceChanges.logRowsMax])
        try db.execute(sql: "DROP TABLE temp.why_source")
        return rows.reduce(into: [:]) { found, row in
            if let one = byID[row["id"]] { found[one] = row["version"] }
        }
    }
}
