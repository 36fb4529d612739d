import WaybillModel
import WaybillSocket

/// The hub's three endpoints. All of them speak CURVE; there is no socket in clear.
struct HubSockets: ~Copyable {
    /// ROUTER: hellos, requests, chunks, reports.
    let agents: ZMQSocket
    /// PUB: hints that there is something new.
    let announcements: ZMQSocket
    /// ROUTER with a domain of its own that admits any key and does nothing but enrol.
    let enrolment: ZMQSocket

    static let agentsDomain = "waybill.agents"
    static let enrolmentDomain = "waybill.enrolment"

    init(parts: HubParts, context: ZMQContext) throws {
        let keys = parts.keyring.curve
        var settings = SocketSettings(
            security: .server(keys, domain: HubSockets.agentsDomain), frameBytesMax: Limits.messageBytesMax)
        settings.sendQueueMax = HubLimits.sendQueueMax
        // Locals first: a noncopyable value must not be half made when a later step throws.
        let agents = try ZMQSocket(.router, settings, context: context)
        let announcements = try ZMQSocket(.publisher, settings, context: context)
        // Enough for a request; a stranger must not make the hub hold more.
        let small = SocketSettings(
            security: .server(keys, domain: HubSockets.enrolmentDomain), frameBytesMax: 16 * 1024)
        let enrolment = try ZMQSocket(.router, small, context: context)
        try agents.bind(parts.configuration.listen)
        try announcements.bind(parts.configuration.announce)
        try enrolment.bind(parts.configuration.enrol)
        self.agents = agents
        self.announcements = announcements
        self.enrolment = enrolment
    }
}
