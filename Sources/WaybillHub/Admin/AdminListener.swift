import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import WaybillDatabase
import WaybillModel

/// TCP for administrators: off unless `hub.yaml` names an address, and open only to those who show a token.
///
/// What is said is in clear, so that the address is this machine's own unless the settings say otherwise: a proxy in
/// front of it speaks TLS.
struct AdminListener: Sendable, Equatable {
    var host: String
    var port: Int
    var tokens: String

    /// `ADDRESS:PORT`.
    /// - Throws: ``HomeFault`` for what is no such thing, and for an address that other machines can reach.
    static func checked(_ text: String, allowsAnyAddress: Bool, tokens: String) throws -> AdminListener {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port), colon != text.startIndex
        else { throw HomeFault("admin_listen is an address and a port, such as 127.0.0.1:7710, not '\(text)'") }
        let host = text[..<colon].filter { $0 != "[" && $0 != "]" }
        guard let address = try? SocketAddress(ipAddress: host, port: port) else {
            throw HomeFault("admin_listen needs a numeric address, such as 127.0.0.1:7710, not '\(text)'")
        }
        guard allowsAnyAddress || address.isLoopback else {
            throw HomeFault(
                "admin_listen \(text) can be reached from other machines, and what is said there is not encrypted: "
                    + "listen on 127.0.0.1 behind a proxy that speaks TLS, or set admin_allow_any_address: true")
        }
        return AdminListener(host: host, port: port, tokens: tokens)
    }

    func application(
        _ routes: some HTTPResponder<BasicRequestContext>, _ clerk: AuditClerk?, _ limits: AdminLimits,
        logger: Logger, now: @escaping @Sendable () -> Timestamp
    ) -> some ApplicationProtocol {
        Application(
            responder: AdminDoor(
                routes: routes, clerk: clerk, gate: TokenGate(path: tokens, now: now), limits: limits),
            server: .admin(limits), configuration: .admin(.hostname(host, port: port), limits), logger: logger)
    }
}

extension SocketAddress {
    fileprivate var isLoopback: Bool {
        guard let text = ipAddress else { return false }
        return text.hasPrefix("127.") || text == "::1"
    }
}

extension HTTPServerBuilder {
    /// HTTP/1.1 that lets nobody hold a connection by sending nothing, or a head byte by byte.
    static func admin(_ limits: AdminLimits) -> HTTPServerBuilder {
        .http1(
            configuration: .init(
                idleTimeout: .seconds(limits.idleSeconds),
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: limits.headBytesMax, maxHeaderListSize: limits.headBytesMax,
                    maxHeaderFieldCount: 100)))
    }
}

extension ApplicationConfiguration {
    static func admin(_ address: BindAddress, _ limits: AdminLimits) -> ApplicationConfiguration {
        ApplicationConfiguration(
            address: address, serverName: "waybill-hub",
            availableConnectionsDelegate: MaximumAvailableConnections(limits.connectionsMax))
    }
}
