/// Faults in the order of file, line and column, however they were found; counts all, keeps the first ones.
struct FaultList {
    private struct Entry {
        var place: (file: Int, line: Int, column: Int)
        var fault: ImportFault
    }

    private let faultsMax: Int
    /// Told of every fault, listed or only counted. nil in a list of warnings.
    private let verdicts: RowVerdicts?
    private var entries: [Entry] = []
    /// Once entries had to be dropped: the last place that is kept. What comes after it is only counted.
    private var lastKept: (file: Int, line: Int, column: Int)?
    private(set) var total = 0

    init(faultsMax: Int = ImportLimits.faultsMax, verdicts: RowVerdicts? = nil) {
        self.faultsMax = faultsMax
        self.verdicts = verdicts
    }

    /// - Parameters:
    ///   - fileIndex: the file's position in the call.
    ///   - columnIndex: the column's position in the table; -1 for the record as a whole.
    ///   - reason: not called for a fault that is only counted, and not written down with its row.
    mutating func add(
        _ file: ImportFile, _ fileIndex: Int, line: Int, column: String? = nil, columnIndex: Int = -1,
        reason: @autoclosure () -> String
    ) throws {
        total += 1
        let known = verdicts == nil ? nil : reason()
        if let known, line > 0 {
            try verdicts?.note(fileIndex, line: line, column.map { "column \($0): \(known)" } ?? known)
        }
        let place = (fileIndex, line, columnIndex)
        if let lastKept, place > lastKept { return }
        let fault = ImportFault(file: file.displayName, line: line, column: column, reason: known ?? reason())
        entries.append(Entry(place: place, fault: fault))
        // Sorting at twice the bound costs each fault a constant share.
        if entries.count >= 2 * faultsMax { trim() }
    }

    var isEmpty: Bool { total == 0 }

    /// The first faults, in order.
    var first: [ImportFault] {
        var copy = self
        copy.trim()
        return copy.entries.map(\.fault)
    }

    private mutating func trim() {
        // The sort is stable: two faults of one field stay in the order in which they were found.
        entries.sort { $0.place < $1.place }
        guard entries.count > faultsMax else { return }
        entries.removeSubrange(faultsMax...)
        lastKept = entries.last?.place
    }
}
