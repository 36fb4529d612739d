/// Aligned columns for a terminal: numbers to the right, the last column cut where the screen ends.
public struct TextTable: Sendable {
    public struct Cell: Sendable {
        var text: String
        var style: Style

        public init(_ text: String, _ style: Style = .plain) {
            self.text = TerminalText.plain(text)
            self.style = style
        }
    }

    /// Columns that the last one, usually a message, should at least have before optional ones give way to it.
    private static let lastColumnsMin = 24

    private var titles: [String]
    private let numeric: Set<Int>
    private let optional: Set<Int>
    private var rows: [[Cell]] = []

    /// - Parameter titles: a leading `>` makes the column right-aligned, as numbers are; a leading `?`, before that,
    ///   lets it give way on a narrow screen, the rightmost one first.
    public init(_ titles: String...) {
        self.titles = titles.map { String($0.drop { $0 == "?" || $0 == ">" }) }
        numeric = Set(titles.indices.filter { titles[$0].hasPrefix(">") || titles[$0].hasPrefix("?>") })
        optional = Set(titles.indices.filter { titles[$0].hasPrefix("?") })
    }

    /// A table whose columns are known at run time only, all left-aligned.
    static func of(_ titles: [String], _ rows: [[String]], _ screen: Screen) -> [String] {
        var table = TextTable()
        table.titles = titles.map(TerminalText.plain)
        table.rows = rows.map { $0.map { Cell($0) } }
        return table.lines(screen)
    }

    public mutating func add(_ cells: Cell...) {
        rows.append(cells)
    }

    public func lines(_ screen: Screen) -> [String] {
        let shown = shownColumns(screen)
        let widths = shown.map(width)
        let heading = shown.map { Cell(titles[$0], .heading) }
        return ([heading] + rows.map { row in shown.map { $0 < row.count ? row[$0] : Cell("") } })
            .map { line($0, columns: shown, widths: widths, screen) }
    }

    private func shownColumns(_ screen: Screen) -> [Int] {
        var shown = titles.indices.filter { column in
            // A last column without any content, usually the message, is not worth its heading.
            column < titles.count - 1 || rows.contains { column < $0.count && !$0[column].text.isEmpty }
        }
        guard let limit = screen.columns, let last = shown.last else { return shown }
        func needed() -> Int {
            shown.dropLast().reduce(0) { $0 + width($1) + 2 } + min(width(last), TextTable.lastColumnsMin)
        }
        while needed() > limit, let victim = shown.last(where: { optional.contains($0) && $0 != last }) {
            shown.removeAll { $0 == victim }
        }
        return shown
    }

    private func width(_ column: Int) -> Int {
        rows.reduce(TerminalText.width(titles[column])) {
            column < $1.count ? max($0, TerminalText.width($1[column].text)) : $0
        }
    }

    private func line(_ cells: [Cell], columns: [Int], widths: [Int], _ screen: Screen) -> String {
        var line = ""
        var used = 0
        for (index, cell) in cells.enumerated() {
            let isLast = index == cells.count - 1
            var text = TerminalText.padded(cell.text, to: widths[index], right: numeric.contains(columns[index]))
            if isLast, !numeric.contains(columns[index]) { text = cell.text }
            if let limit = screen.columns {
                guard used < limit else { break }
                text = TerminalText.truncated(text, to: limit - used)
            }
            line += cell.style.applied(to: text, colour: screen.hasColour)
            used += TerminalText.width(text)
            if !isLast {
                line += "  "
                used += 2
            }
        }
        while line.last == " " { line.removeLast() }
        return line
    }
}
