import Foundation
import WaybillAdmin
import WaybillConsole
import WaybillModel

/// The files of a watched folder: looking at them and moving them away.
final class WatchFiles {
    /// Absolute and without links: by it the hub remembers what was imported.
    let path: String
    /// Held as long as this process lives: two watchers would take each other's files.
    private let lock: Int32

    /// Makes `done` and `failed`.
    init(folder: String) throws {
        guard let resolved = realpath(folder, nil) else {
            throw Complaint("cannot watch \(folder): \(String(cString: strerror(errno)))")
        }
        path = String(cString: resolved)
        free(resolved)
        let lockPath = path + "/.waybill-watch"
        lock = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw Complaint("cannot write to \(path): \(String(cString: strerror(errno)))") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            throw Complaint("another waybill import --watch is watching \(path)")
        }
        for name in ["done", "failed"] {
            guard mkdir(path + "/" + name, 0o755) == 0 || errno == EEXIST else {
                throw Complaint("cannot make \(path)/\(name): \(String(cString: strerror(errno)))")
            }
        }
    }

    deinit { close(lock) }

    /// What the hub takes as a file's name.
    static func isPlain(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= Limits.nameBytesMax && !name.hasPrefix(".")
            && name.utf8.allSatisfy {
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
                    || [45, 46, 95].contains($0)
            }
    }

    func source(_ name: String) -> ImportSource { ImportSource(name: name, path: path + "/" + name) }

    func isThere(_ name: String) -> Bool { access(path + "/" + name, F_OK) == 0 }

    func entries() throws -> [WatchedFolder.Entry] {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else {
            throw Complaint("cannot read the folder \(path)")
        }
        return names.compactMap { name in
            var status = stat()
            // A file that is gone again is nobody's business.
            guard lstat(path + "/" + name, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
            let milliseconds = Int64(status.st_mtim.tv_sec) * 1000 + Int64(status.st_mtim.tv_nsec) / 1_000_000
            return WatchedFolder.Entry(
                name: name, size: Int64(status.st_size), modifiedAt: Timestamp(milliseconds: milliseconds),
                inode: UInt64(status.st_ino))
        }
    }

    /// Moves a file to where it belongs, with its report. A name that is taken there gets the time as an addition.
    func put(_ filing: ImportFiling) throws {
        let target = path + "/" + filing.outcome.rawValue
        var name = filing.file
        var number = 1
        while access(target + "/" + name, F_OK) == 0 || access(target + "/" + name + ".report.txt", F_OK) == 0 {
            number += 1
            let parts = filing.file.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
            let time = filing.at.description.filter(\.isNumber).prefix(14)
            name = "\(parts[0])-\(time)\(number > 2 ? "-\(number - 1)" : "")"
            if parts.count > 1 { name += "." + parts[1] }
        }
        try write(ImportViews.report(filing), to: target + "/" + name + ".report.txt")
        guard rename(path + "/" + filing.file, target + "/" + name) == 0 else {
            let reason = String(cString: strerror(errno))
            unlink(target + "/" + name + ".report.txt")
            throw Complaint("cannot move \(filing.file) to \(target): \(reason)")
        }
        sync(target)
        sync(path)
    }

    private func write(_ text: String, to path: String) throws {
        do {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw Complaint("cannot write \(path): \(error.localizedDescription)")
        }
    }

    /// Makes the folder's entries durable, before the hub is told that they are.
    private func sync(_ folder: String) {
        let descriptor = open(folder, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }
}
