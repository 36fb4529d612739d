import Foundation
import WaybillModel

// MARK: keys

extension WireKeyValue {
    init(_ key: KeyValue) {
        self.init()
        switch key {
        case .integer(let number): integer = number
        case .real(let number): real = number
        case .text(let bytes): text = Data(bytes)
        case .blob(let bytes): blob = Data(bytes)
        }
    }
}

extension KeyValue {
    init(checking wire: WireKeyValue) throws(LetterFault) {
        switch wire.value {
        case .integer(let number): self = .integer(number)
        case .real(let number):
            guard !number.isNaN else { throw LetterFault("a key is not a number, which no table can hold") }
            self = .real(number)
        case .text(let bytes): self = .text(Array(bytes))
        case .blob(let bytes): self = .blob(Array(bytes))
        case nil: throw LetterFault("a value of a key is missing")
        }
    }
}

private func checkedKey(_ wire: [WireKeyValue]) throws(LetterFault) -> [KeyValue]? {
    guard !wire.isEmpty else { return nil }
    guard wire.count <= Limits.keyColumnsMax else { throw LetterFault("a key has too many values") }
    var key: [KeyValue] = []
    for value in wire { key.append(try KeyValue(checking: value)) }
    return key
}

extension WireKeyRange {
    init(_ range: KeyRange) {
        self.init()
        lower = (range.lower ?? []).map(WireKeyValue.init)
        upper = (range.upper ?? []).map(WireKeyValue.init)
    }
}

extension KeyRange {
    init(checking wire: WireKeyRange) throws(LetterFault) {
        self.init(lower: try checkedKey(wire.lower), upper: try checkedKey(wire.upper))
        guard lower.map(\.count) == upper.map(\.count) || lower == nil || upper == nil else {
            throw LetterFault("the ends of a range have different numbers of values")
        }
    }
}

// MARK: the question

extension WireExamine {
    init(_ examine: HubLetter.Examine) {
        self.init()
        id = examine.id
        step = UInt32(clamping: examine.step)
        job = examine.job.rawValue
        tables = examine.tables.map { table in
            var wire = WireTableQuestion()
            wire.name = table.name
            wire.ranges = table.ranges.map(WireKeyRange.init)
            wire.rows = table.rows
            wire.values = table.values
            return wire
        }
    }
}

extension HubLetter.Examine {
    init(checking wire: WireExamine) throws(LetterFault) {
        guard let job = JobID(wire.job) else { throw LetterFault("the job to examine is not a name") }
        guard wire.tables.count <= Limits.tablesMax,
            wire.tables.reduce(0, { $0 + $1.ranges.count }) <= ProofLimits.rangesMax
        else { throw LetterFault("too much to examine at once") }
        var tables: [Table] = []
        for table in wire.tables {
            guard TableShape.isPlainName(table.name) else { throw LetterFault("a table to examine is not a name") }
            var ranges: [KeyRange] = []
            for range in table.ranges { ranges.append(try KeyRange(checking: range)) }
            tables.append(Table(name: table.name, ranges: ranges, rows: table.rows, values: table.values))
        }
        self.init(id: wire.id, step: Int(wire.step), job: job, tables: tables)
    }
}

// MARK: the answer

extension WireDigests {
    init(_ digests: AgentLetter.Digests) {
        self.init()
        id = digests.id
        step = UInt32(clamping: digests.step)
        if let job = digests.job, let mark = digests.watermark { watermark = WireWatermark(job: job, mark) }
        tables = digests.tables.map { table in
            var wire = WireTableDigests()
            wire.name = table.name
            wire.fault = table.fault ?? ""
            wire.ranges = table.ranges.map(WireRangeDigest.init)
            return wire
        }
    }
}

extension WireRangeDigest {
    init(_ range: AgentLetter.Digests.Range) {
        self.init()
        count = range.digest.count
        digest = Data(range.digest.bytes)
        rows = range.rows.map { row in
            var wire = WireRowDigest()
            wire.key = row.key.map(WireKeyValue.init)
            wire.sha256 = Data(row.sha256)
            wire.values = row.values.map { $0.map(WireKeyValue.init) ?? WireKeyValue() }
            return wire
        }
        next = (range.next ?? []).map(WireKeyValue.init)
    }
}

extension AgentLetter.Digests {
    init(checking wire: WireDigests) throws(LetterFault) {
        guard wire.tables.count <= Limits.tablesMax,
            wire.tables.reduce(0, { $0 + $1.ranges.count }) <= ProofLimits.rangesMax,
            wire.tables.reduce(0, { $0 + $1.ranges.reduce(0) { $0 + $1.rows.count } }) <= ProofLimits.rowsMax
        else { throw LetterFault("too many digests in one message") }
        var tables: [Table] = []
        for table in wire.tables {
            guard TableShape.isPlainName(table.name) else { throw LetterFault("a table of digests is not a name") }
            var ranges: [Range] = []
            for range in table.ranges { ranges.append(try Range(checking: range)) }
            tables.append(
                Table(name: table.name, fault: table.fault.isEmpty ? nil : plainText(table.fault), ranges: ranges))
        }
        var job: JobID?
        var mark: Watermark?
        if wire.hasWatermark {
            guard let name = JobID(wire.watermark.job) else { throw LetterFault("a watermark's job is not a name") }
            job = name
            mark = try Watermark(checking: wire.watermark)
        }
        self.init(id: wire.id, step: Int(wire.step), job: job, watermark: mark, tables: tables)
    }
}

extension AgentLetter.Digests.Range {
    init(checking wire: WireRangeDigest) throws(LetterFault) {
        guard let digest = TableDigest(count: max(0, wire.count), bytes: wire.digest) else {
            throw LetterFault("a digest does not have \(TableDigest.bytesCount) bytes")
        }
        var rows: [AgentLetter.Digests.Row] = []
        for row in wire.rows {
            guard let key = try checkedKey(row.key), row.sha256.count == 32 else {
                throw LetterFault("a row's digest is not a SHA-256 with a key")
            }
            guard row.values.count <= Limits.columnsMax else { throw LetterFault("a row has too many values") }
            var values: [KeyValue?] = []
            for value in row.values { values.append(value.value == nil ? nil : try KeyValue(checking: value)) }
            rows.append(AgentLetter.Digests.Row(key: key, sha256: Array(row.sha256), values: values))
        }
        self.init(digest: digest, rows: rows, next: try checkedKey(wire.next))
    }
}

// MARK: repairs

extension PackageTable {
    static func ranges(_ wire: WireTable, of shape: TableShape) throws(ManifestFault) -> [KeyRange] {
        guard !wire.ranges.isEmpty else { return [] }
        guard wire.ranges.count <= ProofLimits.repairRangesMax else {
            throw ManifestFault("table \(shape.name) is repaired in too many ranges")
        }
        guard wire.removed == 0, !wire.whole else {
            throw ManifestFault("table \(shape.name) is repaired in ranges, and removes rows or is whole as well")
        }
        var ranges: [KeyRange] = []
        for range in wire.ranges {
            do { ranges.append(try KeyRange(checking: range)) } catch {
                throw ManifestFault("a range of table \(shape.name): \(error)")
            }
        }
        for range in ranges {
            for end in [range.lower, range.upper] where end.map({ $0.count != shape.key.count }) ?? false {
                throw ManifestFault("a range of table \(shape.name) has not as many values as the table's key")
            }
        }
        return ranges
    }
}
