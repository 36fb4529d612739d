/// When slices leave the lock to tills, and for how long.
///
/// A till that finds the lock taken asks again when SQLite's busy handler wakes it, soon at first and then ever later. A
/// short pause is met only by luck: a till out of luck waited for a third of a second, although nobody held the lock for
/// more than some milliseconds at a time. So the lock stays free for as long as lies between two of the questions of
/// a till that has waited for it, the next ones: whoever came while it was held asks before it is taken again, also when
/// the machine is busy and wakes it late.
struct TillTurns {
    /// Milliseconds after its first try at which a till asks again, as SQLite's own busy handler has it
    /// (sqliteDefaultBusyCallback, seen with strace).
    static let questions = [0, 1, 3, 8, 18, 33, 53, 78, 103, 128, 178, 228, 328]
    /// Milliseconds between any two later ones.
    static let lastGap = 100
    /// Microseconds for which slices hold the lock, one after the other, before they leave it: so long that pauses take
    /// little more of the time than they do, so short that a till waits hardly longer than for one slice.
    static let heldMax: Int64 = 8_000
    /// Milliseconds added to each pause: the till's sleep is a little longer than it says.
    static let margin = 1

    private var held: Int64 = 0

    /// Milliseconds to be waited for after a slice; 0 while another slice like this one may follow.
    /// - Parameter microseconds: for which the slice has held the lock.
    mutating func pause(after microseconds: Int64) -> Int {
        held += microseconds
        guard held + microseconds > TillTurns.heldMax else { return 0 }
        defer { held = 0 }
        return TillTurns.gap(after: held) + TillTurns.margin
    }

    /// Milliseconds between the next two questions of a till that has waited since the lock was taken. One that came
    /// later asks more often.
    static func gap(after microseconds: Int64) -> Int {
        guard let next = questions.firstIndex(where: { Int64($0) * 1000 >= microseconds }), next + 1 < questions.count
        else { return lastGap }
        return questions[next + 1] - questions[next]
    }
}
