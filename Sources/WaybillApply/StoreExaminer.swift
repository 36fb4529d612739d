import Foundation
import GRDB
import WaybillDatabase
import WaybillDigest
import WaybillModel
import WaybillWire

/// Says what a store's tables hold. Has a connection of its own that only reads: tills neither wait for it nor are
/// waited for, and all of one answer is of one moment.
public final class StoreExaminer {
    private let queue: DatabaseQueue

    /// - Parameter path: a database that ``StoreDatabase`` has opened before.
    public init(path: String) throws {
        queue = try OpenDatabase.queue(at: path, label: "proof", isReadOnly: true)
        try queue.read(DigestFunctions.add)
    }

    public func close() throws { try queue.close() }

    /// Where the store stands, and the digests that are asked for, in one snapshot.
    public func examine(_ question: HubLetter.Examine) throws -> AgentLetter.Digests {
        try queue.read { db in
            let mark = try StoreSchema.watermark(of: question.job, in: db)
            var budget = AnswerBudget()
            let tables = try question.tables.map { table in
                try TableExamination(table, job: question.job, in: db).answer(&budget)
            }
            return AgentLetter.Digests(
                id: question.id, step: question.step, job: mark == nil ? nil : question.job, watermark: mark,
                tables: tables)
        }
    }
}

/// What an answer may still hold.
private struct AnswerBudget {
    var rows = ProofLimits.rowsMax
    var bytes = ProofLimits.keyBytesMax

    mutating func takes(_ key: [KeyValue], _ values: [KeyValue?]) -> Bool {
        let needed = key.reduce(40) { $0 + $1.bytes } + values.reduce(0) { $0 + ($1?.bytes ?? 2) }
        guard rows > 0, bytes >= needed else { return false }
        rows -= 1
        bytes -= needed
        return true
    }
}

/// One table of a question.
private struct TableExamination {
    let question: HubLetter.Examine.Table
    let job: JobID
    let db: Database

    init(_ question: HubLetter.Examine.Table, job: JobID, in db: Database) {
        self.question = question
        self.job = job
        self.db = db
    }

    private var table: String { "main." + quoted(question.name) }

    func answer(_ budget: inout AnswerBudget) throws -> AgentLetter.Digests.Table {
        if let fault = try fault() { return .init(name: question.name, fault: fault) }
        // The key's columns stand first, in key order, then the others in the order of the package: the canonical one.
        let infos = try Row.fetchAll(
            db, sql: "SELECT name, pk FROM pragma_table_info(?) ORDER BY cid", arguments: [question.name])
        let columns = infos.map { quoted($0["name"]) }
        let key = infos.filter { ($0["pk"] as Int) > 0 }.sorted { ($0["pk"] as Int) < ($1["pk"] as Int) }
            .map { quoted($0["name"]) }
        let ranges = question.ranges.isEmpty ? [.all] : question.ranges
        return .init(
            name: question.name,
            ranges: try ranges.map { range in
                let condition = KeyCondition.sql(range, columns: key)
                var answer = AgentLetter.Digests.Range(digest: try digest(columns, where: condition))
                if question.rows { try name(columns, key, where: condition, in: &answer, &budget) }
                return answer
            })
    }

    /// Whether the table is the one that the last package left, column by column. What is written in it is another
    /// question.
    private func fault() throws -> String? {
        let found = try Row.fetchOne(
            db,
            sql: "SELECT type, sql FROM main.sqlite_schema WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')",
            arguments: [question.name])
        guard let found, found["type"] == "table" else { return "table \(question.name) is not there" }
        let declaration = try String.fetchOne(
            db, sql: "SELECT declaration FROM _waybill_table WHERE name = ? AND job = ?",
            arguments: [question.name, job.rawValue])
        guard let declaration else { return "table \(question.name) is not one that job \(job) fills here" }
        return found["sql"] == declaration ? nil : "table \(question.name) was altered by somebody"
    }

    private func digest(_ columns: [String], where condition: String) throws -> TableDigest {
        // The primary key's range; all of the table where there is none.
        let row = try Row.fetchOne(
            db,
            sql: "SELECT count(*), waybill_digest(\(columns.joined(separator: ", "))) FROM \(table) WHERE \(condition)")
        return row.flatMap { TableDigest(count: $0[0], bytes: $0[1] as Data) } ?? TableDigest()
    }

    private func name(
        _ columns: [String], _ key: [String], where condition: String, in answer: inout AgentLetter.Digests.Range,
        _ budget: inout AnswerBudget
    ) throws {
        // The key's columns stand first.
        let selected = question.values ? columns : key
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT waybill_row_digest(\(columns.joined(separator: ", "))), \(KeyCondition.selected(selected))
                FROM \(table) WHERE \(condition) ORDER BY \(key.joined(separator: ", "))
                """)
        while let row = try rows.next() {
            let values = KeyCondition.values(in: row, from: 1 + 2 * key.count, count: selected.count - key.count)
                .map { $0?.cut(to: ProofLimits.shownBytesMax) }
            let key = KeyCondition.key(in: row, from: 1, count: key.count)
            guard budget.takes(key, values) else {
                answer.next = key
                return
            }
            answer.rows.append(.init(key: key, sha256: [UInt8](row[0] as Data), values: values))
        }
    }
}
