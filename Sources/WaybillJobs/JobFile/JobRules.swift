import WaybillModel

/// What must hold between the parts of a job, as far as the file alone can tell.
struct JobRules {
    let job: Job
    let section: Section

    func check() {
        checkTables()
        checkSlices()
        checkOrder()
        checkReferences()
        if job.follows.contains(job.id) { section.fault("follows", "job \(job.id) cannot follow itself") }
    }

    private func fault(_ line: Int, _ message: String, hint: String? = nil) {
        section.sink.add(line, message, hint: hint)
    }

    private func checkTables() {
        var seen: Set<String> = []
        for subjob in job.subjobs where !seen.insert(subjob.table.name.lowercased()).inserted {
            fault(subjob.line, "table \(subjob.table.name) is filled twice")
        }
        seen = []
        for table in job.prepare where !seen.insert(table.name.lowercased()).inserted {
            fault(table.query.line, "'prepare' makes table \(table.name) twice")
        }
        for table in job.prepare {
            for prefix in ["slice_", "changed_", "now_", "staged"] where table.name.lowercased().hasPrefix(prefix) {
                fault(
                    table.query.line, "a table of 'prepare' cannot be called \(table.name)", hint: "\(prefix)… is ours")
            }
        }
        for subjob in job.subjobs {
            let columns = Set(subjob.table.columns.map(\.name))
            for name in columns.sorted() where ["_scope", "_born", "_died"].contains(name.lowercased()) {
                fault(subjob.line, "a column cannot be called \(name)", hint: "_scope, _born and _died are ours")
            }
            if subjob.table.name.lowercased().hasSuffix("__removed") {
                fault(subjob.line, "a table cannot be called \(subjob.table.name)", hint: "…__removed is ours")
            }
            for (name, was) in subjob.formerNames.sorted(by: { $0.key < $1.key }) where columns.contains(was) {
                fault(subjob.line, "column \(name) was \(was), but \(was) is a column still")
            }
            if Set(subjob.formerNames.values).count < subjob.formerNames.count {
                fault(subjob.line, "two columns of table \(subjob.table.name) had the same name before")
            }
            for column in subjob.index where !columns.contains(column) {
                fault(subjob.line, "table \(subjob.table.name) has no column \(column) for 'index'")
            }
        }
    }

    private func checkSlices() {
        let names = job.slices.map(\.name)
        for subjob in job.subjobs {
            guard let slice = subjob.slice else { continue }
            if !names.contains(slice.slice) {
                fault(
                    subjob.line, "there is no slice '\(slice.slice)'",
                    hint: nearestName(to: slice.slice, among: names).map { "did you mean '\($0)'?" })
            }
            let column = subjob.table.columns.first { $0.name == slice.column }
            if column == nil || column?.isNullable == true {
                fault(subjob.line, "'slice' needs a column of table \(subjob.table.name) that is never null")
            }
        }
    }

    private func checkOrder() {
        let names = Set(job.subjobs.map(\.table.name))
        for subjob in job.subjobs {
            for other in subjob.after where !names.contains(other) {
                fault(subjob.line, "'after' names \(other), which is no table of this job")
            }
        }
        var done: Set<String> = []
        var left = job.subjobs
        while let next = left.firstIndex(where: { done.isSuperset(of: $0.after) }) {
            done.insert(left.remove(at: next).table.name)
        }
        if let stuck = left.first, names.isSuperset(of: left.flatMap(\.after)) {
            fault(stuck.line, "'after' goes in a circle: \(left.map(\.table.name).joined(separator: ", "))")
        }
    }
}
