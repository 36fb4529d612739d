import Testing
import WaybillHub
import WaybillModel
import WaybillWire

/// When the hub lets what stores send gather for some milliseconds, and when it must not.
@Suite struct GatheringTests {
    @Test func onlyATurnOfNothingButHellosLetsTheNextOneGather() throws {
        let office = try SmallOffice()
        let hub = try office.startHub()
        #expect(!hub.letsHellosGather)
        let session = try office.publishToItsStore(hub)
        #expect(!hub.letsHellosGather, "a session was offered: its stores are about to ask")
        _ = try office.grant(session, attempt: 1, hub)
        #expect(!hub.letsHellosGather, "a package was granted")
        // The first finds out where the store stands, which is written down.
        office.sayHello(hub)
        office.sayHello(hub)
        #expect(hub.letsHellosGather)
        office.say(.reports([office.report(.downloadFailed, of: session)]), to: hub)
        #expect(!hub.letsHellosGather, "a report was written down")
        hub.close()
    }
}
