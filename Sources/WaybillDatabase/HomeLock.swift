import Foundation

/// Another process already runs on this home.
public struct HomeInUse: Error, CustomStringConvertible {
    public let home: String
    public let role: String
    public var description: String { "another \(role) is running on \(home); stop it first" }
}

/// The right to be the only process of its kind on a home folder. Ends with the process, however that ends.
public final class HomeLock: Sendable {
    private let descriptor: Int32

    /// - Parameter role: what the process calls itself, for the message (`waybill-hub`).
    /// - Throws: ``HomeInUse`` when somebody else holds the lock, ``FileFault`` when the file cannot be made.
    public init(home: String, role: String) throws {
        let path = home + "/lock"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileFault("open", path) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            if code == EWOULDBLOCK { throw HomeInUse(home: home, role: role) }
            throw FileFault("lock", path, code: code)
        }
    }

    deinit { close(descriptor) }
}
