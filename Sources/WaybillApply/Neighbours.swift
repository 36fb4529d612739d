import Foundation

/// Other programs that have a store's database open: tills, and whoever looks into it.
///
/// In WAL mode every process with a connection holds a lock on one byte of the `-shm` file, for as long as it has one:
/// by it SQLite knows whether somebody is left when the file is to be made anew. `F_GETLK` tells whether another process
/// holds it, and takes nothing. Connections of this process do not count, nor those that read a file as immutable.
public struct Neighbours: Sendable {
    /// Where the byte lies: SQLite's `UNIX_SHM_DMS`, a part of its file format.
    private static let aliveByte: off_t = 128

    private let sharedPath: String

    /// - Parameter path: of the database, opened in this process before it is asked about.
    public init(path: String) {
        let real = (path as NSString).resolvingSymlinksInPath
        sharedPath = real + "-shm"
    }

    /// Whether there are any just now; also when it cannot be found out.
    public func arePresent() -> Bool {
        guard let descriptor = findDescriptor() else { return true }
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        lock.l_whence = Int16(SEEK_SET)
        lock.l_start = Neighbours.aliveByte
        lock.l_len = 1
        guard fcntl(descriptor, F_GETLK, &lock) == 0 else { return true }
        return lock.l_type != Int16(F_UNLCK)
    }

    /// The descriptor that SQLite itself has of the file. One of our own would end all locks of this process on the file
    /// when it is closed: so POSIX has it.
    private func findDescriptor() -> Int32? {
        var wanted = stat()
        guard stat(sharedPath, &wanted) == 0,
            let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
        else { return nil }
        return names.lazy.compactMap { Int32($0) }.first { descriptor in
            var found = stat()
            return fstat(descriptor, &found) == 0 && found.st_ino == wanted.st_ino && found.st_dev == wanted.st_dev
        }
    }
}
