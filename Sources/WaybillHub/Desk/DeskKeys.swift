import WaybillModel
import WaybillSessions
import WaybillWire

extension Desk {
    /// What the store is to know or do about keys; nil when there is nothing.
    var keyNews: KeyNews? {
        var news = settings.keyNews
        news.isRenewalAsked = record.renewalAskedAt != nil
        return news.isEmpty ? nil : news
    }

    /// Whether the record as it is now is about another machine: one that has enrolled, not one that goes over to a key
    /// which it had offered before. A machine that has enrolled anew with the key it had counts as another: `hub.db` has
    /// forgotten what it had reached, so the desk must, too.
    func isAnotherMachine(_ record: StoreRecord) -> Bool {
        guard record.publicKey != self.record.publicKey else { return record.keySince != self.record.keySince }
        return !self.record.spareKeys.contains { $0.publicKey == record.publicKey }
    }

    /// The record as it is now, with what this very machine has said meanwhile and `hub.db` may not have yet: a key is
    /// replaced in the middle of a turn.
    func withContact(_ record: StoreRecord) -> StoreRecord {
        let isSameKey = record.publicKey == self.record.publicKey && record.keySince == self.record.keySince
        let hasGoneOver = record.publicKey != self.record.publicKey && !isAnotherMachine(record)
        guard record.state == .active, self.record.state == .active, isSameKey || hasGoneOver else { return record }
        var record = record
        record.agentVersion = self.record.agentVersion
        record.incarnation = self.record.incarnation
        record.sequence = self.record.sequence
        record.lastSeen = self.record.lastSeen
        return record
    }
}
