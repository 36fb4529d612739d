import Testing
import WaybillModel
import WaybillSocket

@testable import WaybillHub

@Suite struct ChunkFramesTests {
    private func package(_ byte: UInt8) throws -> PackageID {
        try #require(PackageID([UInt8](repeating: byte, count: 32)))
    }

    @Test func theSameChunkIsTheSameFrame() throws {
        var frames = ChunkFrames()
        let frame = SharedFrame([1, 2, 3])
        frames.keep(frame, 4, of: try package(1))
        frames.keep(SharedFrame([9]), 4, of: try package(1))
        #expect(frames.frame(4, of: try package(1)) === frame)
        #expect(frames.frame(5, of: try package(1)) == nil)
        #expect(frames.frame(4, of: try package(2)) == nil)
        #expect(frames.bytes == 3)
    }

    @Test func noMoreIsKeptThanTheBoundAndTheOldestGoesFirst() throws {
        var frames = ChunkFrames()
        let quarter = [UInt8](repeating: 0, count: ChunkFrames.bytesMax / 4)
        for index in 0..<6 { frames.keep(SharedFrame(quarter), index, of: try package(1)) }
        #expect(frames.bytes == ChunkFrames.bytesMax)
        let one = try package(1)
        let kept = (0..<6).map { frames.frame($0, of: one) != nil }
        #expect(kept == [false, false, true, true, true, true])
    }

    /// Stores with slow lines are far apart in one package; each would have its own copy of a dozen chunks in its queue.
    @Test func whatStillWaitsInAQueueIsNotReadAgain() throws {
        var frames = ChunkFrames()
        let one = try package(1)
        let half = [UInt8](repeating: 0, count: ChunkFrames.bytesMax / 2)
        var inSomeQueue: SharedFrame? = SharedFrame(half)
        frames.keep(try #require(inSomeQueue), 0, of: one)
        for index in 1...3 { frames.keep(SharedFrame(half), index, of: one) }
        #expect(frames.bytes == ChunkFrames.bytesMax)
        #expect(frames.frame(0, of: one) != nil && frames.frame(0, of: one) === inSomeQueue)
        #expect(frames.frame(1, of: one) == nil, "nobody has it any more")
        inSomeQueue = nil
        #expect(frames.frame(0, of: one) == nil)
    }

    @Test func chunksThatHaveLeftAllQueuesAreStruckOff() throws {
        var frames = ChunkFrames()
        let one = try package(1)
        let whole = [UInt8](repeating: 0, count: ChunkFrames.bytesMax)
        var inSomeQueue: [SharedFrame] = []
        for index in 0..<3 * ChunkFrames.queuedMax {
            // Now and then one as large as all that may be kept, which drives out those before it.
            let frame = index % 1000 == 0 ? SharedFrame(whole) : SharedFrame([1])
            frames.keep(frame, index, of: one)
            if index % 1000 == 1 { inSomeQueue.append(frame) }
        }
        #expect(frames.queuedCount < ChunkFrames.queuedMax)
        #expect(frames.frame(1, of: one) === inSomeQueue.first)
    }

    @Test func aPackageThatIsLostIsForgotten() throws {
        var frames = ChunkFrames()
        let inSomeQueue = SharedFrame([UInt8](repeating: 0, count: ChunkFrames.bytesMax))
        frames.keep(inSomeQueue, 1, of: try package(1))
        frames.keep(SharedFrame([1, 2]), 0, of: try package(1))
        frames.keep(SharedFrame([3]), 0, of: try package(2))
        #expect(frames.frame(1, of: try package(1)) === inSomeQueue)
        frames.forget(try package(1))
        #expect(frames.frame(1, of: try package(1)) == nil)
        let (one, two) = (try package(1), try package(2))
        #expect(frames.frame(0, of: one) == nil && frames.frame(0, of: two) != nil)
        #expect(frames.bytes == 1)
        var manifests = GrantedManifests()
        manifests.keep(GrantedManifests.Signed(manifest: [1], signature: [2]), of: try package(1))
        #expect(manifests[try package(1)]?.manifest == [1])
        manifests.forget(try package(1))
        #expect(manifests[try package(1)] == nil)
    }

    @Test func onlySoManyDescriptionsAreKept() throws {
        var manifests = GrantedManifests()
        for byte in 0...UInt8(GrantedManifests.countMax) {
            manifests.keep(GrantedManifests.Signed(manifest: [byte], signature: []), of: try package(byte))
        }
        let (first, second) = (try package(0), try package(1))
        #expect(manifests[first] == nil && manifests[second]?.manifest == [1])
    }
}
