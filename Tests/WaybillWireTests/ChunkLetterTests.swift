import Testing
import WaybillModel

@testable import WaybillWire

@Suite struct ChunkLetterTests {
    /// Lengths around those at which protobuf's numbers need another byte.
    @Test(arguments: [1, 2, 60, 80, 81, 82, 83, 127, 128, 129, 16_000, 16_344, 16_384, 16_385, 131_072, 2_097_152])
    func headAndDataAreTheEncodedLetter(_ count: Int) throws {
        let package = try #require(PackageID([UInt8](repeating: 7, count: 32)))
        let data = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        for index in [0, 1, 127, 128, 300, Limits.chunksMax - 1] {
            let whole = try HubLetter.chunk(package: package, index: index, data: data).encoded()
            #expect(try HubLetter.chunkHead(package: package, index: index, dataBytes: count) + data == whole)
        }
    }
}
