import WaybillJobs

/// Which of HQ's tables, and which of the job's own temporary ones, each query of a job reads.
///
/// Decides what has to be worked out again after a change, and what is left alone.
public struct JobReads: Sendable, Equatable {
    /// What one text reads by itself.
    struct Direct: Sendable, Equatable {
        var hqTables: Set<String> = []
        var prepared: Set<String> = []
        var slices: Set<String> = []
        /// Tables of the job whose rows, as they now stand, are read.
        var now: Set<String> = []
        /// `changed_…` tables.
        var changed: Set<String> = []
    }

    /// The same with all that is read by what it reads.
    struct All: Sendable, Equatable {
        var hqTables: Set<String> = []
        var prepared: Set<String> = []
        var slices: Set<String> = []
    }

    /// Columns and key of an HQ table.
    struct Shape: Sendable, Equatable {
        var columns: [String]
        var key: [String]
        /// Whether a row can vanish without a trace in the change log: INSERT OR REPLACE removes rows that hold
        /// another UNIQUE value, and SQLite runs no trigger for them.
        var hasOtherUniqueKeys = false
    }

    var prepare: [String: Direct] = [:]
    var rows: [String: Direct] = [:]
    var members: [String: Direct] = [:]
    /// By slice, then by table (or ``Slice/any``).
    var touched: [String: [String: Direct]] = [:]
    var all: [String: Direct] = [:]
    /// The name of each slice's one column.
    var sliceColumns: [String: String] = [:]
    /// HQ tables that queries read or that slices are about.
    var shapes: [String: Shape] = [:]

    /// All HQ tables that decide what stands in stores.
    public var inputs: Set<String> { named.union(watchedTables).intersection(shapes.keys) }

    /// Tables whose changes slices are about, and those whose rows are remembered.
    var watchedTables: Set<String> = []

    /// HQ tables whose changes start the job, whether or not it reads them.
    var triggering: Set<String> = []

    /// Tables whose changes HQ must note for the job.
    var captured: Set<String> { inputs.union(triggering) }

    /// The views that queries read, with their SQL: what they say is a part of the job's definition.
    var views: [String: String] = [:]

    /// As ``inputs``, with views, which change only when a table behind them does.
    var named: Set<String> {
        var inputs: Set<String> = []
        for table in rows.keys { inputs.formUnion(allRows(table).hqTables) }
        for table in members.keys { inputs.formUnion(allMembers(table).hqTables) }
        return inputs
    }

    /// What the rows of a table depend on.
    func allRows(_ table: String) -> All { close(over: rows[table] ?? Direct()) }

    func allMembers(_ table: String) -> All { close(over: members[table] ?? Direct()) }

    /// Whether a text reads the rows of a table, or their members, as they now stand.
    private func close(over start: Direct) -> All {
        var all = All(hqTables: start.hqTables, prepared: [], slices: start.slices)
        var open = start.prepared
        while let table = open.popFirst() {
            guard all.prepared.insert(table).inserted, let direct = prepare[table] else { continue }
            all.hqTables.formUnion(direct.hqTables)
            all.slices.formUnion(direct.slices)
            open.formUnion(direct.prepared)
        }
        // Rows as they now stand change with whatever made them change; how they were worked out does not matter.
        for table in start.now where rows[table] != start { all.hqTables.formUnion(allRows(table).hqTables) }
        return all
    }
}
