import Testing

@testable import WaybillSocket

@Suite struct SharedFrameTests {
    @Test func manyPeersGetTheSameBytesAndItIsFreedWhenAllHaveThem() throws {
        let keys = try (0..<3).map { _ in try CurveKeyPair.generate() }
        let loopback = try Loopback(
            .allowList(Dictionary(uniqueKeysWithValues: keys.map { ($0.publicKey, $0.publicKey.z85) })))
        let hub = try loopback.server(.router)
        let bytes = (0..<50_000).map { UInt8(truncatingIfNeeded: $0) }
        var frame: SharedFrame? = SharedFrame(bytes)
        weak let watched = frame
        // Twice, so that the second stands in the queue behind the first.
        for pair in keys {
            let agent = try loopback.client(.dealer, pair)
            try agent.connect(hub.lastEndpoint)
            try deliver([[1]], by: agent)
            let peer = try #require(try nextMessage(on: hub).routingID)
            for _ in 0..<2 {
                let result = try hub.send(#require(frame), to: peer)
                #expect(result == .sent)
            }
            for _ in 0..<2 {
                let answer = try nextMessage(on: agent)
                #expect(answer.frames == [bytes])
            }
        }
        frame = nil
        let isFreed: Bool = try eventually { watched == nil ? true : nil }
        #expect(isFreed)
    }

    private struct Unreadable: Error {}

    @Test func aFrameIsAHeadAndWhatIsWrittenBehindIt() throws {
        let frame = SharedFrame([1, 2], rest: 3) { space in space.copyBytes(from: [7, 8, 9]) }
        #expect(frame.copied == [1, 2, 7, 8, 9] && frame.count == 5)
        #expect(SharedFrame([3], rest: 0) { _ in }.copied == [3])
        #expect(throws: Unreadable.self) {
            try SharedFrame([1], rest: 2) { _ throws(Unreadable) in throw Unreadable() }
        }
    }

    @Test func whatAPeerThatIsGoneIsSentIsFreed() throws {
        let loopback = try Loopback()
        let hub = try loopback.server(.router)
        var frame: SharedFrame? = SharedFrame([1, 2, 3])
        weak let watched = frame
        let result = try hub.send(#require(frame), to: RoutingID([0, 1, 2, 3, 4]))
        #expect(result == .unreachable)
        #expect(frame?.copied == [1, 2, 3] && SharedFrame([]).copied == [])
        frame = nil
        #expect(watched == nil)
    }
}
