import CZeroMQ
import Glibc

/// What can go wrong with a socket, as a case to switch on and as one plain sentence for the operator.
public enum SocketError: Error, Equatable, Sendable, CustomStringConvertible {
    case addressInUse(endpoint: String)
    case badEndpoint(endpoint: String)
    /// The host part of a bind names no interface or address of this machine.
    case noSuchInterface(endpoint: String)
    /// The user may not open this port.
    case notPermitted(endpoint: String)
    /// The process or libzmq has no room for one more socket or descriptor.
    case tooManySockets
    /// `ZMQContext.shutDown()` was called: the loop that meets this ends.
    case contextShutDown
    case badKey(String)
    /// ZAP allows one handler for each context.
    case gatekeeperExists
    case system(operation: String, code: Int32)

    /// Reads libzmq's error of the call that has just failed on this thread.
    static func last(_ operation: String) -> SocketError {
        let code = zmq_errno()
        switch code {
        case WaybillSocket.contextTerminated: return .contextShutDown
        case EMFILE, ENFILE: return .tooManySockets
        default: return .system(operation: operation, code: code)
        }
    }

    /// As `last`, for a bind or connect, whose errors speak of the endpoint.
    static func last(_ operation: String, endpoint: String) -> SocketError {
        switch zmq_errno() {
        case EADDRINUSE: return .addressInUse(endpoint: endpoint)
        case EINVAL, EPROTONOSUPPORT, ENOTSUP: return .badEndpoint(endpoint: endpoint)
        case ENODEV, EADDRNOTAVAIL: return .noSuchInterface(endpoint: endpoint)
        case EACCES: return .notPermitted(endpoint: endpoint)
        default: return last("\(operation) \(endpoint)")
        }
    }

    public var description: String {
        switch self {
        case .addressInUse(let endpoint):
            guard let (host, port) = NetworkAddress.hostAndPort(endpoint) else {
                return "\(endpoint) is in use by another program"
            }
            return host == "*"
                ? "port \(port) is in use by another program"
                : "port \(port) on \(host) is in use by another program"
        case .badEndpoint(let endpoint):
            return "\"\(endpoint)\" is not an endpoint: write it as tcp://HOST:PORT, for example tcp://127.0.0.1:7700"
        case .noSuchInterface(let endpoint):
            let host = NetworkAddress.hostAndPort(endpoint)?.host ?? endpoint
            return "this machine has no network address or interface \"\(host)\": check the endpoint \(endpoint)"
        case .notPermitted(let endpoint):
            return "this user may not open \(endpoint): ports below 1024 need a privilege, choose a higher one"
        case .tooManySockets:
            return "no more sockets can be opened: raise the limit of open files (LimitNOFILE) of this program"
        case .contextShutDown:
            return "the network side of this program is shutting down"
        case .badKey(let reason):
            return reason
        case .gatekeeperExists:
            return "a gatekeeper runs already in this process: only one can answer for its sockets"
        case .system(let operation, let code):
            return "cannot \(operation): \(String(cString: zmq_strerror(code)))"
        }
    }
}

/// libzmq's ETERM, which its header builds from other macros.
let contextTerminated = Int32(ZMQ_HAUSNUMERO) + 53
