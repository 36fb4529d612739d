import Testing

@testable import WaybillSocket

@Suite struct EndpointTests {
    @Test func aPortInUseIsNamed() throws {
        let loopback = try Loopback()
        let first = try loopback.server(.router)
        let endpoint = first.lastEndpoint
        let port = try #require(NetworkAddress.hostAndPort(endpoint)?.port)
        #expect(throws: SocketError.addressInUse(endpoint: endpoint)) {
            _ = try loopback.server(.router, at: endpoint)
        }
        #expect(
            SocketError.addressInUse(endpoint: endpoint).description
                == "port \(port) on 127.0.0.1 is in use by another program")
        #expect(
            SocketError.addressInUse(endpoint: "tcp://*:7700").description == "port 7700 is in use by another program")
    }

    @Test(arguments: ["", "127.0.0.1:7700", "tcp://127.0.0.1", "tcp://127.0.0.1:port", "carrier-pigeon://roof:1"])
    func textThatIsNoEndpointIsNamed(endpoint: String) throws {
        let loopback = try Loopback()
        #expect(throws: SocketError.badEndpoint(endpoint: endpoint)) {
            _ = try loopback.server(.router, at: endpoint)
        }
    }

    @Test(arguments: ["tcp://192.0.2.1:0", "tcp://no-such-interface-here:0"])
    func anAddressOfAnotherMachineIsNamed(endpoint: String) throws {
        let loopback = try Loopback()
        #expect(throws: SocketError.noSuchInterface(endpoint: endpoint)) {
            _ = try loopback.server(.router, at: endpoint)
        }
    }

    @Test func addressesAreShownAsPeopleWriteThem() {
        #expect(NetworkAddress.plain("::ffff:10.1.2.3") == "10.1.2.3")
        #expect(NetworkAddress.plain("tcp://[::ffff:10.1.2.3]:7700") == "tcp://10.1.2.3:7700")
        for text in ["tcp://[::1]:7700", "tcp://10.1.2.3:7700", "fe80::1", "10.1.2.3", "", "inproc://name"] {
            #expect(NetworkAddress.plain(text) == text)
        }
    }

    @Test func aServerOnAllAddressesIsReachedAtThisMachines() {
        #expect(StrangerTest.reachable("tcp://*:7700") == "tcp://127.0.0.1:7700")
        #expect(StrangerTest.reachable("tcp://[::]:7700") == "tcp://127.0.0.1:7700")
        #expect(StrangerTest.reachable("tcp://10.1.2.3:7700") == "tcp://10.1.2.3:7700")
    }

    @Test func connectingToNonsenseIsRefused() throws {
        let loopback = try Loopback()
        let agent = try loopback.client(.dealer, .generate())
        #expect(throws: SocketError.badEndpoint(endpoint: "hub")) { try agent.connect("hub") }
    }

    @Test func aShutDownContextEndsEveryCall() throws {
        let loopback = try Loopback()
        let hub = try loopback.server(.router)
        loopback.context.shutDown()
        #expect(throws: SocketError.contextShutDown) { try hub.receive() }
        #expect(throws: SocketError.contextShutDown) { try Poller.wait(for: [hub.item()], milliseconds: 10_000) }
    }
}
