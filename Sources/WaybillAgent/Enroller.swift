import Foundation
import SwiftProtobuf
import WaybillApply
import WaybillDatabase
import WaybillModel
import WaybillSocket
import WaybillWire

/// Uses a one-time code: makes the store's key, shows it to the hub, keeps what the hub answers.
public enum Enroller {
    /// Milliseconds to wait for the hub's answer before saying that there is none.
    static let patience = 15_000

    /// - Throws: ``AgentHomeFault`` and others, each one plain sentence.
    /// - Returns: the store's name.
    public static func enrol(code text: String, home: AgentHome) throws -> StoreID {
        let code = try EnrolmentCode(decoding: text)
        if FileManager.default.fileExists(atPath: home.enrolment) {
            let known = try home.loadEnrolment()
            guard known.store == code.store.rawValue else {
                throw AgentHomeFault(
                    "\(home.path) is the home of store \(known.store), the code is for store \(code.store)")
            }
        }
        try DurableFile.createFolder(home.path, mode: 0o750)
        let lock = try HomeLock(home: home.path, role: "waybill-agent")
        let keys = try home.loadOrMakeKeys()
        let reply = try ask(code, keys: keys)
        guard reply.accepted else { throw AgentHomeFault("the hub refused: \(reply.reason)") }
        let stored = StoredEnrolment(
            store: code.store.rawValue, agents_endpoint: reply.agentsEndpoint,
            announcements_endpoint: reply.announcementsEndpoint,
            hub_curve_key: try CurvePublicKey(bytes: code.hubCurveKey).z85,
            hub_signing_key: Data(code.hubSigningKey).base64EncodedString())
        try DurableFile.createFolder(home.incoming, mode: 0o750)
        _ = try StoreDatabase(path: home.database, store: code.store)
        if !FileManager.default.fileExists(atPath: home.configuration) {
            try DurableFile.write(Array(AgentConfiguration.template.utf8), to: home.configuration)
        }
        try home.save(stored)
        return withExtendedLifetime(lock) { code.store }
    }

    private static func ask(_ code: EnrolmentCode, keys: CurveKeyPair) throws -> WireEnrolReply {
        let context = try ZMQContext()
        var settings = SocketSettings(
            security: .client(keys, serverKey: try CurvePublicKey(bytes: code.hubCurveKey)), frameBytesMax: 16 * 1024)
        settings.reconnectMin = .milliseconds(200)
        settings.reconnectMax = .seconds(2)
        let socket = try ZMQSocket(.dealer, settings, context: context)
        try socket.connect(code.enrolmentEndpoint)
        var request = WireEnrolRequest()
        request.protocol = protocolVersion
        request.store = code.store.rawValue
        request.secret = Data(code.secret)
        request.publicKey = Data(keys.publicKey.bytes)
        request.machine = ProcessInfo.processInfo.hostName
        let frame: [UInt8] = try request.serializedBytes()
        let deadline = ContinuousClock.now + .milliseconds(patience)
        var isSent = false
        while ContinuousClock.now < deadline {
            if !isSent { isSent = try socket.send([frame]) == .sent }
            _ = try Poller.wait(for: [socket.item()], milliseconds: 100)
            if let message = try socket.receive(), let frame = message.frames.first {
                return try WireEnrolReply(serializedBytes: frame)
            }
        }
        throw AgentHomeFault(
            "no answer from the hub at \(code.enrolmentEndpoint) within \(patience / 1000) s; is it running and reachable?"
        )
    }
}
