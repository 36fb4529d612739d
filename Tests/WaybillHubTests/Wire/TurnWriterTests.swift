import Dispatch
import Testing
import WaybillModel

@testable import WaybillHub

/// Who writes turns beside the wire thread.
@Suite struct TurnWriterTests {
    private struct Fault: Error {}

    private func session(_ number: Int64) -> SessionID { SessionID(number: number, random: 1) }

    @Test func aThreadWritesWhatItIsGivenAndTellsWhatCameOfIt() throws {
        let writer = try WritingThread()
        for number in Int64(1)...100 {
            let name = session(number)
            writer.begin { .success([name]) }
            #expect(try writer.finish().get() == [name])
        }
        writer.begin { .failure(Fault()) }
        #expect(throws: Fault.self) { try writer.finish().get() }
    }

    @Test func aThreadWritesWhileItsOwnerGoesOn() throws {
        let writer = try WritingThread()
        let ownerIsThrough = DispatchSemaphore(value: 0)
        // Waits for what its owner does after it has begun: would hang if to begin were to write.
        writer.begin {
            ownerIsThrough.wait()
            return .success([])
        }
        ownerIsThrough.signal()
        #expect(try writer.finish().get() == [])
    }
}
