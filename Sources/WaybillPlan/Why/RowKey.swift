import Foundation
import GRDB
import WaybillModel

/// Key values that a person typed do not fit the table, in one sentence.
public struct RowKeyFault: Error, Hashable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// Which rows of a store table a person asks about: values for its key columns, or for some of them.
public struct RowKey: Sendable, Equatable {
    /// By column, as the table stores them.
    public private(set) var values: [String: DatabaseValue] = [:]

    /// Reads values in the order of the key's columns, or as `column=value`.
    ///
    /// One text may hold several values with commas between them; a value that holds a comma itself is therefore given
    /// beside others, each as a text of its own. In a key of one column a comma is a character like any other.
    public init(_ texts: [String], of table: TableShape) throws(RowKeyFault) {
        let named = table.key.count == 1 ? table.key[0] : "one of \(table.key.joined(separator: ", "))"
        guard !texts.isEmpty else { throw RowKeyFault("give a value of \(named), the key of table \(table.name)") }
        var parts = texts
        if texts.count == 1, table.key.count > 1 {
            parts = texts[0].split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        for part in parts {
            let (column, text) = try RowKey.column(of: part, in: table, known: values)
            guard values[column] == nil else { throw RowKeyFault("\(column) is given twice") }
            values[column] = try RowKey.value(text, column, of: table)
        }
    }

    public func isComplete(_ table: TableShape) -> Bool { table.key.allSatisfy { values[$0] != nil } }

    private static func column(
        of part: String, in table: TableShape, known: [String: DatabaseValue]
    ) throws(RowKeyFault) -> (String, String) {
        if let sign = part.firstIndex(of: "="), table.key.contains(String(part[..<sign])) {
            return (String(part[..<sign]), String(part[part.index(after: sign)...]))
        }
        guard let column = table.key.first(where: { known[$0] == nil }) else {
            throw RowKeyFault(
                "the key of table \(table.name) is (\(table.key.joined(separator: ", "))), and '\(part)' is one value more; a value with a comma in it is given as a --key of its own"
            )
        }
        return (column, part)
    }

    private static func value(
        _ text: String, _ name: String, of table: TableShape
    ) throws(RowKeyFault) -> DatabaseValue {
        switch table.columns.first(where: { $0.name == name })?.type {
        case .integer:
            guard let number = Int64(text) else { throw RowKeyFault("\(name) is a whole number, not '\(text)'") }
            return number.databaseValue
        case .real:
            guard let number = Double(text), number.isFinite else {
                throw RowKeyFault("\(name) is a number, not '\(text)'")
            }
            return number.databaseValue
        case .blob:
            guard let bytes = [UInt8](hexText: text) else {
                throw RowKeyFault("\(name) is given in hexadecimal digits, not as '\(text)'")
            }
            return Data(bytes).databaseValue
        case .text, nil: return text.databaseValue
        }
    }
}
