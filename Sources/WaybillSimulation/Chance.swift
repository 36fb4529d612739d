import WaybillModel

/// All chance of a schedule comes from here, so that a seed stands for what happens.
struct Chance: Sendable {
    private var numbers: SplitMix

    init(seed: UInt64) {
        numbers = SplitMix(seed: seed &* 0xd134_2543_de82_ef95 &+ 0x9e37_79b9_7f4a_7c15)
        _ = next()
    }

    /// A stream of its own: what one fault draws must not change what another one does.
    init(seed: UInt64, stream: String) {
        self.init(seed: stream.utf8.reduce(seed ^ 0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 })
    }

    mutating func next() -> UInt64 { numbers.next() }

    mutating func number(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(next() % UInt64(range.upperBound - range.lowerBound + 1))
    }

    mutating func milliseconds(_ range: ClosedRange<Int>) -> Int64 { Int64(number(range)) }

    mutating func happens(_ probability: Double) -> Bool {
        probability > 0 && Double(next() >> 11) / 9_007_199_254_740_992 < probability
    }

    mutating func pick<T>(_ items: [T]) -> T? { items.isEmpty ? nil : items[number(0...items.count - 1)] }
}
