import Foundation
import WaybillJobs
import WaybillModel

/// Compiles every query of a job against HQ's tables, without running any: finds what is wrong with them, and what
/// they read.
struct JobAnalysis {
    let job: Job
    private let inspector: Inspector
    private var reads = JobReads()
    private var faults: [JobFault] = []

    /// - Throws: ``JobFaults`` with all that is wrong.
    static func reads(of job: Job, hqPath: String) throws -> JobReads {
        do {
            var analysis = JobAnalysis(job: job, inspector: try Inspector(hqPath: hqPath))
            try analysis.run()
            guard analysis.faults.isEmpty else { throw JobFaults(analysis.faults) }
            return analysis.reads
        } catch let fault as Inspector.Fault {
            throw JobFaults([JobFault(file: job.file ?? "\(job.id)", line: 0, message: fault.message)])
        }
    }

    private init(job: Job, inspector: Inspector) {
        self.job = job
        self.inspector = inspector
    }

    private mutating func run() throws {
        try makeNowTables()
        try makeChangedTables()
        try inspectSlices()
        for table in job.prepare { try inspect(table) }
        for subjob in job.subjobs { try inspect(subjob) }
        try findShapes()
        checkUses()
    }

    // MARK: faults

    private mutating func fault(_ line: Int, _ message: String, hint: String? = nil) {
        faults.append(JobFault(file: job.file ?? "\(job.id)", line: line, message: message, hint: hint))
    }

    /// Compiles a text; a fault in it is noted at its line, with what may have been meant.
    private mutating func inspect(_ sql: SQLText, _ place: String) throws -> Inspector.Query? {
        if let hidden = try hiddenTable(in: sql.text) {
            fault(
                sql.line, "\(place): '\(hidden)' is also the name of a table of ours, which would be read instead",
                hint: "write hq.\(hidden) AS \(hidden)")
            return nil
        }
        do {
            let query = try inspector.inspect(sql.text)
            if let reader = try clockReader(sql.text, query) {
                fault(
                    sql.line, "\(place) reads the clock (\(reader))",
                    hint: "what stores hold must depend on HQ's tables alone; see drop_expired_after_days")
                return nil
            }
            return query
        } catch let found as Inspector.Fault {
            let before = sql.text.utf8.prefix(found.offset ?? offset(of: found, in: sql.text))
            let line = sql.line + before.count { $0 == UInt8(ascii: "\n") }
            fault(sql.line > 0 ? line : 0, "\(place): \(found.message)", hint: try hint(found.message))
            return nil
        }
    }

    /// What in a text, or in a view that it reads, asks for the time of day: SQLite tells which functions a query calls,
    /// and not whether they are asked about today.
    private func clockReader(_ text: String, _ query: Inspector.Query) throws -> String? {
        let views = try inspector.views(query.hqTables).sorted { $0.key < $1.key }
        for (view, text) in [("", text)] + views.map({ ($0.key, $0.value) }) {
            let pattern =
                #"(?i)'now'|\b(date|time|datetime|julianday|unixepoch)\s*\(\s*\)|\bstrftime\s*\(\s*'[^']*'\s*\)"#
            guard let found = text.range(of: pattern, options: .regularExpression) else { continue }
            return text[found] + (view.isEmpty ? "" : " in view \(view)")
        }
        return nil
    }

    /// An HQ table that a text names plainly although a table of `rows.db` has the same name.
    private func hiddenTable(in text: String) throws -> String? {
        let names = Set(try inspector.tableNames().map { $0.lowercased() })
        return RowsSchema.tables.filter(names.contains).first { name in
            text.range(of: "(?i)\\b(from|join)\\s+\(name)\\b", options: .regularExpression) != nil
        }
    }

    /// SQLite does not say where it missed a table; its name stands there.
    private func offset(of fault: Inspector.Fault, in text: String) -> Int {
        guard let name = fault.message.split(separator: ": ").last?.split(separator: ".").last,
            fault.message.hasPrefix("no such "), let found = text.range(of: name)
        else { return 0 }
        return text.utf8.distance(from: text.startIndex, to: found.lowerBound)
    }

    private func hint(_ message: String) throws -> String? {
        let marker = ["no such table: ", "no such column: "].first { message.hasPrefix($0) }
        guard let marker else { return nil }
        let name = String(message.dropFirst(marker.count).split(separator: ".").last ?? "")
        let tables = try inspector.tableNames()
        if marker.contains("table") {
            if let near = nearestName(to: name, among: tables) { return "did you mean '\(near)'?" }
            return "HQ's tables are \(tables.prefix(30).joined(separator: ", "))"
        }
        let columns = Set(try tables.flatMap { try inspector.table($0)?.columns ?? [] })
        return nearestName(to: name, among: columns.sorted()).map { "did you mean '\($0)'?" }
    }

    private func direct(_ query: Inspector.Query) -> JobReads.Direct {
        let prepared = Set(job.prepare.map(\.name))
        func names(_ prefix: String) -> Set<String> {
            Set(query.temporary.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) })
        }
        return JobReads.Direct(
            hqTables: query.hqTables.filter { !$0.hasPrefix("_waybill") && !$0.hasPrefix("sqlite_") },
            prepared: query.temporary.intersection(prepared), slices: names("slice_"), now: names("now_"),
            changed: names("changed_"))
    }

    // MARK: the job's own tables

    private func create(_ name: String, _ columns: [String]) throws {
        let list = columns.map { "\"\($0)\"" }.joined(separator: ", ")
        try inspector.run("CREATE TEMP TABLE \"\(name)\" (\(list))")
    }

    private func makeNowTables() throws {
        for subjob in job.subjobs {
            try create(
                "now_" + subjob.table.name, ["scope"] + subjob.table.columns.map(\.name).filter { $0 != "scope" })
        }
    }

    /// HQ tables whose changes the slices are about.
    private var watched: Set<String> {
        Set(job.slices.flatMap(\.touched.keys)).subtracting([Slice.any]).union(job.remembered)
    }

    private mutating func makeChangedTables() throws {
        for name in watched.sorted() {
            guard let table = try inspector.table(name) else {
                let near = nearestName(to: name, among: try inspector.tableNames()).map { "did you mean '\($0)'?" }
                fault(0, "HQ has no table '\(name)', which 'touched' or 'remember' names", hint: near)
                continue
            }
            reads.shapes[name] = JobReads.Shape(
                columns: table.columns, key: table.key, hasOtherUniqueKeys: try inspector.hasOtherUniqueKeys(name))
            reads.watchedTables.insert(name)
            try create("changed_" + name, job.remembered.contains(name) ? table.columns : table.key)
        }
    }

    private mutating func inspectSlices() throws {
        for slice in job.slices {
            var column = "value"
            if let all = slice.all, let query = try inspect(all, "'all' of slice \(slice.name)") {
                column = query.columns[0]
                reads.all[slice.name] = direct(query)
            }
            reads.sliceColumns[slice.name] = column
            try create(slice.table, [column])
            for (table, sql) in slice.touched.sorted(by: { $0.key < $1.key }) {
                guard let query = try inspect(sql, "'touched' of slice \(slice.name), \(table)") else { continue }
                if query.columns.count != 1 {
                    fault(sql.line, "'touched' of slice \(slice.name), \(table), must give one column")
                }
                reads.touched[slice.name, default: [:]][table] = direct(query)
            }
        }
    }

    private mutating func inspect(_ table: PrepareTable) throws {
        // A temporary table stands before all others of its name, in our own statements as well.
        let name = table.name.lowercased()
        let prefixes = [RowsSchema.rowsPrefix, RowsSchema.endedPrefix, "remembered_"]
        if RowsSchema.tables.contains(name) || prefixes.contains(where: name.hasPrefix) {
            fault(table.query.line, "a table of 'prepare' cannot be called \(table.name)", hint: "that name is ours")
            return
        }
        if try inspector.tableNames().contains(where: { $0.lowercased() == name }) {
            fault(
                table.query.line, "a table of 'prepare' cannot be called \(table.name)",
                hint: "HQ has a table of that name, which would be hidden")
            return
        }
        guard let query = try inspect(table.query, "table \(table.name) of 'prepare'") else { return }
        reads.prepare[table.name] = direct(query)
        for column in table.index where !query.columns.contains(column) {
            fault(table.query.line, "table \(table.name) of 'prepare' has no column \(column) for its index")
        }
        try create(table.name, query.columns)
    }

    // MARK: subjobs

    private mutating func inspect(_ subjob: Subjob) throws {
        let name = subjob.table.name
        if let query = try inspect(subjob.query, "rows of table \(name)") {
            let missing = subjob.table.columns.map(\.name).filter { !query.columns.contains($0) }
            for column in missing {
                let near = nearestName(to: column, among: query.columns).map { "did you mean '\($0)'?" }
                fault(
                    subjob.query.line, "rows of table \(name): the query gives no column '\(column)'",
                    hint: near ?? "it gives \(query.columns.joined(separator: ", "))")
            }
            var isWhole = missing.isEmpty
            if case .column(let scope, _) = subjob.stores, !query.columns.contains(scope) {
                fault(
                    subjob.query.line, "rows of table \(name): the query gives no column '\(scope)'",
                    hint: "'stores' of this table needs it")
                isWhole = false
            }
            // The filter shows only in the whole statement.
            if isWhole, let filter = subjob.filter {
                let before = subjob.rows.range(of: filter.text, options: .backwards)?.lowerBound
                let lines = subjob.rows[..<(before ?? subjob.rows.startIndex)].count { $0 == "\n" }
                let whole = SQLText(subjob.rows, line: filter.line > 0 ? filter.line - lines : 0)
                if let query = try inspect(whole, "'where' of table \(name)") { reads.rows[name] = direct(query) }
            } else {
                reads.rows[name] = direct(query)
            }
        }
        try inspectMembers(subjob)
        try inspectExplanations(subjob)
    }

    private mutating func inspectMembers(_ subjob: Subjob) throws {
        let place = "members of table \(subjob.table.name)"
        guard case .column(_, let members) = subjob.stores else {
            if let query = try inspect(SQLText(subjob.members), place) {
                reads.members[subjob.table.name] = direct(query)
            }
            return
        }
        guard let query = try inspect(members, place) else { return }
        if query.columns.count != 2 {
            fault(members.line, "\(place): the query must give two columns, the store's id and what it sees")
        }
        reads.members[subjob.table.name] = direct(query)
    }

    private mutating func inspectExplanations(_ subjob: Subjob) throws {
        let place = "'why' of table \(subjob.table.name)"
        let explanation = subjob.explanation
        // Where there is a row, all of it is known.
        for (sql, columns) in [
            (explanation.present, subjob.table.columns.map(\.name)), (explanation.absent, subjob.table.key),
        ] {
            guard let sql, let query = try inspect(sql, place) else { continue }
            if query.columns != ["source", "reason"] {
                fault(sql.line, "\(place) must give the columns source and reason")
            }
            let known = Set([":store", ":today"] + columns.map { ":" + $0 })
            for parameter in query.parameters where !known.contains(parameter) {
                fault(
                    sql.line, "\(place) has no parameter \(parameter)",
                    hint: "there are \(known.sorted().joined(separator: ", "))")
            }
            for table in query.temporary.sorted() {
                fault(sql.line, "\(place) reads \(table), which is there only while the job runs")
            }
        }
    }

    // MARK: together

    private mutating func findShapes() throws {
        try findWatched()
        reads.views = try inspector.views(reads.named)
        for name in reads.named.union(job.inputs) where reads.shapes[name] == nil {
            guard try !inspector.isView(name), let table = try inspector.table(name) else { continue }
            reads.shapes[name] = JobReads.Shape(
                columns: table.columns, key: table.key, hasOtherUniqueKeys: try inspector.hasOtherUniqueKeys(name))
        }
        for (name, shape) in reads.shapes.sorted(by: { $0.key < $1.key }) {
            if shape.key.isEmpty {
                fault(0, "HQ table \(name) has no primary key, so its changes cannot be captured")
            }
            if shape.key.count > Limits.keyColumnsMax {
                fault(0, "HQ table \(name) has a primary key of more than \(Limits.keyColumnsMax) columns")
            }
        }
        for name in job.inputs where try inspector.table(name) == nil {
            let near = nearestName(to: name, among: try inspector.tableNames()).map { "did you mean '\($0)'?" }
            fault(0, "HQ has no table '\(name)', which 'inputs' names", hint: near)
        }
    }

    /// Tables whose changes start the job need not be read by it: one may be written when all others are complete.
    private mutating func findWatched() throws {
        for name in job.triggers.online?.tables ?? [] {
            if try inspector.isView(name) {
                fault(0, "'watch' names \(name), which is a view", hint: "name the tables that it reads")
                continue
            }
            guard let table = try inspector.table(name) else {
                let near = nearestName(to: name, among: try inspector.tableNames()).map { "did you mean '\($0)'?" }
                fault(0, "HQ has no table '\(name)', which 'watch' names", hint: near)
                continue
            }
            reads.triggering.insert(name)
            if reads.shapes[name] == nil {
                reads.shapes[name] = JobReads.Shape(columns: table.columns, key: table.key)
            }
        }
    }

    /// A query over a part of the values can be trusted only for that part.
    private mutating func checkUses() {
        for subjob in job.subjobs {
            let name = subjob.table.name
            for table in reads.rows[name]?.now ?? [] where table != name && !subjob.after.contains(table) {
                fault(subjob.line, "rows of table \(name) read now_\(table)", hint: "add 'after: [\(table)]'")
            }
            for table in reads.members[name]?.now ?? [] where table != name && !subjob.after.contains(table) {
                fault(subjob.line, "members of table \(name) read now_\(table)", hint: "add 'after: [\(table)]'")
            }
            if let used = subjob.slice?.slice {
                for other in reads.allRows(name).slices.subtracting([used]).sorted() {
                    fault(
                        subjob.line, "table \(name) is sliced by \(used), but its rows are worked out by slice \(other)"
                    )
                }
            }
        }
        for slice in job.slices where slice.all == nil {
            let isRead =
                reads.prepare.values.contains { $0.slices.contains(slice.name) }
                || reads.rows.values.contains { $0.slices.contains(slice.name) }
            if isRead { fault(0, "slice \(slice.name) is read by queries, so it needs 'all'") }
        }
    }
}

extension Rows {
    /// Finds all that is wrong with a job's queries, given HQ's tables as they are.
    ///
    /// - Throws: ``WaybillJobs/JobFaults``.
    public static func check(_ job: Job, hqPath: String) throws -> JobReads {
        try JobAnalysis.reads(of: job, hqPath: hqPath)
    }
}
