import WaybillModel

/// Chance that repeats itself: the same seed, the same story.
struct Chance: RandomNumberGenerator {
    private var numbers: SplitMix

    init(seed: UInt64) { numbers = SplitMix(seed: seed &* 0x9e37_79b9_7f4a_7c15 &+ 1) }

    mutating func next() -> UInt64 { numbers.next() }

    /// True in `share` of all cases.
    mutating func happens(_ share: Double) -> Bool { Double(next() >> 11) / Double(1 << 53) < share }

    mutating func number(_ range: ClosedRange<Int64>) -> Int64 {
        range.lowerBound + Int64(next() % UInt64(range.upperBound - range.lowerBound + 1))
    }

    mutating func pick<T>(_ values: [T]) -> T? { values.isEmpty ? nil : values[Int(next() % UInt64(values.count))] }
}

/// What is to happen, by time; what is due at the same time happens in the order in which it was put in.
struct Agenda<Item> {
    private var heap: [(at: Int64, order: Int, item: Item)] = []
    private var count = 0

    var isEmpty: Bool { heap.isEmpty }

    mutating func add(_ item: Item, at: Int64) {
        count += 1
        heap.append((at, count, item))
        var child = heap.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func next() -> (at: Int64, item: Item)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            var parent = 0
            while true {
                var least = parent
                for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, least) {
                    least = child
                }
                if least == parent { break }
                heap.swapAt(parent, least)
                parent = least
            }
        }
        return (first.at, first.item)
    }

    private func isBefore(_ a: Int, _ b: Int) -> Bool { (heap[a].at, heap[a].order) < (heap[b].at, heap[b].order) }
}
