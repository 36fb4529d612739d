import Testing
import WaybillModel
import WaybillTransfer

@Suite struct FetchTests {
    private func fetch(chunks: Int, held: [Bool] = [], bytesPerSecond: Int = 0) -> Fetch {
        Fetch(
            package: PackageID(hex: String(repeating: "0a", count: 32)).unsafelyUnwrapped,
            totalBytes: Int64(chunks) * 100,
            chunkBytes: 100, chunkCount: chunks, held: held, bytesPerSecond: bytesPerSecond)
    }

    private func at(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }

    @Test func creditGrowsWithEveryChunkUpToItsBound() {
        var fetch = fetch(chunks: 200)
        var underWay = fetch.due(now: at(0))
        #expect(underWay == [0, 1])
        var most = 0
        while let index = underWay.first {
            underWay.removeFirst()
            fetch.stored(index, now: at(1))
            underWay += fetch.due(now: at(1))
            most = max(most, underWay.count)
        }
        #expect(fetch.isComplete)
        #expect(most == FetchLimits.creditMax)
    }

    @Test func anOverdueChunkIsAskedForAgainWithHalfTheCredit() {
        var fetch = fetch(chunks: 50)
        for index in fetch.due(now: at(0)) { fetch.stored(index, now: at(10)) }
        #expect(fetch.due(now: at(10)) == [2, 3, 4, 5])
        #expect(fetch.due(now: at(10 + FetchLimits.patienceMin - 1)).isEmpty)
        #expect(fetch.due(now: at(10 + FetchLimits.patienceMin)) == [2, 3])
    }

    @Test func whatAnEarlierProcessStoredIsNotAskedForAgain() {
        var fetch = fetch(chunks: 4, held: [true, false, true])
        #expect(fetch.bytesDone == 200)
        #expect(fetch.due(now: at(0)) == [1, 3])
        #expect(!fetch.wants(0))
    }

    @Test func aRateLimitHoldsOverAnyStretchOfTime() {
        var fetch = fetch(chunks: 50, bytesPerSecond: 100)
        var asked = 0
        for tick in 0..<100 {
            for index in fetch.due(now: at(Int64(tick) * 100)) {
                asked += 1
                fetch.stored(index, now: at(Int64(tick) * 100))
            }
        }
        // Ten seconds at one chunk a second, and the one that was saved up.
        #expect((10...11).contains(asked))
    }

    @Test func damagedChunksInARowMakeItHopelessAndOneGoodOneDoesNot() {
        var fetch = fetch(chunks: 9)
        for _ in 1..<FetchLimits.rejectionsMax {
            _ = fetch.due(now: at(0))
            fetch.rejected(0)
        }
        #expect(!fetch.isHopeless)
        fetch.stored(1, now: at(1))
        fetch.rejected(0)
        #expect(!fetch.isHopeless)
        for _ in 0..<FetchLimits.rejectionsMax { fetch.rejected(0) }
        #expect(fetch.isHopeless)
    }

    /// Loss, repetition and any order of answers: it ends, and every chunk was stored.
    @Test(arguments: 1...40)
    func aBadLineDelaysAFetchAndNeverStopsIt(seed: Int) {
        var state = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15
        func random(below bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(bound))
        }
        var fetch = fetch(chunks: 30)
        var answers: [Int] = []
        var now: Int64 = 0
        while !fetch.isComplete, now < 10_000_000 {
            for index in fetch.due(now: at(now)) where random(below: 4) > 0 {
                answers.append(index)
                if random(below: 4) == 0 { answers.append(index) }
            }
            if answers.isEmpty || random(below: 50) == 0 {
                if random(below: 3) == 0 { fetch.lineChanged() }
                now += 7_000
            } else {
                fetch.stored(answers.remove(at: random(below: answers.count)), now: at(now))
                now += 20
            }
        }
        #expect(fetch.isComplete)
        #expect(fetch.bytesDone == 3_000)
    }
}
