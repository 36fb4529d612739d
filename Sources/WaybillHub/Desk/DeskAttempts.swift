import WaybillSessions

extension Delivery {
    /// What the hub notes when the store asks for a further attempt: why the last one failed. An attempt may take as long
    /// as the last, and whoever looks meanwhile shall not see a delivery that merely was requested.
    var wordsForNextAttempt: String {
        if status.isFailure, !told.message.isEmpty { return "trying again; before: \(told.message)" }
        // Asked for once more, over a line that has lost the answer.
        return status == .requested ? told.message : ""
    }
}
