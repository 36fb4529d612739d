import Foundation
import GRDB
import WaybillDatabase
import WaybillModel

/// How ranges of keys stand in SQL. Values are written out as literals that keep their type and every byte: text as
/// the bytes of a blob that is called text, which GRDB's own binding would cut at a NUL.
public enum KeyCondition {
    /// A condition on the key's columns that holds for the rows of a range.
    ///
    /// A row-value comparison uses all columns of the primary key. The plus signs take away a literal's affinity,
    /// without which SQLite would look up the first column only.
    /// - Parameter columns: the key's columns as they stand in the statement, in key order.
    public static func sql(_ range: KeyRange, columns: [String]) -> String {
        var parts: [String] = []
        if let lower = range.lower { parts.append(comparison(columns, ">=", lower)) }
        if let upper = range.upper { parts.append(comparison(columns, "<", upper)) }
        return parts.isEmpty ? "true" : parts.joined(separator: " AND ")
    }

    private static func comparison(_ columns: [String], _ sign: String, _ values: [KeyValue]) -> String {
        let literals = values.map(literal)
        guard columns.count > 1 else { return "\(columns.first ?? "NULL") \(sign) \(literals.first ?? "NULL")" }
        return "(\(columns.joined(separator: ", "))) \(sign) (\(literals.joined(separator: ", ")))"
    }

    static func literal(_ value: KeyValue) -> String {
        switch value {
        case .integer(Int64.min): "(-9223372036854775807 - 1)"
        case .integer(let number): String(number)
        case .real(let number) where number.isInfinite: number < 0 ? "-9e999" : "9e999"
        case .real(let number): "\(number)"
        case .text(let bytes): "+CAST(X'\(bytes.hexText)' AS TEXT)"
        case .blob(let bytes): "X'\(bytes.hexText)'"
        }
    }

    /// Columns of a SELECT that ``key(in:from:count:)`` reads back: for each the type, and text as bytes.
    public static func selected(_ columns: [String]) -> String {
        columns.map { "typeof(\($0)), CASE WHEN typeof(\($0)) = 'text' THEN CAST(\($0) AS BLOB) ELSE \($0) END" }
            .joined(separator: ", ")
    }

    /// A key out of a row that was selected so; `start` is the place of its first column.
    public static func key(in row: Row, from start: Int, count: Int) -> [KeyValue] {
        // A key is never NULL.
        values(in: row, from: start, count: count).map { $0 ?? .blob([]) }
    }

    /// Any values out of a row that was selected so; nil is NULL.
    public static func values(in row: Row, from start: Int, count: Int) -> [KeyValue?] {
        (0..<count).map { index in
            let place = start + 2 * index
            switch row[place] as String {
            case "null": return nil
            case "integer": return .integer(row[place + 1])
            case "real": return .real(row[place + 1])
            case "text": return .text([UInt8](row[place + 1] as Data? ?? Data()))
            default: return .blob([UInt8](row[place + 1] as Data? ?? Data()))
            }
        }
    }
}
