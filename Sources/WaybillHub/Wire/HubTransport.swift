import WaybillSocket

/// What the hub's turns need of the line to its stores; production's is ``SocketTransport``.
///
/// A turn never waits in it but at its beginning, and nothing that it is given to send is promised to arrive.
protocol HubTransport: AnyObject {
    /// Returns when there may be something to do, at the latest after so many milliseconds.
    /// - Parameter gathering: once stores have sent something, milliseconds in which more of it may come, unless this
    ///   program itself has something to do.
    func wait(milliseconds: Int, gathering: Int) throws
    /// The next message of a connection that was let in by its key; nil when there is none yet.
    func nextLetter() throws -> ReceivedMessage?
    /// The next request of somebody who has a code but no place in the list yet.
    func nextEnrolment() throws -> ReceivedMessage?
    func send(_ frame: [UInt8], to routing: RoutingID) throws -> SendResult
    func send(_ frame: SharedFrame, to routing: RoutingID) throws -> SendResult
    func announce(_ frame: [UInt8]) throws
    func answerEnrolment(_ frame: [UInt8], to routing: RoutingID) throws
    /// Lets connections with this key in from now on.
    func admit(_ key: CurvePublicKey, as name: String)
    /// Lets none in any more; those there are go on, which is why every message is judged by its own key.
    func shutOut(_ key: CurvePublicKey)
}

/// What the hub's sockets are made of and guarded by.
struct HubNetwork: Sendable {
    var context: ZMQContext
    var gatekeeper: Gatekeeper
}

/// The line to the stores over ZeroMQ. Belongs to the wire thread.
final class SocketTransport: HubTransport {
    private let sockets: HubSockets
    private let gatekeeper: Gatekeeper
    private let wakeUp: WakeUp

    init(parts: HubParts, network: HubNetwork, wakeUp: WakeUp) throws {
        sockets = try HubSockets(parts: parts, context: network.context)
        gatekeeper = network.gatekeeper
        self.wakeUp = wakeUp
    }

    func wait(milliseconds: Int, gathering: Int) throws {
        let items = [sockets.agents.item(), sockets.enrolment.item()]
        let readiness = try Poller.wait(for: items, wakeUp: wakeUp, milliseconds: milliseconds)
        guard gathering > 0, !readiness.wasWokenUp, readiness.canReceive(sockets.agents) else { return }
        _ = try Poller.wait(for: [], wakeUp: wakeUp, milliseconds: gathering)
    }

    func nextLetter() throws -> ReceivedMessage? { try sockets.agents.receive() }

    func nextEnrolment() throws -> ReceivedMessage? { try sockets.enrolment.receive() }

    func send(_ frame: [UInt8], to routing: RoutingID) throws -> SendResult {
        try sockets.agents.send([frame], to: routing)
    }

    func send(_ frame: SharedFrame, to routing: RoutingID) throws -> SendResult {
        try sockets.agents.send(frame, to: routing)
    }

    func announce(_ frame: [UInt8]) throws { _ = try sockets.announcements.send([Array("waybill".utf8), frame]) }

    func answerEnrolment(_ frame: [UInt8], to routing: RoutingID) throws {
        _ = try sockets.enrolment.send([frame], to: routing)
    }

    func admit(_ key: CurvePublicKey, as name: String) { gatekeeper.admit(key, as: name, to: HubSockets.agentsDomain) }

    func shutOut(_ key: CurvePublicKey) { gatekeeper.remove(key, from: HubSockets.agentsDomain) }
}
