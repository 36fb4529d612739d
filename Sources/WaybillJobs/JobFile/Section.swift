import WaybillModel
import Yams

/// Faults of one file, gathered while it is read on.
final class FaultSink {
    let file: String
    private(set) var faults: [JobFault] = []

    init(file: String) { self.file = file }

    func add(_ line: Int, _ message: String, hint: String? = nil) {
        faults.append(JobFault(file: file, line: line, message: message, hint: hint))
    }
}

/// A mapping of a job file whose entries are asked for by name; what nobody asked for is a fault.
struct Section {
    let name: String
    let line: Int
    let sink: FaultSink
    private let entries: [(key: String, node: Node, line: Int)]

    /// - Parameter known: every key that may stand here.
    init?(_ node: Node, _ name: String, known: [String], _ sink: FaultSink) {
        self.name = name
        self.sink = sink
        line = node.mark?.line ?? 0
        guard case .mapping(let mapping) = node else {
            sink.add(line, "\(name) must be settings of the form 'name: value'")
            return nil
        }
        entries = mapping.map { ($0.key.string ?? "", $0.value, $0.key.mark?.line ?? 0) }
        for entry in entries where !known.contains(entry.key) && !known.isEmpty {
            let hint = nearestName(to: entry.key, among: known).map { "did you mean '\($0)'?" }
            sink.add(
                entry.line, "\(name) has no setting '\(entry.key)'",
                hint: hint ?? "there are: \(known.joined(separator: ", "))")
        }
    }

    /// All entries, for mappings whose keys are names.
    var all: [(key: String, node: Node, line: Int)] { entries }

    func node(_ key: String) -> (node: Node, line: Int)? {
        entries.first { $0.key == key }.map { ($0.node, $0.line) }
    }

    func line(of key: String) -> Int { node(key)?.line ?? line }

    func fault(_ key: String, _ message: String, hint: String? = nil) {
        sink.add(line(of: key), message, hint: hint)
    }

    // MARK: values

    func string(_ key: String) -> String? {
        guard let (node, line) = node(key) else { return nil }
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty else {
            sink.add(line, "'\(key)' must be a text")
            return nil
        }
        return scalar.string
    }

    /// A text that must be there.
    func required(_ key: String, hint: String? = nil) -> String? {
        if node(key) == nil { sink.add(line, "\(name) has no '\(key)'", hint: hint) }
        return string(key)
    }

    func sql(_ key: String) -> SQLText? { node(key).flatMap { Section.sql($0.node, key, sink) } }

    func requiredSQL(_ key: String) -> SQLText? {
        if node(key) == nil { sink.add(line, "\(name) has no '\(key)'", hint: "it is an SQL query") }
        return sql(key)
    }

    static func sql(_ node: Node, _ key: String, _ sink: FaultSink) -> SQLText? {
        let line = node.mark?.line ?? 0
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty else {
            sink.add(line, "'\(key)' must be an SQL query")
            return nil
        }
        // The text of a block begins on the line below its '|'.
        let isBlock = scalar.style == .literal || scalar.style == .folded
        return SQLText(withoutEnd(scalar.string), line: isBlock ? line + 1 : line)
    }

    /// Without the ';' with which many people end a statement: queries become parts of larger ones.
    private static func withoutEnd(_ sql: String) -> String {
        guard let last = sql.lastIndex(where: { !$0.isWhitespace }), sql[last] == ";" else { return sql }
        return String(sql[..<last])
    }

    /// - Parameter other: what else may stand there, for the fault.
    func integer(_ key: String, in range: ClosedRange<Int>, or other: String? = nil) -> Int? {
        guard let text = string(key) else { return nil }
        guard let value = Int(text), range.contains(value) else {
            let numbers = "a whole number from \(range.lowerBound) to \(range.upperBound)"
            fault(key, "'\(key)' must be \(numbers)\(other.map { ", or \($0)" } ?? "")")
            return nil
        }
        return value
    }

    func flag(_ key: String) -> Bool? {
        guard let text = string(key) else { return nil }
        switch text {
        case "true", "yes", "on": return true
        case "false", "no", "off": return false
        default:
            fault(key, "'\(key)' must be true or false")
            return nil
        }
    }

    func word<Word: RawRepresentable & CaseIterable>(_ key: String, _ type: Word.Type) -> Word?
    where Word.RawValue == String {
        guard let text = string(key) else { return nil }
        if let word = Word(rawValue: text) { return word }
        fault(key, "'\(key)' must be one of \(Word.allCases.map(\.rawValue).joined(separator: ", "))")
        return nil
    }

    /// A list of texts; a single text stands for a list of one.
    func strings(_ key: String) -> [String] {
        guard let (node, line) = node(key) else { return [] }
        switch node {
        case .scalar(let scalar) where !scalar.string.isEmpty: return [scalar.string]
        case .sequence(let sequence):
            let texts = sequence.compactMap { $0.scalar?.string }
            if texts.count == sequence.count { return texts }
        default: break
        }
        sink.add(line, "'\(key)' must be a list of names, as [a, b]")
        return []
    }

    func nodes(_ key: String) -> [Node] {
        guard let (node, line) = node(key) else { return [] }
        guard case .sequence(let sequence) = node else {
            sink.add(line, "'\(key)' must be a list, each entry beginning with '- '")
            return []
        }
        return Array(sequence)
    }

    // MARK: names

    /// Names that may stand in SQL unquoted; others are faults.
    func plainNames(_ key: String) -> [String] {
        strings(key).filter { isPlain($0, key) }
    }

    func plainName(_ key: String) -> String? { string(key).flatMap { isPlain($0, key) ? $0 : nil } }

    func requiredName(_ key: String) -> String? { required(key).flatMap { isPlain($0, key) ? $0 : nil } }

    private func isPlain(_ name: String, _ key: String) -> Bool {
        if TableShape.isPlainName(name) { return true }
        fault(
            key, "'\(name)' cannot be a name",
            hint: "letters, digits and underscores, not beginning with a digit, sqlite_ or _waybill")
        return false
    }
}
