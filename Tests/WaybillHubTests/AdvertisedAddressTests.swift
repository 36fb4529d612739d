import Testing

@testable import WaybillHub

@Suite struct AdvertisedAddressTests {
    @Test(arguments: ["tcp://0.0.0.0:7700", "tcp://*:7700", "tcp://[::]:7700"])
    func anAddressOfAllNetworksIsNoneThatStoresCanConnectTo(listen: String) {
        var configuration = HubConfiguration(listen: listen)
        #expect(!configuration.isAdvertisedReachable)
        configuration.advertise = "hub.example.com"
        #expect(configuration.isAdvertisedReachable)
        #expect(configuration.advertised(configuration.enrol) == "tcp://hub.example.com:7702")
    }

    @Test func aNamedAddressIsItsOwnAdvertisement() {
        let configuration = HubConfiguration(listen: "tcp://10.0.0.1:7700")
        #expect(configuration.isAdvertisedReachable)
        #expect(configuration.advertised(configuration.listen) == "tcp://10.0.0.1:7700")
    }
}
