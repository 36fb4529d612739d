import Crypto
import Foundation
import GRDB
import WaybillAdmin
import WaybillDatabase
import WaybillModel
import WaybillSessions

/// What a backup came to.
public struct BackupReport: Hashable, Sendable {
    public var path: String
    public var bytes: Int64
    public var description: BackupDescription
    public var members: [BackupMember]

    public init(path: String, bytes: Int64, description: BackupDescription, members: [BackupMember]) {
        self.path = path
        self.bytes = bytes
        self.description = description
        self.members = members
    }
}

/// Writes the backup of a hub's home, whether a hub runs on it or not.
///
/// **Order.** The three databases know of one another: `hub.db` names derivations of `rows.db` by version and token,
/// and `rows.db` is derived from a state of `hq.db`. A restored hub must never be ahead of itself: had its sessions
/// versions that `rows.db` and `hq.db` have not reached, the next change at HQ would get one of those numbers again, and
/// a store that stands at such a session would be taken for up to date. So what depends is read before what it depends
/// on: the snapshot of `hub.db` is taken first, then that of `rows.db`, then that of `hq.db`. Whatever is committed in
/// between makes the later ones newer, never older. A `rows.db` with more than `hub.db` knows is what a hub that dies
/// between deriving and offering leaves too; an `hq.db` with more than was derived is every HQ where somebody works.
///
/// All three snapshots are open before the first page is copied, so between them lie milliseconds, not the time of the
/// copying. A snapshot is a read transaction of WAL: it keeps nobody from writing.
public struct BackupWriter {
    private let home: HubHome
    private let path: String
    private var partial: String { path + ".partial" }
    private var copy: String { path + ".partial.db" }

    /// Pages copied before a pause: 4 MiB.
    private static let pagesPerStep: CInt = 1024
    /// Microseconds of the pause, in which the disk is the hub's.
    private static let pause: useconds_t = 1000

    public init(home: HubHome, path: String) {
        self.home = home
        self.path = path
    }

    /// Writes the backup beside its place, syncs it, and renames it there: `path` holds a whole backup or what it held
    /// before.
    /// - Parameter isVerified: reads it again from the disk afterwards, and checks the databases inside.
    public func run(at now: Timestamp, isVerified: Bool) throws -> BackupReport {
        let descriptor = open(partial, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileFault("create", partial) }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw BackupFault("another backup is being written to \(path)")
        }
        guard ftruncate(descriptor, 0) == 0, fchmod(descriptor, 0o600) == 0 else { throw FileFault("empty", partial) }
        do {
            let report = try write(to: descriptor, at: now, isVerified: isVerified)
            guard fsync(descriptor) == 0 else { throw FileFault("sync", partial) }
            if isVerified { _ = try BackupReader(path: partial).run { _ in nil } }
            try DurableFile.rename(partial, to: path)
            return report
        } catch {
            unlink(partial)
            throw error
        }
    }

    private func write(to descriptor: Int32, at now: Timestamp, isVerified: Bool) throws -> BackupReport {
        defer { unlink(copy) }
        var archive = TarArchive(descriptor: descriptor, path: partial, modified: now.milliseconds / 1000)
        let sources = try BackupLayout.databases.compactMap { name -> (String, DatabaseQueue)? in
            let path = home.path + "/" + name
            // A hub that never ran has no rows yet.
            guard FileManager.default.fileExists(atPath: path) else { return nil }
            return (name, try OpenDatabase.queue(at: path, label: "backup", isReadOnly: true))
        }
        defer { for (_, queue) in sources { try? queue.close() } }
        try expectSpace(for: sources.map(\.0))
        let description = try snapshots(of: sources[...], []) { snapshots in
            let description = try describe(snapshots, at: now)
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            try archive.add(BackupLayout.description, Array(try encoder.encode(description)) + [UInt8(ascii: "\n")])
            for (name, db) in snapshots {
                try copyPages(of: db, name: name, isVerified: isVerified)
                try archive.add(name, file: copy)
            }
            return description
        }
        try archive.add(BackupLayout.configuration, file: home.configuration)
        if FileManager.default.fileExists(atPath: home.adminTokens) {
            try archive.add(BackupLayout.tokens, file: home.adminTokens)
        }
        for folder in BackupLayout.folders {
            for name in try plainFiles(below: folder) { try archive.add(name, file: home.path + "/" + name) }
        }
        let bytes = try archive.finish()
        return BackupReport(path: path, bytes: bytes, description: description, members: archive.members)
    }

    /// Opens a read transaction on each source, one inside the other, in the given order.
    private func snapshots<T>(
        of sources: ArraySlice<(String, DatabaseQueue)>, _ open: [(String, Database)],
        _ body: ([(String, Database)]) throws -> T
    ) throws -> T {
        guard let (name, queue) = sources.first else { return try body(open) }
        return try queue.read { db in
            // The first reading fixes what the transaction sees.
            _ = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_schema")
            return try snapshots(of: sources.dropFirst(), open + [(name, db)], body)
        }
    }

    private func describe(_ snapshots: [(String, Database)], at now: Timestamp) throws -> BackupDescription {
        guard let hub = snapshots.first(where: { $0.0 == "hub.db" })?.1 else {
            throw BackupFault("\(home.path) has no hub.db; it is not a hub's home")
        }
        return BackupDescription(
            format: BackupDescription.formatKnown, program: "waybill-hub \(WaybillVersion.text)",
            createdAt: UTCTime(now), home: home.path,
            newestSession: try Int64.fetchOne(hub, sql: "SELECT max(number) FROM session") ?? 0,
            stores: try Int.fetchOne(hub, sql: "SELECT count(*) FROM store") ?? 0)
    }

    /// SQLite's online backup, into a file of its own. The source is in a read transaction, so nothing that others
    /// write makes it begin anew.
    private func copyPages(of db: Database, name: String, isVerified: Bool) throws {
        unlink(copy)
        // Made by us first, so that nobody else can read it for a moment: hub.db holds what admits stores.
        try DurableFile.write([], to: copy, mode: 0o600)
        var configuration = Configuration()
        configuration.label = "backup"
        let target = try DatabaseQueue(path: copy, configuration: configuration)
        defer { try? target.close() }
        try target.writeWithoutTransaction { to in
            // The copy is thrown away unless it ends up whole in the archive, which is synced.
            try to.execute(sql: "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
            try db.backup(to: to, pagesPerStep: Self.pagesPerStep) { _ in usleep(Self.pause) }
            guard isVerified else { return }
            if let damage = try to.damage() {
                throw BackupFault("\(home.path)/\(name) is damaged, so no backup was made: \(damage)")
            }
        }
    }

    /// The archive, and the largest copy beside it.
    private func expectSpace(for names: [String]) throws {
        let sizes = try names.map { name -> Int64 in
            let attributes = try FileManager.default.attributesOfItem(atPath: home.path + "/" + name)
            return (attributes[.size] as? NSNumber)?.int64Value ?? 0
        }
        let needed = sizes.reduce(0, +) + (sizes.max() ?? 0)
        let free = try DurableFile.freeBytes(at: partial)
        guard free >= needed else {
            throw BackupFault("the backup needs about \(needed) bytes on the disk of \(path), \(free) are free")
        }
    }

    /// Names relative to the home, in order; links and other special files are left out.
    private func plainFiles(below folder: String) throws -> [String] {
        guard let names = FileManager.default.enumerator(atPath: home.path + "/" + folder) else { return [] }
        var found: [String] = []
        while let name = names.nextObject() as? String {
            guard names.fileAttributes?[.type] as? FileAttributeType == .typeRegular else { continue }
            found.append(folder + "/" + name)
        }
        return found.sorted()
    }
}

/// Writes members one after the other and keeps their checksums.
struct TarArchive {
    let descriptor: Int32
    let path: String
    let modified: Int64
    private(set) var members: [BackupMember] = []
    private var bytes: Int64 = 0

    init(descriptor: Int32, path: String, modified: Int64) {
        self.descriptor = descriptor
        self.path = path
        self.modified = modified
    }

    mutating func add(_ name: String, _ content: [UInt8]) throws {
        let header = TarHeader(name: name, bytes: Int64(content.count), mode: 0o600, modified: modified)
        try write(try header.encoded() + content + [UInt8](repeating: 0, count: header.padding))
        note(header, SHA256.hash(data: content))
    }

    /// - Throws: when the file changes its length while it is read.
    mutating func add(_ name: String, file: String) throws {
        let source = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard source >= 0 else { throw FileFault("open", file) }
        defer { close(source) }
        var status = stat()
        guard fstat(source, &status) == 0 else { throw FileFault("inspect", file) }
        let header = TarHeader(name: name, bytes: Int64(status.st_size), mode: 0o600, modified: modified)
        try write(try header.encoded())
        var hash = SHA256()
        var offset: Int64 = 0
        while offset < header.bytes {
            let count = Int(min(header.bytes - offset, Int64(BackupLayout.pieceBytes)))
            let piece = try DurableFile.read(source, offset: offset, count: count, path: file)
            guard piece.count == count else {
                throw BackupFault("\(file) became shorter while it was read; make the backup again")
            }
            hash.update(data: piece)
            try write(piece)
            offset += Int64(count)
        }
        try write([UInt8](repeating: 0, count: header.padding))
        note(header, hash.finalize())
    }

    /// - Returns: bytes of the whole archive.
    mutating func finish() throws -> Int64 {
        let sums = Array(BackupLayout.text(of: members).utf8)
        let header = TarHeader(name: BackupLayout.sums, bytes: Int64(sums.count), mode: 0o600, modified: modified)
        try write(try header.encoded() + sums + [UInt8](repeating: 0, count: header.padding))
        try write([UInt8](repeating: 0, count: 2 * TarHeader.blockBytes))
        return bytes
    }

    private mutating func note(_ header: TarHeader, _ digest: SHA256.Digest) {
        members.append(BackupMember(name: header.name, bytes: header.bytes, sha256: BackupLayout.hex(digest)))
    }

    private mutating func write(_ content: [UInt8]) throws {
        try DurableFile.writeAll(content, to: descriptor, path: path)
        bytes += Int64(content.count)
    }
}
