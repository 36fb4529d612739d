import WaybillModel

/// When which job of which store is verified by itself. Pure.
///
/// Each job of each store has a moment of its own within the job's interval, told by the hash of their names: a chain
/// of five thousand stores is verified evenly over the day, and a hub that starts anew goes on where it was.
struct VerifyClock: Sendable {
    /// After a verification that came to no result, such as of a store that was away.
    static let retryMilliseconds: Int64 = 3_600_000

    /// What one job says about it.
    struct Wish: Hashable, Sendable {
        var store: StoreID
        var job: JobID
        var everyMilliseconds: Int64
        /// When it was last begun, and last with a result; nil for never.
        var begun: Timestamp?
        var conclusive: Timestamp?
    }

    /// What counts as the last one where there was none: nothing is due at once.
    let startedAt: Timestamp

    func isDue(_ wish: Wish, now: Timestamp) -> Bool {
        if let begun = wish.begun, now - begun < min(wish.everyMilliseconds, VerifyClock.retryMilliseconds) {
            return false
        }
        let last = wish.conclusive ?? startedAt
        return VerifyClock.round(wish, at: now) > VerifyClock.round(wish, at: last)
    }

    /// How many moments of its own lie before a time.
    private static func round(_ wish: Wish, at time: Timestamp) -> Int64 {
        let every = max(1, wish.everyMilliseconds)
        let offset = Int64(hash("\(wish.store)\u{0}\(wish.job)") % UInt64(every))
        let moment = time.milliseconds - offset
        return moment >= 0 ? moment / every : (moment - every + 1) / every
    }

    /// FNV-1a: the same in each process, unlike Swift's own.
    static func hash(_ text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }
}
