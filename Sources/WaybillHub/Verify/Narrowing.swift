import WaybillModel
import WaybillPlan
import WaybillWire

/// One row in which a store and HQ differ.
public struct RowDifference: Hashable, Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        /// Both have it, and not alike.
        case changed
        /// The store has it not.
        case missing
        /// HQ has it not.
        case extra
    }

    public var table: String
    public var key: [KeyValue]
    public var kind: Kind
    /// In a changed row: which of the columns beside the key differ, and how.
    public var columns: [Column]

    /// One column; nil is NULL. Long values are cut.
    public struct Column: Hashable, Sendable {
        /// Its place among the columns beside the key.
        public var index: Int
        public var hq: KeyValue?
        public var store: KeyValue?
    }

    public init(table: String, key: [KeyValue], kind: Kind, columns: [Column] = []) {
        self.table = table
        self.key = key
        self.kind = kind
        self.columns = columns
    }
}

/// Finds the rows in which a store and HQ differ, by asking for ever smaller parts of the tables that do. Pure.
///
/// One step: ``next()`` says which parts HQ shall take apart, ``ask(_:)`` makes a question of what HQ has there, and
/// ``take(_:)`` compares the store's answer. It goes on while ``isOpen``.
public struct Narrowing: Sendable {
    /// Suspects taken apart in one step: with their parts they fit into one letter many times.
    static let suspectsMax = 8
    /// Rows that are named; all are counted.
    public static let namedMax = 100
    /// Rows of which it is told what is in them.
    static let shownMax = 20
    /// Steps after which what is left is not looked into any more: some ten thousand differing rows.
    public static let stepsMax = 400

    private let keeps: Set<String>
    private var open: [Suspect]
    private var asked: [Expectation] = []
    private var steps = 0

    public private(set) var counts: [RowDifference.Kind: Int64] = [:]
    public private(set) var named: [RowDifference] = []
    /// Where the differences lie, by table.
    public private(set) var ranges: [String: [KeyRange]] = [:]
    /// Tables that were not looked through to the end.
    public private(set) var unfinished: Set<String> = []

    /// - Parameter keeps: tables in which rows that HQ does not have any more stay; those are no difference.
    public init(_ suspects: [Suspect], keeps: Set<String>) {
        open = suspects
        self.keeps = keeps
    }

    public var isOpen: Bool { !open.isEmpty }
    public var isEmpty: Bool { ranges.values.allSatisfy(\.isEmpty) && unfinished.isEmpty }

    /// What HQ shall take apart next. The newest first, so that little is open at any time.
    public mutating func next() -> [Suspect] {
        steps += 1
        if steps > Narrowing.stepsMax { giveUp() }
        let taken = Array(open.suffix(Narrowing.suspectsMax))
        open.removeLast(taken.count)
        return taken
    }

    private mutating func giveUp() {
        for suspect in open {
            unfinished.insert(suspect.table)
            ranges[suspect.table, default: []].append(suspect.range)
        }
        open = []
    }

    /// The question to the store: one entry for each table and kind of answer.
    public mutating func ask(_ expectations: [Expectation]) -> [HubLetter.Examine.Table] {
        asked = []
        var tables: [HubLetter.Examine.Table] = []
        for (table, isRows) in order(of: expectations) {
            let those = expectations.filter { $0.table == table && $0.isRows == isRows }
            asked += those
            tables.append(
                HubLetter.Examine.Table(
                    name: table, ranges: those.map(\.range), rows: isRows,
                    values: isRows && named.count < Narrowing.shownMax))
        }
        return tables
    }

    private func order(of expectations: [Expectation]) -> [(String, Bool)] {
        var order: [(String, Bool)] = []
        for one in expectations where !order.contains(where: { $0 == one.table && $1 == one.isRows }) {
            order.append((one.table, one.isRows))
        }
        return order
    }

    /// Compares the answer with what was expected.
    /// - Returns: why a table cannot be examined any more, or that the answer is not one to the question; nil when all
    ///   is well.
    public mutating func take(_ tables: [AgentLetter.Digests.Table]) -> String? {
        if let fault = tables.compactMap(\.fault).first { return fault }
        let answers = tables.flatMap(\.ranges)
        guard answers.count == asked.count else { return "the store's answer is not one to the question" }
        for (expected, answer) in zip(asked, answers) {
            switch expected {
            case .part(let table, let range, let digest):
                if answer.digest != digest { open.append(Suspect(table: table, range: range, count: digest.count)) }
            case .rows(let table, let range, let rows): compare(table, range, rows, answer)
            }
        }
        asked = []
        return nil
    }

    private mutating func compare(
        _ table: String, _ range: KeyRange, _ rows: [[KeyValue]: ExpectedRow], _ answer: AgentLetter.Digests.Range
    ) {
        var there: [[KeyValue]: AgentLetter.Digests.Row] = [:]
        for row in answer.rows { there[row.key] = row }
        // What did not fit into the answer is asked for anew.
        let here = answer.next.map { next in rows.filter { $0.key.lexicographicallyPrecedes(next) } } ?? rows
        if let next = answer.next {
            let rest = KeyRange(lower: next, upper: range.upper)
            // An answer without a single row would be asked for for ever.
            if answer.rows.isEmpty {
                unfinished.insert(table)
                ranges[table, default: []].append(rest)
                return
            }
            open.append(Suspect(table: table, range: rest, count: Int64(rows.count - here.count)))
        }
        var found: [RowDifference] = []
        for (key, row) in here {
            guard let other = there[key] else {
                found.append(RowDifference(table: table, key: key, kind: .missing))
                continue
            }
            guard other.sha256 != row.sha256 else { continue }
            found.append(
                RowDifference(table: table, key: key, kind: .changed, columns: differing(row.values, other.values)))
        }
        if !keeps.contains(table) {
            for key in there.keys where here[key] == nil {
                found.append(RowDifference(table: table, key: key, kind: .extra))
            }
        }
        guard !found.isEmpty else { return }
        for difference in found { counts[difference.kind, default: 0] += 1 }
        found.sort { $0.key.lexicographicallyPrecedes($1.key) }
        named += found.prefix(Narrowing.namedMax - named.count)
        ranges[table, default: []].append(KeyRange(lower: range.lower, upper: answer.next ?? range.upper))
    }
}

/// Columns that differ, as far as it is told what is in them.
private func differing(_ hq: [KeyValue?], _ store: [KeyValue?]) -> [RowDifference.Column] {
    zip(hq, store).enumerated().compactMap { index, pair in
        let here = pair.0?.cut(to: ProofLimits.shownBytesMax)
        return here == pair.1 ? nil : RowDifference.Column(index: index, hq: here, store: pair.1)
    }
}

extension Expectation {
    var table: String {
        switch self {
        case .part(let table, _, _), .rows(let table, _, _): table
        }
    }

    var range: KeyRange {
        switch self {
        case .part(_, let range, _), .rows(_, let range, _): range
        }
    }

    var isRows: Bool { if case .rows = self { true } else { false } }
}
