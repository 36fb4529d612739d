/// One thing that is wrong with a job file: where, what, and what to do about it.
public struct JobFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file's name, without its folder.
    public var file: String
    /// From 1; 0 when it is about the file as a whole.
    public var line: Int
    public var message: String
    public var hint: String?

    public init(file: String, line: Int, message: String, hint: String? = nil) {
        self.file = file
        self.line = line
        self.message = message
        self.hint = hint
    }

    /// `promotions.yaml:12: there is no column 'nmae' in the query (did you mean 'name'?)`
    public var description: String {
        (line > 0 ? "\(file):\(line): " : "\(file): ") + message + (hint.map { " (\($0))" } ?? "")
    }
}

/// All that is wrong with a job file.
public struct JobFaults: Error, Sendable, Equatable, CustomStringConvertible {
    public var faults: [JobFault]

    public init(_ faults: [JobFault]) { self.faults = faults }

    public var description: String { faults.map(\.description).joined(separator: "\n") }
}

/// The name among `known` that a person may have meant, for a hint: two letters off at most.
public func nearestName(to name: String, among known: some Sequence<String>) -> String? {
    let close = known.map { ($0, distance(Array(name.lowercased()), Array($0.lowercased()))) }
    guard let best = close.min(by: { $0.1 < $1.1 }), best.1 <= 2, best.1 < max(2, name.count) else { return nil }
    return best.0
}

/// Letters to add, drop, or replace between two words.
private func distance(_ a: [Character], _ b: [Character]) -> Int {
    guard a.count < 64, b.count < 64 else { return .max }
    var row = Array(0...b.count)
    for (i, letter) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, other) in b.enumerated() {
            let replaced = diagonal + (letter == other ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
        }
    }
    return row[b.count]
}
