/// Why the hub did not do what an administrator asked for.
public struct AdminError: Error, Codable, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Codable, Sendable, CaseIterable {
        /// There is no such session, store, job, import or route. HTTP 404.
        case notFound = "not_found"
        /// It is there, but in a state that forbids the request. HTTP 409.
        case conflict
        /// The request itself is wrong; the same one will never succeed. HTTP 400.
        case invalid
        /// A body or file is larger than the hub takes. HTTP 413.
        case tooLarge = "too_large"
        /// The hub's disk is full. HTTP 507.
        case noSpace = "no_space"
        /// No token, or one that is not known. HTTP 401, or 429 after too many.
        case denied
        /// The hub tried and failed; its log says more. HTTP 500.
        case failed
    }

    public var code: Code
    /// One plain sentence for the administrator: what, where, and what to do.
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }

    public static func notFound(_ message: String) -> AdminError { AdminError(.notFound, message) }
    public static func conflict(_ message: String) -> AdminError { AdminError(.conflict, message) }
    public static func invalid(_ message: String) -> AdminError { AdminError(.invalid, message) }
    public static func failed(_ message: String) -> AdminError { AdminError(.failed, message) }
}

/// The body of every answer whose HTTP status is 400 or above.
public struct ErrorReply: Codable, Hashable, Sendable {
    public var error: AdminError

    public init(_ error: AdminError) {
        self.error = error
    }
}
