import WaybillJobs

/// What a run of a job has to work out: everything, or what the changes since the last run can concern. Pure.
struct Work: Equatable {
    /// How much of a table's rows is worked out.
    enum Extent: Equatable { case nothing, slice, whole }

    var rows: [String: Extent] = [:]
    var members: Set<String> = []
    /// Slices that hold all their values in this run.
    var wholeSlices: Set<String> = []
    /// Slices that hold the values that the changes concern.
    var touchedSlices: Set<String> = []
    /// Temporary tables that the queries of this run read, with those that these read.
    var prepared: Set<String> = []

    /// - Parameter changed: HQ tables with a changed row since the last run; nil when that cannot be told.
    /// - Parameter tooLarge: slices whose touched values are too many for them to pay.
    init(job: Job, reads: JobReads, changed: Set<String>?, tooLarge: Set<String> = []) {
        guard let changed else {
            for subjob in job.subjobs { rows[subjob.table.name] = .whole }
            members = Set(job.subjobs.map(\.table.name))
            wholeSlices = Set(job.slices.filter { $0.all != nil }.map(\.name))
            prepared = Set(job.prepare.map(\.name))
            return
        }
        wholeSlices = tooLarge
        decideRows(job, reads, changed)
        for subjob in job.subjobs where !reads.allMembers(subjob.table.name).hqTables.isDisjoint(with: changed) {
            members.insert(subjob.table.name)
        }
        // A whole slice makes the tables worked out by it whole, and so on; it ends, for slices only become whole.
        while widen(job, reads) { decideRows(job, reads, changed) }
        for subjob in job.subjobs where rows[subjob.table.name] == .slice {
            if let slice = subjob.slice?.slice { touch(slice, reads) }
        }
        for (table, extent) in rows where extent != .nothing {
            prepared.formUnion(reads.allRows(table).prepared)
        }
        for table in members { prepared.formUnion(reads.allMembers(table).prepared) }
        wholeSlices.formIntersection(job.slices.filter { $0.all != nil }.map(\.name))
    }

    private mutating func decideRows(_ job: Job, _ reads: JobReads, _ changed: Set<String>) {
        for subjob in job.subjobs {
            let name = subjob.table.name
            let concerned = reads.allRows(name).hqTables.intersection(changed)
            if concerned.isEmpty {
                rows[name] = .nothing
            } else if let slice = subjob.slice.flatMap({ mine in job.slices.first { $0.name == mine.slice } }),
                !wholeSlices.contains(slice.name),
                slice.touched[Slice.any] != nil || concerned.isSubset(of: slice.touched.keys)
            {
                rows[name] = .slice
            } else {
                rows[name] = .whole
            }
        }
    }

    /// Makes slices whole that whole tables are worked out by. Whether any was not before.
    private mutating func widen(_ job: Job, _ reads: JobReads) -> Bool {
        var whole = wholeSlices
        for subjob in job.subjobs where rows[subjob.table.name] == .whole {
            whole.formUnion(reads.allRows(subjob.table.name).slices)
            if let slice = subjob.slice?.slice { whole.insert(slice) }
        }
        for table in members { whole.formUnion(reads.allMembers(table).slices) }
        for slice in job.slices {
            let others = (reads.touched[slice.name] ?? [:]).values.reduce(into: Set()) { $0.formUnion($1.slices) }
            if !others.isDisjoint(with: whole) { whole.insert(slice.name) }
        }
        defer { wholeSlices = whole }
        return whole != wholeSlices
    }

    /// Notes that a slice's touched values are needed, and those of the slices that its queries read.
    private mutating func touch(_ slice: String, _ reads: JobReads) {
        guard !wholeSlices.contains(slice), touchedSlices.insert(slice).inserted else { return }
        for direct in (reads.touched[slice] ?? [:]).values {
            for other in direct.slices { touch(other, reads) }
        }
    }
}
