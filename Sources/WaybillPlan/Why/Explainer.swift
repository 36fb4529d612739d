import Foundation
import GRDB
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// Runs a table's `why` queries for the rows of a question, and says what can be said without them.
struct Explainer {
    let question: RowQuestion
    let db: Database

    /// Reasons that one row is told with.
    private static let reasonsMax = 50

    private var subjob: Subjob { question.subjob }

    func fill(_ findings: inout RowFindings, _ rows: [RowFinding]) {
        findings.hasMore = rows.count > RowQuestion.rowsMax
        findings.rows = rows.prefix(RowQuestion.rowsMax).map { row in
            var row = row
            row.reasons = reasons(for: row, isNextKnown: findings.nextFault == nil)
            return row
        }
        if rows.isEmpty { findings.reasons = absence(question.key.values) }
    }

    private func reasons(for row: RowFinding, isNextKnown: Bool) -> [RowReason] {
        let given = row.next ?? (isNextKnown ? nil : (row.derived ?? row.held)?.values)
        guard let given else {
            let key = zip(subjob.table.key, row.key).reduce(into: [:]) { $0[$1.0] = $1.1 }
            return absence(key)
        }
        guard let query = subjob.explanation.present else { return [] }
        let values = zip(subjob.table.columns, given).reduce(into: [:]) { $0[$1.0.name] = $1.1 }
        return run(query, values)
    }

    private func absence(_ key: [String: DatabaseValue]) -> [RowReason] {
        var reasons = subjob.explanation.absent.map { run($0, key) } ?? elsewhere(key)
        if let expiry = subjob.expiry, let day = expiry.firstDay {
            reasons.append(
                RowReason(
                    source: question.job.file,
                    reason: "rows whose \(expiry.column) lies before \(day) are left out (drop_expired_after_days)"))
        }
        if let filter = subjob.filter {
            reasons.append(
                RowReason(source: question.job.file, reason: "rows are left out unless \(filter.text.trimmed)"))
        }
        return reasons + siblings(key)
    }

    /// A query of a person's own: what is wrong with it is said in place of what it would have said.
    private func run(_ query: SQLText, _ values: [String: DatabaseValue]) -> [RowReason] {
        var arguments: [String: DatabaseValue] = [:]
        for column in subjob.table.columns { arguments[column.name] = values[column.name] ?? .null }
        arguments["store"] = question.store.rawValue.databaseValue
        arguments["today"] = question.today.databaseValue
        do {
            var reasons: [RowReason] = []
            let cursor = try Row.fetchCursor(db, sql: query.text, arguments: StatementArguments(arguments))
            while reasons.count < Explainer.reasonsMax, let row = try cursor.next() {
                guard let reason = String.fromDatabaseValue(row[1]) else { continue }
                reasons.append(RowReason(String.fromDatabaseValue(row[0]), reason))
            }
            return reasons
        } catch {
            return [RowReason(source: nil, reason: "the job's 'why' could not be run: \(error)")]
        }
    }

    /// Without a query of the job's: whether others see the row.
    private func elsewhere(_ key: [String: DatabaseValue]) -> [RowReason] {
        let given = subjob.table.key.filter { key[$0] != nil }
        let condition = given.map { "AND \(quoted($0)) = ?" }.joined(separator: " ")
        // No index leads with the key; a table is read to its end when there is no such row.
        let sql = """
            SELECT DISTINCT _scope FROM \(RowsSchema.rowsTable(subjob.table))
            WHERE true \(condition) LIMIT 3
            """
        let scopes = try? String.fetchAll(db, sql: sql, arguments: StatementArguments(given.compactMap { key[$0] }))
        guard let scopes, let first = scopes.first, case .column(let column, _) = subjob.stores else {
            return [RowReason(source: nil, reason: "the job's query gives no such row for any store")]
        }
        let others = scopes.count > 1 ? " and others" : ""
        return [
            RowReason(
                source: nil,
                reason: "the row is there for \(column) '\(first)'\(others), which store \(question.store) does not see"
            )
        ]
    }

    /// Rows whose key differs in its last column only: another date, another line.
    private func siblings(_ key: [String: DatabaseValue]) -> [RowReason] {
        let columns = subjob.table.key
        guard columns.count > 1, let last = columns.last, columns.allSatisfy({ key[$0] != nil }) else { return [] }
        let others = columns.dropLast()
        let condition = others.map { "AND \(quoted($0)) = ?" }.joined(separator: " ")
        // Members by (job, store_id, table_name), rows by (_scope, key).
        let sql = """
            SELECT DISTINCT \(quoted(last)) FROM member
            CROSS JOIN \(RowsSchema.rowsTable(subjob.table)) AS row ON row._scope = member.scope
            WHERE member.job = ? AND member.store_id = ? AND member.table_name = ?
                AND member._died = \(RowsSchema.forever) \(condition)
            ORDER BY 1 LIMIT 5
            """
        let arguments: [DatabaseValue] =
            [question.job.id.rawValue, question.store.rawValue, subjob.table.name].map(\.databaseValue)
            + others.compactMap { key[$0] }
        let found = (try? DatabaseValue.fetchAll(db, sql: sql, arguments: StatementArguments(arguments))) ?? []
        guard !found.isEmpty else { return [] }
        let list = found.map(\.plainText).joined(separator: ", ")
        return [RowReason(source: nil, reason: "there are rows with another \(last): \(list)")]
    }
}

extension RowReason {
    /// `source` may name one row of an HQ table as a JSON list of the table and the values of its key.
    fileprivate init(_ source: String?, _ reason: String) {
        self.init(source: source, reason: reason)
        guard let source, source.hasPrefix("["),
            let parts = try? JSONDecoder().decode([JSONPart].self, from: Data(source.utf8)),
            case .text(let table)? = parts.first
        else { return }
        self.table = table
        key = parts.dropFirst().map(\.value)
        self.source = ([table] + key.map(\.plainText)).joined(separator: " ")
    }
}

/// A value in a JSON list that SQLite wrote.
private enum JSONPart: Decodable {
    case null, integer(Int64), real(Double), text(String)

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let number = try? container.decode(Int64.self) {
            self = .integer(number)
        } else {
            self = .real(try container.decode(Double.self))
        }
    }

    var value: DatabaseValue {
        switch self {
        case .null: .null
        case .integer(let number): number.databaseValue
        case .real(let number): number.databaseValue
        case .text(let text): text.databaseValue
        }
    }
}

extension DatabaseValue {
    /// As people write it: without quotation marks.
    public var plainText: String {
        switch storage {
        case .null: "null"
        case .int64(let number): String(number)
        case .double(let number): String(number)
        case .string(let text): text
        case .blob(let data): data.hexText
        }
    }
}

extension String {
    fileprivate var trimmed: String { trimmingCharacters(in: .whitespacesAndNewlines) }
}
