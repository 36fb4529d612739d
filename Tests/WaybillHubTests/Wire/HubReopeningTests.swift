import Foundation
import Logging
import Testing
import WaybillModel
import WaybillSessions
import WaybillSocket

@testable import WaybillHub

/// What changes while the endpoints are closed, on real sockets of loopback.
@Suite struct HubReopeningTests {
    private struct Refused: Error {}

    private static func with(_ body: (HubLoop) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "reopening-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let home = try HubHome.create(at: folder, listen: "tcp://127.0.0.1:7700")
        let context = try ZMQContext()
        let gatekeeper = try Gatekeeper(
            context: context,
            policies: [HubSockets.agentsDomain: .allowList([:]), HubSockets.enrolmentDomain: .anyKey],
            onNotice: { _ in })
        let logger = Logger(label: "reopening") { _ in SwiftLogNoOpLogHandler() }
        let operations = try Operations(path: home.hubDatabase)
        let loop = try started { configuration in
            let parts = HubParts(
                home: home, configuration: configuration, keyring: try HubKeyring(home: home), operations: operations,
                clock: HubClock(reading: { Timestamp(milliseconds: 0) }), hubRun: 1, publisher: PublisherQueue(),
                jobs: JobCatalogue(fixed: [], hqPath: home.hqDatabase, logger: logger), rules: [:], logger: logger)
            return try HubLoop(parts: parts, network: HubNetwork(context: context, gatekeeper: gatekeeper))
        }
        defer {
            loop.stop()
            gatekeeper.stop()
        }
        try body(loop)
    }

    /// On three neighbouring ports that nobody listens on, below those that the system hands out.
    private static func started(_ make: (HubConfiguration) throws -> HubLoop) throws -> HubLoop {
        for _ in 0..<100 {
            let loop = try make(HubConfiguration(listen: "tcp://127.0.0.1:\(Int.random(in: 10_000...32_000))"))
            do {
                try loop.start()
                return loop
            } catch SocketError.addressInUse { continue }
        }
        throw Refused()
    }

    private static func isServing(_ loop: HubLoop) throws -> Bool {
        try loop.askAsStranger().allSatisfy { $0.outcome == .refused(status: 400) }
    }

    /// A grant with the new signature, to a store that came by the old keys, would be a failed download there.
    @Test func nobodyIsServedWhileTheKeysAreReplaced() throws {
        try Self.with { loop in
            let before = loop.parts.keyring.curve.publicKey
            _ = try loop.parts.keyring.announce()
            let during = try loop.reopen {
                try loop.parts.keyring.switchOver()
                return try [before, loop.parts.keyring.curve.publicKey].map { key in
                    try StrangerTest.run(
                        endpoint: loop.parts.configuration.listen, serverKey: key, context: loop.network.context,
                        milliseconds: 200)
                }
            }
            #expect(during == [.noAnswer, .noAnswer])
            #expect(loop.parts.keyring.curve.publicKey != before)
            let isServing = try Self.isServing(loop)
            #expect(isServing)
        }
    }

    @Test func theHubServesAlsoAfterAChangeThatFailed() throws {
        try Self.with { loop in
            #expect(throws: Refused.self) { try loop.reopen { () throws in throw Refused() } }
            let isServing = try Self.isServing(loop)
            #expect(isServing)
        }
    }
}
