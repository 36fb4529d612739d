import WaybillModel
import WaybillSocket
import WaybillWire

/// What the agent's turns need of the line to its hub; production's is ``HubLine``.
protocol AgentLine: AnyObject {
    /// Returns when there may be something to do, at the latest after so many milliseconds.
    func wait(milliseconds: Int) throws
    func send(_ letter: AgentLetter) throws
    func nextLetter() throws -> [UInt8]?
    func nextAnnouncement() throws -> [UInt8]?
    func nextMonitorEvent() throws -> ConnectionEvent?
}

/// The agent's connection to its hub over ZeroMQ: a DEALER for letters, its monitor, and a SUB for announcements.
///
/// A class so that it can be replaced as a whole when the line has gone silent; used by the wire thread only.
final class HubLine: AgentLine {
    private let letters: ZMQSocket
    private let monitor: ConnectionMonitor
    private let announcements: ZMQSocket
    private let wakeUp: WakeUp

    init(parts: AgentParts, network: AgentNetwork, wakeUp: WakeUp) throws {
        self.wakeUp = wakeUp
        let keys = try network.keyring.current()
        var settings = SocketSettings(
            security: .client(keys.own, serverKey: keys.hub), frameBytesMax: Limits.messageBytesMax)
        settings.sendQueueMax = 200
        settings.spreadReconnects(by: Double.random(in: 0..<1))
        letters = try ZMQSocket(.dealer, settings, context: network.context)
        monitor = try ConnectionMonitor(of: letters, context: network.context)
        announcements = try ZMQSocket(.subscriber, settings, context: network.context)
        try announcements.subscribe(Array("waybill".utf8))
        try letters.connect(parts.enrolment.agents_endpoint)
        try announcements.connect(parts.enrolment.announcements_endpoint)
    }

    func wait(milliseconds: Int) throws {
        _ = try Poller.wait(
            for: [letters.item(), announcements.item(), monitor.item()], wakeUp: wakeUp, milliseconds: milliseconds)
    }

    /// Dropped when the line is down or full: everything is said again by the core's own timers.
    func send(_ letter: AgentLetter) throws {
        _ = try letters.send([try letter.encoded()])
    }

    func nextLetter() throws -> [UInt8]? {
        while let message = try letters.receive() {
            if message.frames.count == 1 { return message.frames[0] }
        }
        return nil
    }

    func nextAnnouncement() throws -> [UInt8]? {
        while let message = try announcements.receive() {
            if message.frames.count == 2 { return message.frames[1] }
        }
        return nil
    }

    func nextMonitorEvent() throws -> ConnectionEvent? { try monitor.next() }
}
