import Dispatch
import Synchronization

/// Whom a domain's sockets let in.
public enum DomainPolicy: Equatable, Sendable {
    /// These keys, each with the user id that its messages then carry.
    case allowList([CurvePublicKey: String])
    /// Every well-formed key: for enrolment. The messages' user id is the client's public key in Z85, so that the hub
    /// can see that the key to be enrolled is the one that this connection has proved to hold.
    case anyKey
}

/// Decides which keys may connect: the process's one ZAP handler (https://rfc.zeromq.org/spec/27/), on its own thread.
///
/// Made before any server socket binds, kept as long as one is open, stopped after they are closed. It decides on new
/// connections only: a removed key keeps its open connection, so messages are checked by their user id as well.
public final class Gatekeeper: Sendable {
    private let desk: Desk
    private let thread: LoopThread

    /// Returns when the handler answers.
    /// - Parameter onNotice: called on the gatekeeper's thread, which must not be held up: new connections wait for it.
    /// - Throws: `gatekeeperExists` when the context has one already.
    public init(
        context: ZMQContext, policies: [String: DomainPolicy],
        onNotice: @escaping @Sendable (GatekeeperNotice) -> Void
    ) throws(SocketError) {
        let desk = try Desk(policies: policies, onNotice: onNotice)
        thread = try LoopThread("gatekeeper") { desk.run(context: context) }
        self.desk = desk
        if let error = desk.waitForStart() {
            thread.join()
            throw error
        }
    }

    deinit { stop() }

    /// Replaces a domain's policy for the connections to come. From any thread.
    public func setPolicy(_ policy: DomainPolicy, for domain: String) {
        desk.policies.withLock { $0[domain] = policy }
    }

    /// Puts a key on a domain's list; a domain that admits any key stays as it is. From any thread.
    /// - Parameter userID: not empty; libzmq would leave an empty one out.
    public func admit(_ key: CurvePublicKey, as userID: String, to domain: String) {
        precondition(!userID.isEmpty, "a key on the list needs a user id")
        desk.policies.withLock { policies in
            var keys: [CurvePublicKey: String] = [:]
            switch policies.removeValue(forKey: domain) {
            case .anyKey:
                policies[domain] = .anyKey
                return
            case .allowList(let known): keys = known
            case nil: break
            }
            keys[key] = userID
            policies[domain] = .allowList(keys)
        }
    }

    /// Takes a key off a domain's list. From any thread. Its open connection stays: see above.
    public func remove(_ key: CurvePublicKey, from domain: String) {
        desk.policies.withLock { policies in
            // Taken out while it changes, so that 10,000 keys are not copied.
            guard case .allowList(var keys)? = policies.removeValue(forKey: domain) else { return }
            keys[key] = nil
            policies[domain] = .allowList(keys)
        }
    }

    /// Ends the thread and waits for it. From then on no server socket of the context lets anybody in.
    public func stop() {
        desk.stop()
        thread.join()
    }
}

/// What the gatekeeper's thread works with.
private final class Desk: Sendable {
    /// The name at which libzmq asks.
    private static let endpoint = "inproc://zeromq.zap.01"

    let policies: Mutex<[String: DomainPolicy]>
    private let onNotice: @Sendable (GatekeeperNotice) -> Void
    private let wakeUp: WakeUp
    private let isStopping = Atomic(false)
    private let started = DispatchSemaphore(value: 0)
    private let startError = Mutex<SocketError?>(nil)

    init(
        policies: [String: DomainPolicy], onNotice: @escaping @Sendable (GatekeeperNotice) -> Void
    ) throws(SocketError) {
        self.policies = Mutex(policies)
        self.onNotice = onNotice
        wakeUp = try WakeUp()
    }

    func waitForStart() -> SocketError? {
        started.wait()
        return startError.withLock { $0 }
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        wakeUp.signal()
    }

    func run(context: ZMQContext) {
        do {
            let socket = try ZMQSocket(.reply, .inside, context: context)
            try socket.bind(Self.endpoint)
            started.signal()
            serve(socket)
            // By itself libzmq gives the name free some time after the socket has closed.
            try? socket.unbind(Self.endpoint)
        } catch {
            startError.withLock { $0 = error.isAddressInUse ? .gatekeeperExists : error }
            started.signal()
        }
    }

    /// Until stopped, or until the context is shut down: then all sockets are dead, and there is nobody to let in.
    private func serve(_ socket: borrowing ZMQSocket) {
        var limiter = RefusalLimiter()
        do {
            while !isStopping.load(ordering: .acquiring) {
                let milliseconds = limiter.suppressed > 0 ? 200 : 60_000
                _ = try Poller.wait(for: [socket.item()], wakeUp: wakeUp, milliseconds: milliseconds)
                while let message = try socket.receive() {
                    let request = ZAPRequest(message.frames)
                    let verdict = policies.withLock { request.verdict(by: $0) }
                    // Answered first: the client waits, the log does not.
                    _ = try socket.send(request.reply(verdict))
                    if case .refused(let refusal) = verdict {
                        limiter.notices(for: refusal, at: .now).forEach(onNotice)
                    }
                }
                if let summary = limiter.summary(at: .now) { onNotice(summary) }
            }
        } catch {}
    }
}

extension SocketError {
    fileprivate var isAddressInUse: Bool {
        if case .addressInUse = self { return true }
        return false
    }
}
