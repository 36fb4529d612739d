import Foundation
import Hummingbird
import Logging
import ServiceLifecycle
import WaybillAdmin
import WaybillDatabase
import WaybillModel

/// The administrator's interface: HTTP and JSON on the Unix-domain socket `HOME/admin.sock`.
///
/// The socket belongs to the hub's user alone (0600): who may open it may administer. Described in
/// `protocol/openapi.yaml`. Runs until the surrounding service group shuts down.
public struct AdminServer: Service {
    private let home: String
    private let backend: any AdminBackend
    private let limits: AdminLimits
    private let logger: Logger
    private let now: @Sendable () -> Timestamp
    private let onListening: @Sendable () -> Void
    private let clerk: AuditClerk?
    private let listener: AdminListener?

    /// - Parameters:
    ///   - home: the hub's home; the caller holds its lock, so that a socket found there is a dead process's.
    ///   - onListening: called once requests are answered.
    public init(
        home: String, backend: any AdminBackend, limits: AdminLimits = AdminLimits(), logger: Logger,
        now: @escaping @Sendable () -> Timestamp, onListening: @escaping @Sendable () -> Void = {}
    ) {
        self.init(
            home: home, backend: backend, clerk: nil, listener: nil, limits: limits, logger: logger, now: now,
            onListening: onListening)
    }

    /// - Parameters:
    ///   - clerk: writes down what administrators do.
    ///   - listener: where TCP is served too; nil for nowhere.
    init(
        home: String, backend: any AdminBackend, clerk: AuditClerk?, listener: AdminListener?,
        limits: AdminLimits = AdminLimits(), logger: Logger, now: @escaping @Sendable () -> Timestamp,
        onListening: @escaping @Sendable () -> Void = {}
    ) {
        self.clerk = clerk
        self.listener = listener
        self.home = home
        self.backend = backend
        self.limits = limits
        self.logger = logger
        self.now = now
        self.onListening = onListening
    }

    /// The socket of the hub on `home`.
    public static func socketPath(home: String) -> String { home + "/admin.sock" }

    public func run() async throws {
        let socket = AdminServer.socketPath(home: home)
        // The socket is made in a folder that nobody else can enter, and moved once its permissions are right:
        // there is no moment in which others could connect. The rename replaces a dead process's socket.
        let incoming = home + "/incoming"
        let newSocket = incoming + "/admin.sock"
        guard newSocket.utf8.count <= AdminServer.socketPathBytesMax else {
            throw AdminError.failed(
                "the path \(home) is too long: the system allows \(AdminServer.socketPathBytesMax) bytes for the "
                    + "socket \(newSocket)")
        }
        try DurableFile.createFolder(incoming, mode: 0o700)
        guard chmod(incoming, 0o700) == 0 else { throw FileFault("set permissions of", incoming) }
        let folders = ImportFolders(root: incoming + "/imports", limits: limits, now: now)
        try await folders.start()

        let publication = SocketPublication()
        let routes = AdminServer.router(backend, folders, limits).buildResponder()
        let application = Application(
            responder: AdminDoor(routes: routes, clerk: clerk, gate: nil, limits: limits),
            server: .admin(limits),
            configuration: .admin(.unixDomainSocket(path: newSocket), limits),
            onServerRunning: { channel in
                do throws(FileFault) {
                    guard chmod(newSocket, 0o600) == 0 else { throw FileFault("set permissions of", newSocket) }
                    guard rename(newSocket, socket) == 0 else { throw FileFault("rename \(newSocket) to", socket) }
                    onListening()
                } catch {
                    // Nobody could reach this server: end it, so that the hub ends with the reason.
                    await publication.fail(error)
                    channel.close(promise: nil)
                }
            },
            logger: quiet(logger))
        defer { unlink(socket) }
        if let listener {
            try await both(application, listener.application(routes, clerk, limits, logger: quiet(logger), now: now))
        } else {
            try await application.run()
        }
        if let fault = await publication.fault { throw fault }
    }

    /// Until one of them ends; then the other ends too.
    private func both(_ first: some ApplicationProtocol, _ second: some ApplicationProtocol) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await first.run() }
            tasks.addTask { try await second.run() }
            try await tasks.next()
            tasks.cancelAll()
            try await tasks.waitForAll()
        }
    }

    /// All routes; `protocol/openapi.yaml` describes just these.
    static func router(
        _ backend: any AdminBackend, _ folders: ImportFolders, _ limits: AdminLimits
    ) -> Router<BasicRequestContext> {
        let router = Router()
        router.add(middleware: ErrorReplies())
        let v1 = router.group("v1")
        AdminRoutes(backend: backend, limits: limits).add(to: v1)
        RetryRoutes(backend: backend, limits: limits).add(to: v1)
        QuarantineRoutes(backend: backend, limits: limits).add(to: v1)
        JobRunRoutes(backend: backend, limits: limits).add(to: v1)
        WhyRoutes(backend: backend).add(to: v1)
        KeyRoutes(backend: backend, limits: limits).add(to: v1)
        ImportRoutes(backend: backend, folders: folders, limits: limits).add(to: v1)
        StagingRoutes(backend: backend, limits: limits).add(to: v1)
        AuditRoutes(backend: backend).add(to: v1)
        return router
    }

    /// The server's own start and stop messages are about the server, not about the hub.
    private func quiet(_ logger: Logger) -> Logger {
        var logger = logger
        if logger.logLevel < .notice { logger.logLevel = .notice }
        return logger
    }

    /// `sun_path` has 108 bytes, the last of them NUL.
    private static let socketPathBytesMax = 107
}

/// Whether the socket could be put where administrators look for it.
private actor SocketPublication {
    private(set) var fault: FileFault?

    func fail(_ fault: FileFault) { self.fault = fault }
}
