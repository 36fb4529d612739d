import WaybillModel

extension SplitMix {
    /// From 0 to `count` - 1; `count` must not be 0.
    mutating func below(_ count: Int) -> Int { Int(truncatingIfNeeded: next() >> 1) % count }
    mutating func isOne(in count: Int) -> Bool { below(count) == 0 }
    mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next()) }
}
