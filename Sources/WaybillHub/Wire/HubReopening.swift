import Foundation
import WaybillSocket

/// The endpoints were closed and could not be opened again.
struct NotReopened: Error {
    var cause: any Error
}

extension HubLoop {
    /// Binds again what was just closed: the system may need a moment to free the ports.
    func openAgain() throws {
        let deadline = ContinuousClock.now + HubLimits.reopenPatience
        while true {
            do {
                return try start()
            } catch SocketError.addressInUse(let endpoint) {
                guard ContinuousClock.now < deadline else { throw SocketError.addressInUse(endpoint: endpoint) }
                usleep(20_000)
            }
        }
    }

    /// What a stranger is told at both endpoints that want a key.
    func askAsStranger() throws -> [(endpoint: String, outcome: StrangerTest.Outcome)] {
        let configuration = parts.configuration
        return try [(configuration.listen, SocketKind.router), (configuration.announce, .publisher)].map {
            endpoint, kind in
            let outcome = try StrangerTest.run(
                endpoint: endpoint, server: kind, serverKey: parts.keyring.curve.publicKey, context: network.context)
            return (endpoint, outcome)
        }
    }
}
