import Foundation
import GRDB
import WaybillAdmin
import WaybillDatabase
import WaybillModel

/// What a restore came to.
public struct RestoreReport: Hashable, Sendable {
    public var description: BackupDescription
    public var home: String
    /// Where what lay in the home before was put; nil when there was nothing.
    public var former: String?
}

/// Puts the content of a backup into a hub's home.
///
/// Everything is read, checked and synced in a folder inside the home before anything of it is put in place, and
/// `hub.yaml`, without which no home is one, comes last. What lay there before is moved aside, never deleted.
public struct BackupRestore {
    private let path: String
    private let home: String
    private var staging: String { home + "/" + Self.stagingName }

    private static let stagingName = ".restoring"
    private static let formerPrefix = "before-restore-"
    /// Entries of a home that say nothing about whether somebody uses it.
    private static let ignored: Set<String> = ["lock", "lost+found", stagingName]

    public init(path: String, home: String) {
        self.path = path
        self.home = (home as NSString).standardizingPath
    }

    /// Reads a backup and throws away what it reads.
    /// - Returns: what it says of itself, and its members.
    public static func check(_ path: String) throws -> (BackupDescription, [BackupMember]) {
        try BackupReader(path: path).run { _ in nil }
    }

    /// - Parameter isForced: also into a home that is not empty; what lies there is moved aside.
    public func run(at now: Timestamp, isForced: Bool) throws -> RestoreReport {
        try DurableFile.createFolder(home, mode: 0o750)
        let isEmpty = try entries().isEmpty
        guard isEmpty || isForced else {
            throw BackupFault("\(home) is not empty; nothing was changed. With --force, what is there is moved aside")
        }
        // Held until the end: no hub may begin on it meanwhile.
        let lock = try HomeLock(home: home, role: "waybill-hub")
        defer { withExtendedLifetime(lock) {} }
        try? FileManager.default.removeItem(atPath: staging)
        defer { try? FileManager.default.removeItem(atPath: staging) }
        try DurableFile.createFolder(staging, mode: 0o700)
        let (description, members) = try unpack()
        try checkDatabases(members)
        let former = try moveAside(at: now)
        try putInPlace()
        return RestoreReport(description: description, home: home, former: former)
    }

    private func entries() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: home).filter {
            !Self.ignored.contains($0) && !$0.hasPrefix(Self.formerPrefix)
        }.sorted()
    }

    // MARK: reading

    private func unpack() throws -> (BackupDescription, [BackupMember]) {
        var current: Int32 = -1
        var currentPath = ""
        func finish() throws {
            guard current >= 0 else { return }
            defer { current = -1 }
            let isSynced = fsync(current) == 0
            close(current)
            guard isSynced else { throw FileFault("sync", currentPath) }
        }
        defer { if current >= 0 { close(current) } }
        let found = try BackupReader(path: path).run { header in
            try finish()
            guard header.name != BackupLayout.description else { return nil }
            let free = try DurableFile.freeBytes(at: staging)
            guard free > header.bytes else {
                throw BackupFault("\(header.name) needs \(header.bytes) bytes on the disk of \(home), \(free) are free")
            }
            currentPath = staging + "/" + header.name
            try DurableFile.createFolder((currentPath as NSString).deletingLastPathComponent, mode: 0o750)
            let descriptor = open(currentPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard descriptor >= 0 else { throw FileFault("create", currentPath) }
            current = descriptor
            let path = currentPath
            return { try DurableFile.writeAll($0, to: descriptor, path: path) }
        }
        try finish()
        return found
    }

    /// What has the right checksum was copied well; whether the hub's disk was, only SQLite can say.
    private func checkDatabases(_ members: [BackupMember]) throws {
        for name in BackupLayout.databases where members.contains(where: { $0.name == name }) {
            let queue = try OpenDatabase.queue(at: staging + "/" + name, label: "restore")
            defer { try? queue.close() }
            if let damage = try queue.read({ try $0.damage() }) {
                throw BackupFault("\(name) in \(path) is damaged, and was when the backup was made: \(damage)")
            }
        }
    }

    // MARK: putting in place

    /// A write-ahead log of the former database beside the restored one would be replayed into it: all of the former
    /// home goes, and its configuration first.
    private func moveAside(at now: Timestamp) throws -> String? {
        let names = try entries()
        guard !names.isEmpty else { return nil }
        let stamp = UTCTime(now).description.prefix(19).filter { $0.isNumber || $0 == "T" }
        var folder = "\(home)/\(Self.formerPrefix)\(stamp)Z"
        while FileManager.default.fileExists(atPath: folder) { folder += "x" }
        try DurableFile.createFolder(folder, mode: 0o700)
        for name in names.filter({ $0 == BackupLayout.configuration })
            + names.filter({ $0 != BackupLayout.configuration })
        {
            try DurableFile.rename(home + "/" + name, to: folder + "/" + name)
        }
        try DurableFile.syncFolder(of: home + "/lock")
        return folder
    }

    private func putInPlace() throws {
        let keys = staging + "/keys"
        if FileManager.default.fileExists(atPath: keys), chmod(keys, 0o700) != 0 { throw FileFault("protect", keys) }
        let names = try FileManager.default.contentsOfDirectory(atPath: staging).sorted()
        for name in names where name != BackupLayout.configuration {
            try DurableFile.rename(staging + "/" + name, to: home + "/" + name)
        }
        for folder in ["packages", "incoming"] {
            try DurableFile.createFolder(home + "/" + folder, mode: 0o750)
        }
        try DurableFile.rename(
            staging + "/" + BackupLayout.configuration, to: home + "/" + BackupLayout.configuration)
    }
}
