import WaybillModel

extension AgentCore {
    /// Milliseconds between two hellos that announcements have brought forward. A hub that announces many sessions at
    /// once, or somebody with its key who announces a million, gets one question for all of them.
    static let newsMilliseconds: Int64 = 200

    /// Says Hello within so many milliseconds, but not again and again.
    mutating func askAfterNews(within spread: Int64, now: Timestamp) {
        let wanted = now + jitter.next(below: spread)
        let due = newsDue.map { max($0, wanted) } ?? wanted
        if let helloDue, helloDue <= due { return }
        helloDue = due
        newsDue = due + AgentCore.newsMilliseconds
    }
}
