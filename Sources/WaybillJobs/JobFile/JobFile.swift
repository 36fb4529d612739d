import WaybillModel
import Yams

/// Reads a job from YAML, or tells all that is wrong with the text. What only `hq.db` can tell is checked elsewhere.
public enum JobFile {
    /// Bytes of a job file: the longest that comes with Waybill has 14,000.
    public static let bytesMax = 1024 * 1024

    static let settings = [
        "job", "title", "inputs", "follows", "triggers", "retry", "limits", "delivery", "slices", "remember",
        "prepare", "subjobs", "verify",
    ]

    /// - Parameter file: the file's name, for faults and for ``Job/file``.
    /// - Throws: ``JobFaults``.
    public static func read(_ text: String, file: String) throws(JobFaults) -> Job {
        let sink = FaultSink(file: file)
        guard text.utf8.count <= bytesMax else {
            sink.add(0, "the file has more than \(bytesMax / 1024) KiB")
            throw JobFaults(sink.faults)
        }
        let job = compose(text, sink).flatMap { read($0, file: file, sink) }
        guard let job, sink.faults.isEmpty else { throw JobFaults(sink.faults) }
        return job
    }

    /// The job's name, when at least that can be made out.
    static func name(in text: String) -> JobID? {
        guard text.utf8.count <= bytesMax, let node = try? Yams.compose(yaml: text) else { return nil }
        return (node["job"]?.string).flatMap { JobID($0) }
    }

    private static func compose(_ text: String, _ sink: FaultSink) -> Node? {
        do {
            if let node = try Yams.compose(yaml: text) { return node }
            sink.add(0, "the file is empty", hint: "a job begins with 'job: NAME'")
        } catch let error as YamlError {
            sink.add(line(of: error), "this is no YAML: \(sentence(error))")
        } catch {
            sink.add(0, "this is no YAML: \(error)")
        }
        return nil
    }

    private static func line(of error: YamlError) -> Int {
        switch error {
        case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _): mark.line
        case .duplicatedKeysInMapping(_, let context): context.mark.line
        default: 0
        }
    }

    private static func sentence(_ error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, _, _), .parser(_, let problem, _, _), .composer(_, let problem, _, _): problem
        case .duplicatedKeysInMapping(let keys, _):
            "the same setting stands there twice: \(keys.map { "\($0)" }.joined(separator: ", "))"
        default: "\(error)"
        }
    }

    private static func read(_ node: Node, file: String, _ sink: FaultSink) -> Job? {
        guard let section = Section(node, "a job", known: settings, sink) else { return nil }
        let name = section.required("job", hint: "it names the job in every listing")
        let id = name.flatMap { isJobName($0) ? JobID($0) : nil }
        if let name, id == nil {
            section.fault(
                "job", "'\(name)' cannot name a job", hint: "letters, digits, '-', '_' and '.', as 'promotions'")
        }
        let subjobs = section.nodes("subjobs").compactMap { SubjobReader(sink: sink).subjob($0) }
        if section.node("subjobs") == nil { sink.add(section.line, "a job has no 'subjobs'") }
        if subjobs.count > Limits.tablesMax {
            section.fault("subjobs", "a job may fill \(Limits.tablesMax) tables; this has \(subjobs.count)")
        }
        let triggers = TriggerReader(sink: sink)
        let delivery = triggers.delivery(section)
        guard let id else { return nil }
        let job = Job(
            id: id, title: section.string("title") ?? id.rawValue, inputs: section.plainNames("inputs"),
            prepare: prepare(section), subjobs: subjobs, slices: slices(section),
            remembered: section.plainNames("remember"), follows: follows(section), triggers: triggers.triggers(section),
            runPolicy: triggers.retry(section), limits: limits(section), deliveryWindow: delivery.window,
            tryCount: delivery.tryCount ?? Limits.tryCount, verification: VerificationPolicy(reading: section),
            file: file)
        JobRules(job: job, section: section).check()
        return job
    }

    /// Names of job files travel in addresses and file names.
    private static func isJobName(_ name: String) -> Bool {
        name.utf8.allSatisfy {
            (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || [45, 46, 95].contains($0)
        } && !name.hasPrefix(".") && !name.hasPrefix("-")
    }

    private static func follows(_ section: Section) -> [JobID] {
        section.strings("follows").compactMap { name in
            if let id = JobID(name) { return id }
            section.fault("follows", "'\(name)' cannot name a job")
            return nil
        }
    }

    private static func prepare(_ section: Section) -> [PrepareTable] {
        section.nodes("prepare").compactMap { node in
            guard let entry = Section(node, "an entry of 'prepare'", known: ["table", "query", "index"], section.sink),
                let name = entry.requiredName("table"), let query = entry.requiredSQL("query")
            else { return nil }
            return PrepareTable(name: name, query: query, index: entry.plainNames("index"))
        }
    }

    private static func slices(_ section: Section) -> [Slice] {
        guard let (node, _) = section.node("slices"), let slices = Section(node, "'slices'", known: [], section.sink)
        else { return [] }
        return slices.all.compactMap { name, node, _ in
            guard TableShape.isPlainName(name) else {
                section.fault("slices", "'\(name)' cannot be a name")
                return nil
            }
            guard let slice = Section(node, "slice \(name)", known: ["all", "touched"], section.sink) else {
                return nil
            }
            var touched: [String: SQLText] = [:]
            if let (node, _) = slice.node("touched"), let tables = Section(node, "'touched'", known: [], section.sink) {
                for (table, node, _) in tables.all { touched[table] = Section.sql(node, table, section.sink) }
            } else if slice.node("touched") == nil {
                section.sink.add(slice.line, "slice \(name) has no 'touched'")
            }
            return Slice(name: name, all: slice.sql("all"), touched: touched)
        }
    }

    private static let limitSettings = [
        "max_removed_percent", "removed_rows_free", "max_price_change_percent", "max_rows",
    ]

    /// More rows than any store has.
    private static let rowsMax = 1_000_000_000_000

    private static func limits(_ section: Section) -> ChangeLimits {
        var limits = ChangeLimits()
        guard let (node, _) = section.node("limits"),
            let entries = Section(node, "'limits'", known: limitSettings, section.sink)
        else { return limits }
        func number(_ key: String) -> Double?? {
            guard let text = entries.string(key) else { return nil }
            if text == "none" { return .some(nil) }
            guard let value = Double(text), value >= 0, value.isFinite else {
                entries.fault(key, "'\(key)' must be a number, or 'none' for no limit")
                return nil
            }
            return value
        }
        if let value = number("max_removed_percent") { limits.maxRemovedPercent = value }
        if let value = number("max_price_change_percent") { limits.maxPriceChangePercent = value }
        if entries.string("max_rows") == "none" {
            limits.maxRows = nil
        } else if let value = entries.integer("max_rows", in: 0...rowsMax, or: "'none' for no limit") {
            limits.maxRows = Int64(value)
        }
        if let value = entries.integer("removed_rows_free", in: 0...rowsMax) {
            limits.removedRowsFree = Int64(value)
        }
        return limits
    }
}
