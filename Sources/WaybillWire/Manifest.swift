import Foundation
import SwiftProtobuf
import WaybillModel

/// One table of a package.
public struct PackageTable: Hashable, Sendable {
    public var shape: TableShape
    /// Rows of table `<name>`.
    public var rows: Int64
    /// Keys of table `<name>__removed`.
    public var removed: Int64
    /// In a delta: all rows are there, and the store's table becomes exactly these.
    public var isWhole: Bool
    /// Rows of the store that are not in the package stay, whatever its kind.
    public var keepsRows: Bool
    /// For columns that were renamed: the name before, by the name now.
    public var formerNames: [String: String]
    /// In a repair: the only rows that the package is about. They become exactly the package's.
    public var ranges: [KeyRange]
    /// Columns that hold the key of a row of another table of the job: that table, by column.
    public var references: [String: String]

    public init(
        shape: TableShape, rows: Int64, removed: Int64, isWhole: Bool = false, keepsRows: Bool = false,
        formerNames: [String: String] = [:], ranges: [KeyRange] = [], references: [String: String] = [:]
    ) {
        self.shape = shape
        self.rows = rows
        self.removed = removed
        self.isWhole = isWhole
        self.keepsRows = keepsRows
        self.formerNames = formerNames
        self.ranges = ranges
        self.references = references
    }
}

/// A manifest that does not describe a package we would touch, in one sentence.
public struct ManifestFault: Error, Hashable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// What a package is, what is in it and what it may be applied over. Signed by the hub; checked before it is believed.
public struct Manifest: Hashable, Sendable {
    public var job: JobID
    public var session: SessionID
    /// Where a store stands after applying it.
    public var version: WaybillModel.Version
    public var kind: PackageKind
    /// Watermarks that a delta may be applied over; empty for a full package.
    public var bases: [Watermark]
    /// Every table of the job, in the order in which they are applied.
    public var tables: [PackageTable]
    public var created: Timestamp
    /// How long this package may keep a till that writes waiting; nil for what the store has configured.
    public var lockBudgetMilliseconds: Int?

    /// SHA-256 of the compressed file; also its name.
    public var id: PackageID
    /// Compressed size.
    public var bytes: Int64
    public var chunkBytes: Int
    /// SHA-256 of each chunk.
    public var chunkHashes: [PackageID]

    /// SHA-256 of the SQLite file inside.
    public var rawSHA256: PackageID
    public var rawBytes: Int64

    public init(
        job: JobID, session: SessionID, version: WaybillModel.Version, kind: PackageKind, bases: [Watermark],
        tables: [PackageTable],
        created: Timestamp, lockBudgetMilliseconds: Int? = nil, id: PackageID, bytes: Int64, chunkBytes: Int,
        chunkHashes: [PackageID], rawSHA256: PackageID, rawBytes: Int64
    ) {
        self.job = job
        self.session = session
        self.version = version
        self.kind = kind
        self.bases = bases
        self.tables = tables
        self.created = created
        self.lockBudgetMilliseconds = lockBudgetMilliseconds
        self.id = id
        self.bytes = bytes
        self.chunkBytes = chunkBytes
        self.chunkHashes = chunkHashes
        self.rawSHA256 = rawSHA256
        self.rawBytes = rawBytes
    }

    /// The length of chunk `index`: `chunkBytes`, but for the last.
    public func chunkLength(_ index: Int) -> Int {
        Int(min(Int64(chunkBytes), bytes - Int64(index) * Int64(chunkBytes)))
    }

    /// The newest format that is read. Written is the oldest that says it all, so that agents who know no other go on
    /// with the jobs that need no other.
    static let newestFormat: UInt32 = 3

    private var format: UInt32 {
        if tables.contains(where: { !$0.ranges.isEmpty }) { return 3 }
        return tables.contains { $0.isWhole || $0.keepsRows } ? 2 : 1
    }

    /// The bytes that are signed and sent.
    public func encoded() throws -> [UInt8] {
        var wire = WireManifest()
        wire.format = format
        wire.job = job.rawValue
        wire.session = session.rawValue
        wire.version.epoch = version.epoch
        wire.version.number = version.number
        wire.kind = kind == .full ? .full : .delta
        wire.bases = bases.map { WireWatermark(job: job, $0) }
        wire.tables = tables.map(WireTable.init)
        wire.created = created.milliseconds
        wire.sha256 = Data(id.bytes)
        wire.bytes = bytes
        wire.chunkBytes = UInt32(chunkBytes)
        wire.chunkSha256 = chunkHashes.map { Data($0.bytes) }
        wire.rawSha256 = Data(rawSHA256.bytes)
        wire.rawBytes = rawBytes
        wire.lockBudgetMs = Int32(clamping: lockBudgetMilliseconds ?? 0)
        return try wire.serializedBytes()
    }

    /// - Throws: ``ManifestFault`` for everything that cannot be, or is beyond ``Limits``.
    public init(decoding bytes: [UInt8]) throws(ManifestFault) {
        let wire: WireManifest
        do { wire = try WireManifest(serializedBytes: bytes) } catch {
            throw ManifestFault("the package's description is not one")
        }
        guard (1...Manifest.newestFormat).contains(wire.format) else {
            throw ManifestFault(
                "the package has format \(wire.format), this agent knows up to \(Manifest.newestFormat); "
                    + "update the agent")
        }
        guard let job = JobID(wire.job), let session = SessionID(wire.session) else {
            throw ManifestFault("the package's job or session is not a name")
        }
        self.job = job
        self.session = session
        version = WaybillModel.Version(epoch: wire.version.epoch, number: wire.version.number)
        created = Timestamp(milliseconds: wire.created)
        switch wire.kind {
        case .delta: kind = .delta
        case .full: kind = .full
        case .unspecified, .UNRECOGNIZED: throw ManifestFault("the package's kind is not known")
        }
        bases = try Manifest.bases(wire, kind: kind)
        tables = try Manifest.tables(wire, kind: kind)
        (id, rawSHA256, chunkHashes) = try Manifest.hashes(wire)
        self.bytes = wire.bytes
        chunkBytes = Int(wire.chunkBytes)
        rawBytes = wire.rawBytes
        // Zero is what a hub says that knows nothing of it, and what has no meaning as a time.
        lockBudgetMilliseconds =
            wire.lockBudgetMs > 0 ? min(Int(wire.lockBudgetMs), Limits.lockBudgetMillisecondsMax) : nil
        guard format <= wire.format else {
            throw ManifestFault("the package has format \(wire.format) and a table of format \(format)")
        }
    }

    private static func bases(_ wire: WireManifest, kind: PackageKind) throws(ManifestFault) -> [Watermark] {
        guard wire.bases.count <= Limits.basesMax else { throw ManifestFault("the package names too many bases") }
        guard wire.bases.isEmpty == (kind == .full) else {
            throw ManifestFault("a delta needs a base, a full package has none")
        }
        var bases: [Watermark] = []
        for base in wire.bases {
            guard base.job == wire.job else { throw ManifestFault("a base is of another job than the package") }
            do { bases.append(try Watermark(checking: base)) } catch { throw ManifestFault("a base: \(error)") }
        }
        return bases
    }

    private static func tables(_ wire: WireManifest, kind: PackageKind) throws(ManifestFault) -> [PackageTable] {
        guard !wire.tables.isEmpty, wire.tables.count <= Limits.tablesMax else {
            throw ManifestFault("a package of \(wire.tables.count) tables")
        }
        var tables: [PackageTable] = []
        var names: Set<String> = []
        for table in wire.tables {
            let checked = try PackageTable(checking: table)
            guard names.insert(checked.shape.name.lowercased()).inserted,
                names.insert(checked.shape.name.lowercased() + "__removed").inserted
            else { throw ManifestFault("the package names table \(checked.shape.name) twice") }
            guard kind == .delta || checked.removed == 0 else { throw ManifestFault("a full package removes rows") }
            guard kind == .delta || !checked.isWhole else {
                throw ManifestFault("table \(checked.shape.name) of a full package is said to be whole")
            }
            guard kind == .delta || checked.ranges.isEmpty else {
                throw ManifestFault("table \(checked.shape.name) of a full package is said to be a repair")
            }
            tables.append(checked)
        }
        return tables
    }

    private static func hashes(
        _ wire: WireManifest
    ) throws(ManifestFault) -> (PackageID, PackageID, [PackageID]) {
        guard wire.bytes > 0, wire.bytes <= Limits.packageBytesMax, wire.rawBytes > 0,
            wire.rawBytes <= Limits.rawBytesMax
        else { throw ManifestFault("the package's size is out of bounds") }
        guard wire.chunkBytes > 0, wire.chunkBytes <= Limits.chunkBytesMax else {
            throw ManifestFault("the package's chunk size is out of bounds")
        }
        let count = (wire.bytes + Int64(wire.chunkBytes) - 1) / Int64(wire.chunkBytes)
        guard count <= Limits.chunksMax, Int64(wire.chunkSha256.count) == count else {
            throw ManifestFault("the package's chunks do not add up")
        }
        let chunks = wire.chunkSha256.compactMap { PackageID(Array($0)) }
        guard let id = PackageID(Array(wire.sha256)), let raw = PackageID(Array(wire.rawSha256)), chunks.count == count
        else { throw ManifestFault("a hash of the package is not a SHA-256") }
        return (id, raw, chunks)
    }
}

extension PackageTable {
    init(checking wire: WireTable) throws(ManifestFault) {
        var columns: [ColumnShape] = []
        var formerNames: [String: String] = [:]
        for column in wire.columns {
            if !column.formerName.isEmpty {
                guard TableShape.isPlainName(column.formerName) else {
                    throw ManifestFault("'\(column.formerName)' is not a plain column name (table \(wire.name))")
                }
                formerNames[column.name] = column.formerName
            }
            let type: ColumnType
            switch column.type {
            case .integer: type = .integer
            case .real: type = .real
            case .text: type = .text
            case .blob: type = .blob
            case .unspecified, .UNRECOGNIZED: throw ManifestFault("a column's type is not known")
            }
            columns.append(ColumnShape(column.name, type, nullable: column.nullable))
        }
        let shape = TableShape(name: wire.name, columns: columns, key: wire.key)
        if let fault = shape.fault { throw ManifestFault(fault) }
        guard wire.rows >= 0, wire.removed >= 0 else { throw ManifestFault("table \(wire.name) has a negative count") }
        guard wire.removed == 0 || !(wire.whole || wire.keeps) else {
            throw ManifestFault(
                "table \(wire.name) removes rows although it is \(wire.whole ? "whole" : "to keep them")")
        }
        self.init(
            shape: shape, rows: wire.rows, removed: wire.removed, isWhole: wire.whole, keepsRows: wire.keeps,
            formerNames: formerNames, ranges: try PackageTable.ranges(wire, of: shape),
            references: try PackageTable.references(checking: wire, of: shape))
    }
}

extension WireTable {
    init(_ table: PackageTable) {
        self.init()
        name = table.shape.name
        columns = table.shape.columns.map { column in
            var wire = WireColumn()
            wire.name = column.name
            wire.nullable = column.isNullable
            wire.formerName = table.formerNames[column.name] ?? ""
            wire.type =
                switch column.type {
                case .integer: .integer
                case .real: .real
                case .text: .text
                case .blob: .blob
                }
            return wire
        }
        key = table.shape.key
        rows = table.rows
        removed = table.removed
        whole = table.isWhole
        keeps = table.keepsRows
        ranges = table.ranges.map(WireKeyRange.init)
        references = table.references.sorted { $0.key < $1.key }.map(WireReference.init)
    }
}
