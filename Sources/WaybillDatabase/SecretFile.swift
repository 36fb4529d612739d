import Foundation

/// A secret that others may read, or that is not a plain file of ours.
public struct SecretFault: Error, CustomStringConvertible {
    public let description: String
}

/// Files with secrets: keys and lists of tokens.
public enum SecretFile {
    /// Reads a secret, after a look at who else may.
    ///
    /// Whoever has read a key can pose as its holder, now and later, so that such a key is not worked with: the
    /// administrator must know.
    public static func read(_ path: String, bytesMax: Int = 64 * 1024) throws -> [UInt8] {
        // The file that is checked is the one that is read, and no link to somebody else's.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            if errno == ELOOP { throw SecretFault(description: "\(path) is a link; a secret must be a plain file") }
            throw FileFault("open", path)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileFault("inspect", path) }
        if let fault = fault(path, status, user: geteuid()) { throw SecretFault(description: fault) }
        guard status.st_size <= bytesMax else { throw FileFault("read (too large)", path, code: EFBIG) }
        return try DurableFile.read(descriptor, offset: 0, count: Int(status.st_size), path: path)
    }

    static func fault(_ path: String, _ status: stat, user: uid_t) -> String? {
        guard status.st_mode & S_IFMT == S_IFREG else { return "\(path) is not a plain file" }
        guard status.st_uid == user || status.st_uid == 0 else {
            return "\(path) belongs to another user (uid \(status.st_uid)); it must belong to the one that runs this"
        }
        guard status.st_mode & 0o077 == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            return "others than its owner may use \(path) (mode \(mode)); if nobody has read it: chmod 600 \(path), "
                + "else replace it"
        }
        return nil
    }
}

/// Databases and folders that are nobody else's business, whatever the umask of who starts us.
public enum PrivateFile {
    /// Makes an empty file with mode 0600 where there is none. SQLite takes it for an empty database, and gives its
    /// journal the same permissions.
    public static func make(_ path: String) throws(FileFault) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            if errno == EEXIST { return }
            throw FileFault("create", path)
        }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileFault("sync", path) }
        try DurableFile.syncFolder(of: path)
    }
}
