import GRDB
import WaybillDatabase

/// Turns the records of one file into the fields of its table, as its mapping says.
///
/// What comes out is again a record of bytes and ranges, so that checking, binding and staging know one form only.
struct RowMapper {
    private struct Step {
        var column: MappedColumn
        /// The field's position in the record; nil for a constant.
        var position: Int?
        var number: NumberFormat?
        var day: DayFormat?
        var lookup: LookupTable?
    }

    /// One for each column of the table.
    private let steps: [Step]
    private(set) var bytes: [UInt8] = []
    private(set) var fields: [CSVField] = []
    /// For each column of the table why its field cannot be mapped, or nil.
    private(set) var reasons: [String?] = []

    /// - Parameter positions: where the file's columns stand in a record, by name.
    init(
        _ mapping: ImportMapping, _ table: ImportTable, positions: [String: Int], staged: [StagedFile], in db: Database
    ) throws {
        steps = try table.columns.enumerated().map { index, column in
            let mapped =
                mapping.columns.first { $0.name == column.name }
                ?? MappedColumn(name: column.name, source: .column(column.name))
            var step = Step(column: mapped)
            if case .column(let name) = mapped.source { step.position = positions[name] }
            switch column.kind {
            case .decimal, .number, .integer: step.number = mapped.number ?? mapping.numbers
            case .date: step.day = mapped.day ?? mapping.days
            default:
                step.number = mapped.number
                step.day = mapped.day
            }
            step.lookup = try mapped.lookup.map { try LookupTable($0, number: index, of: table, staged, in: db) }
            return step
        }
    }

    mutating func map(_ record: borrowing CSVRecord) throws {
        bytes.removeAll(keepingCapacity: true)
        fields.removeAll(keepingCapacity: true)
        reasons.removeAll(keepingCapacity: true)
        for step in steps {
            do throws(FieldFault) {
                let (content, isQuoted, fault) = try value(step, record)
                fields.append(
                    CSVField(range: bytes.count..<bytes.count + content.count, isQuoted: isQuoted, fault: fault))
                bytes += content
                reasons.append(nil)
            } catch {
                fields.append(CSVField(range: bytes.count..<bytes.count, isQuoted: false))
                reasons.append(error.reason)
            }
        }
    }

    private func value(
        _ step: Step, _ record: borrowing CSVRecord
    ) throws(FieldFault) -> (content: [UInt8], isQuoted: Bool, fault: CSVFieldFault?) {
        var content: [UInt8]
        var isQuoted = false
        switch (step.column.source, step.position) {
        case (.constant(let text), _): content = Array(text.utf8)
        case (.column, let position?):
            let field = record.fields[position]
            if field.fault != nil { return ([], field.isQuoted, field.fault) }
            content = Array(record.bytes[field.range])
            isQuoted = field.isQuoted
        case (.column, nil): return ([], false, nil)
        }
        if !step.column.values.isEmpty { content = try meant(step.column, by: content) }
        // Nothing is nothing in every format.
        if content.isEmpty { return (content, isQuoted, nil) }
        if let number = step.number { content = try number.canonical(content) }
        if let day = step.day { content = try day.canonical(content) }
        if let lookup = step.lookup { content = try lookup.value(of: content) }
        return (content, isQuoted, nil)
    }

    private func meant(_ column: MappedColumn, by content: [UInt8]) throws(FieldFault) -> [UInt8] {
        if let value = column.values[String(decoding: content, as: UTF8.self)] { return Array(value.utf8) }
        if content.isEmpty { return content }
        if let otherwise = column.otherwise { return Array(otherwise.utf8) }
        let known = column.values.keys.sorted().joined(separator: ", ")
        throw FieldFault("\(excerpt(content)) is none of \(known), which the mapping has a value for")
    }
}

/// What one column of HQ says of the values of another, as HQ stands when the file is read, and together with the
/// rows of files of the same import that were read before.
final class LookupTable {
    private let lookup: MappedLookup
    private let statement: Statement
    /// Answers that were given before; values repeat. Bounded, because a file need not repeat any.
    private var known: [[UInt8]: Result<[UInt8], FieldFault>] = [:]
    private static let knownMax = 50_000

    init(_ lookup: MappedLookup, number: Int, of table: ImportTable, _ staged: [StagedFile], in db: Database) throws {
        self.lookup = lookup
        let name = "_lookup_\(number)_\(table.name)"
        let (match, take) = (quoted(lookup.match), quoted(lookup.take))
        var rows = "SELECT \(match) AS match, \(take) AS take FROM main.\(quoted(lookup.table))"
        if let other = staged.first(where: { $0.table.name == lookup.table }), other.has(lookup.match),
            other.has(lookup.take)
        {
            // HQ's rows are those that the other file does not bring anew.
            let sameKey = other.table.key.map { "mine.\(quoted($0)) = live.\(quoted($0))" }
            rows = """
                SELECT live.\(match) AS match, live.\(take) AS take FROM \(other.liveTable) AS live
                WHERE NOT EXISTS (
                    SELECT 1 FROM \(other.rowsTable) AS mine WHERE \(sameKey.joined(separator: " AND "))
                )
                UNION ALL
                SELECT \(match), \(take) FROM \(other.rowsTable)
                """
        }
        try db.execute(
            sql: """
                -- A copy with an index of its own: HQ need not have one on the column.
                CREATE TEMP TABLE \(quoted(name)) AS
                SELECT DISTINCT CAST(match AS TEXT) AS match, CAST(take AS TEXT) AS take FROM (\(rows))
                WHERE match IS NOT NULL AND take IS NOT NULL;
                CREATE INDEX temp.\(quoted(name + "_match")) ON \(quoted(name)) (match);
                """)
        statement = try db.makeStatement(sql: "SELECT take FROM temp.\(quoted(name)) WHERE match = ? LIMIT 2")
    }

    func value(of content: [UInt8]) throws(FieldFault) -> [UInt8] {
        if let answer = known[content] { return try answer.get() }
        let answer = find(content)
        if known.count < LookupTable.knownMax { known[content] = answer }
        return try answer.get()
    }

    private func find(_ content: [UInt8]) -> Result<[UInt8], FieldFault> {
        let place = "\(lookup.table).\(lookup.match)"
        guard let text = String(validating: content, as: UTF8.self), !content.contains(0) else {
            return .failure(FieldFault("\(excerpt(content)) is not valid UTF-8"))
        }
        do {
            let found = try String.fetchAll(statement, arguments: [text])
            switch found.count {
            case 1: return .success(Array(found[0].utf8))
            case 0: return .failure(FieldFault("\(excerpt(content)) is in no row of \(place)"))
            default:
                return .failure(
                    FieldFault("\(excerpt(content)) is in several rows of \(place), with different \(lookup.take)"))
            }
        } catch {
            return .failure(FieldFault("\(excerpt(content)) could not be looked up in \(place): \(error)"))
        }
    }
}
