import Testing

@testable import WaybillApply

/// When tills get the lock between slices.
@Suite struct TillTurnsTests {
    /// Slices of these lengths in microseconds, as often as they fit into some seconds: when the lock is held.
    private func held(_ lengths: [Int64]) -> [Range<Int64>] {
        var turns = TillTurns()
        var now: Int64 = 0
        var held: [Range<Int64>] = []
        for length in lengths {
            held.append(now..<now + length)
            now += length + Int64(turns.pause(after: length)) * 1000
        }
        return held
    }

    /// How long a till waits that comes at a moment; nil when the slices end before it gets the lock.
    private func wait(from begun: Int64, _ held: [Range<Int64>], oversleep: Int64) -> Int64? {
        var slices = held[...].drop { $0.upperBound <= begun }
        var asked = begun
        for (number, milliseconds) in TillTurns.questions.enumerated() {
            asked = begun + Int64(milliseconds) * 1000 + Int64(number) * oversleep
            slices = slices.drop { $0.upperBound <= asked }
            guard let slice = slices.first else { return nil }
            if !slice.contains(asked) { return asked - begun }
        }
        return asked - begun
    }

    @Test(
        arguments: [
            [700], [2_200], [2_900], [3_400], [4_100], [7_900], [1_000, 2_000, 3_000], [2_500, 2_500, 100, 6_000],
        ] as [[Int64]]) func nobodyWaitsForLongerThanForTheSlicesInHand(lengths: [Int64]) throws
    {
        let held = held((0..<600).map { lengths[$0 % lengths.count] })
        let end = try #require(held.last).lowerBound
        let oversleep: Int64 = 400
        let worst = stride(from: 0, to: min(end, 400_000), by: 137).compactMap {
            wait(from: $0, held, oversleep: oversleep)
        }.max()
        // The fourth question comes after 18 ms.
        #expect(try #require(worst) <= 18_000 + 4 * oversleep)
    }

    /// A slow disk, or a machine that does something else.
    @Test func aLongSliceIsFollowedByAPauseInWhichWhoeverWaitedAsks() {
        for length in stride(from: Int64(8_000), through: 320_000, by: 1_700) {
            let held = held([length] + Array(repeating: 2_000, count: 2_000))
            for begun in stride(from: 0, to: length, by: 313) {
                guard let wait = wait(from: begun, held, oversleep: 60) else { continue }
                let pause = Int64(TillTurns.gap(after: length) + TillTurns.margin) * 1000
                #expect(begun + wait <= length + pause, "a slice of \(length) µs, from \(begun) µs")
            }
        }
    }

    @Test func shortSlicesFollowEachOtherAndPausesTakeLittleMoreTimeThanTheyDo() {
        var turns = TillTurns()
        #expect((0..<4).map { _ in turns.pause(after: 2_200) } == [0, 0, 11, 0])
        let many = held(Array(repeating: 2_200, count: 3_000))
        let busy = many.reduce(0) { $0 + Int64($1.count) }
        #expect(3 * busy >= many[many.count - 1].upperBound - many[0].lowerBound)
    }
}
