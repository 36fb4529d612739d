import CFaultDisk
import Foundation

/// A disk that loses power, fills up, fails and lies, for tests and simulation.
///
/// Databases whose paths it has claimed lie on it, in memory, with their `-wal`, `-journal` and `-shm`; whoever opens
/// them with SQLite, by GRDB or by `ATTACH`, gets them from here. All other files are where they always were. What is
/// written is pending until it is synced, and a crash keeps of it what chance wills, down to torn sectors.
///
/// Every call may come from any thread, and the same seed gives the same damage.
public final class FaultDisk: Sendable {
    /// A pointer to what one lock of the VFS guards; never changed after `init`.
    nonisolated(unsafe) private let disk: OpaquePointer

    /// Makes SQLite ask the disks first, for the whole process. Needed once, before the first claimed file is opened.
    public static func install() throws(FaultDiskError) {
        let code = fault_vfs_register()
        guard code == 0 else { throw FaultDiskError("the VFS was refused with SQLite code \(code)") }
    }

    public init(seed: UInt64 = 0) {
        disk = fault_disk_create(seed)
    }

    /// Handles that are open yet fail from now on.
    deinit { fault_disk_destroy(disk) }

    // MARK: which files

    /// Puts a database onto this disk. It must be named exactly as it will be opened.
    ///
    /// Leaves an empty file at the path where there is none and the folder exists, for those who look whether the
    /// database is there or how much room its file system has.
    public func claim(_ path: String) throws(FaultDiskError) {
        try claim(path, kind: FAULT_IN_MEMORY)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        if descriptor >= 0 { close(descriptor) }
    }

    /// Counts and fails what SQLite does to any file whose path begins like this, without taking it off the file
    /// system: for files that others read as well. A crash of it is that of the process alone.
    public func claimFiles(below prefix: String) throws(FaultDiskError) {
        try claim(prefix, kind: FAULT_BELOW_PATH)
    }

    private func claim(_ path: String, kind: Int) throws(FaultDiskError) {
        guard fault_disk_claim(disk, path, Int32(kind)) == 0 else {
            throw FaultDiskError("\(path) lies on another disk already")
        }
    }

    // MARK: crashes

    /// What a crash takes.
    public enum Crash: Sendable {
        /// Power is cut: what was not synced survives by chance.
        case powerCut
        /// The process dies and the machine goes on: nothing is lost, but not yet safe either.
        case killed

        var code: Int32 {
            switch self {
            case .powerCut: Int32(FAULT_POWER_CUT)
            case .killed: Int32(FAULT_KILLED)
            }
        }
    }

    /// All open handles fail until they are closed, and nothing opens until ``restart()``.
    public func crash(_ how: Crash = .powerCut) { fault_disk_crash(disk, how.code) }

    /// Crashes in the middle of the n-th of these operations from now on.
    public func crash(at nth: Int, of operations: DiskOperations = .changes, _ how: Crash = .powerCut) {
        fault_disk_crash_at(disk, operations.rawValue, Int64(nth), how.code)
    }

    /// Files can be opened again, and are what the crash has left.
    public func restart() { fault_disk_restart(disk) }
    public var isDown: Bool { fault_disk_is_down(disk) != 0 }

    // MARK: failures

    /// Fails the n-th of these operations from now on, or all from it on.
    /// - Parameter with: nil is the I/O error that fits the operation.
    public func fail(
        _ operations: DiskOperations, at nth: Int = 1, forEver: Bool = false, with code: DiskFailure = .ioError
    ) throws(FaultDiskError) {
        guard fault_disk_fail(disk, operations.rawValue, Int64(nth), forEver ? 1 : 0, code.code) == 0 else {
            throw FaultDiskError("there are too many orders to fail; heal the disk first")
        }
    }

    /// Takes back all orders to fail or crash, the limit and the lies. What has happened stays.
    public func heal() { fault_disk_heal(disk) }

    /// Bytes that fit onto the disk; nil is no limit.
    public func limit(toBytes bytes: Int64?) { fault_disk_set_capacity(disk, bytes ?? -1) }
    /// Says that it has synced, and has not.
    public func lie(_ lies: Bool = true) { fault_disk_set_lying(disk, lies ? 1 : 0) }
    /// What was pending at a sync that failed can be read on, but is never synced any more: what Linux does.
    public func loseAtFailedSync(_ loses: Bool = true) { fault_disk_set_losing(disk, loses ? 1 : 0) }

    // MARK: figures

    public func count(of operations: DiskOperations) -> Int { Int(fault_disk_count(disk, operations.rawValue)) }
    public func resetCounts() { fault_disk_reset_counts(disk) }
    /// How often a failure, the limit or a planned crash has struck.
    public var timesStruck: Int { Int(fault_disk_struck(disk)) }
    public var usedBytes: Int64 { fault_disk_used_bytes(disk) }
    public var pendingWrites: Int { Int(fault_disk_pending_writes(disk)) }
    public var openHandles: Int { Int(fault_disk_open_handles(disk)) }

    // MARK: contents

    /// The bytes of one file, or nil where there is none.
    /// - Parameter syncedOnly: what a power cut is sure to leave, instead of what a reader sees.
    public func contents(of path: String, syncedOnly: Bool = false) -> [UInt8]? {
        let size = fault_disk_size(disk, path)
        guard size >= 0 else { return nil }
        return [UInt8](unsafeUninitializedCapacity: Int(size)) { buffer, count in
            count = Int(fault_disk_get(disk, path, 0, buffer.baseAddress, size, syncedOnly ? 1 : 0))
        }
    }

    /// Gives a claimed file these bytes, synced.
    public func put(_ bytes: [UInt8], at path: String) throws(FaultDiskError) {
        let code = bytes.withUnsafeBytes { fault_disk_put(disk, path, $0.baseAddress, Int64($0.count)) }
        guard code == 0 else { throw FaultDiskError("\(path) does not lie on this disk") }
    }

    /// Damages one byte under whatever is open, as bad hardware does.
    public func flip(_ mask: UInt8, at offset: Int64, of path: String) throws(FaultDiskError) {
        guard fault_disk_flip(disk, path, offset, mask) == 0 else {
            throw FaultDiskError("\(path) has no byte \(offset)")
        }
    }

    /// Makes a database go, with its companions; a new machine has none.
    public func remove(_ path: String) {
        for companion in DiskImage.companions { fault_disk_remove(disk, path + companion) }
    }

    /// A copy of a database as it is now, the log included: a template, or a backup made with `cp`.
    public func image(of path: String) -> DiskImage {
        var files: [String: [UInt8]] = [:]
        for companion in DiskImage.companions { files[companion] = contents(of: path + companion) }
        return DiskImage(files: files)
    }

    /// Makes the database at `path` that of the image. Nobody may have it open.
    public func install(_ image: DiskImage, at path: String) throws(FaultDiskError) {
        remove(path)
        for (companion, bytes) in image.files { try put(bytes, at: path + companion) }
    }
}

/// A database file with its log or journal, wherever it came from.
public struct DiskImage: Hashable, Sendable {
    static let companions = ["", "-wal", "-journal"]
    /// By the end of the name: empty for the database itself.
    public internal(set) var files: [String: [UInt8]]

    init(files: [String: [UInt8]]) { self.files = files }

    /// Reads a database from the file system. Nobody may be writing it.
    public init(ofFileAt path: String) {
        files = [:]
        for companion in DiskImage.companions {
            if let data = FileManager.default.contents(atPath: path + companion) { files[companion] = [UInt8](data) }
        }
    }

    /// Writes it into the file system, for a look with other tools.
    public func write(toFileAt path: String) throws {
        for (companion, bytes) in files { try Data(bytes).write(to: URL(filePath: path + companion)) }
    }
}
