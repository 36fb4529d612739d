import Foundation

/// Finds out why a hub cannot be reached, in words that say what to do.
enum HubProbe {
    static func check(home: String, folder: String, socket: String) throws {
        var status = stat()
        guard stat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            if errno == EACCES { throw Complaint("you may not look into \(home); run this as the hub's user") }
            throw notAHome(home)
        }
        switch connectError(socket) {
        case 0: return
        case ENOENT:
            guard stat(folder + "/hub.db", &status) == 0 || stat(folder + "/hub.yaml", &status) == 0 else {
                throw notAHome(home)
            }
            throw notRunning(home)
        case ECONNREFUSED: throw notRunning(home)
        case EACCES, EPERM:
            throw Complaint("you may not administer the hub on \(home); run this as the hub's user")
        case ENAMETOOLONG:
            throw Complaint("the path of \(home) is too long for a socket; use a shorter one, for instance a link")
        case let code:
            throw Complaint("the hub on \(home) cannot be reached: \(String(cString: strerror(code)))")
        }
    }

    private static func notAHome(_ home: String) -> Complaint {
        Complaint("\(home) is not a hub's home: make one with waybill-hub init \(home)")
    }

    private static func notRunning(_ home: String) -> Complaint {
        Complaint("no hub is running on \(home): start it with waybill-hub run \(home)")
    }

    /// 0, or the system's reason why nobody can be reached at the socket.
    private static func connectError(_ path: String) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return ENAMETOOLONG }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        return result == 0 ? 0 : errno
    }
}
