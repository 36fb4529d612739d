import WaybillModel
import WaybillSessions

/// How often somebody may try to enrol: the secret of a code has 128 bits and is not to be guessed, but each try costs
/// the hub a look into its database and a line in its log, and everybody who has seen one code has the key that opens
/// the enrolment socket. Keys cost nothing, so that an address has a limit as well.
///
/// Whoever knocks too often is told so, whatever the code; a store's turn comes back within a minute.
struct EnrolmentLimit {
    static let windowMilliseconds: Int64 = 60_000
    /// Tries of one key within the window: an agent that has lost its answer asks a few times.
    static let triesOfKeyMax = 10
    /// Tries for one store from one address, by whatever keys. From one address only: nobody shall keep a store's own
    /// machine out by knocking in its name.
    static let triesForStoreMax = 30
    /// Tries of everybody: many stores may be enrolled in one go, and each try is a durable transaction at most.
    static let triesMax = 6_000
    /// Lines about refusals within the window; the rest are silent.
    static let linesMax = 60

    /// Tries of one address at once, and each second: the machines of a large store share one.
    static let triesOfAddressMax = 60.0
    static let triesOfAddressPerSecond = 1.0
    /// Addresses remembered. More at a time than this are an attack, and all of them begin anew.
    static let addressesMax = 4096

    private var addresses: [String: Bucket] = [:]
    private var windowStart: Timestamp?
    private var tries = 0
    private var ofKey: [String: Int] = [:]
    private var forStore: [Knock: Int] = [:]
    private var lines = 0

    private struct Knock: Hashable {
        var store: StoreID
        var address: String
    }

    /// Before anything of the request is looked at.
    /// - Throws: ``EnrolmentRefusal`` for one try too many.
    mutating func admit(from address: String, at now: Timestamp) throws(EnrolmentRefusal) {
        if addresses.count >= EnrolmentLimit.addressesMax, addresses[address] == nil { addresses = [:] }
        let isAdmitted = addresses[
            address, default: Bucket(EnrolmentLimit.triesOfAddressMax, EnrolmentLimit.triesOfAddressPerSecond)
        ].take(1, at: now)
        guard isAdmitted else { throw tooMany("too many tries from your address") }
    }

    /// - Throws: ``EnrolmentRefusal`` for one try too many.
    mutating func admit(
        _ store: StoreID, from key: String, at address: String, now: Timestamp
    ) throws(EnrolmentRefusal) {
        turnOver(now)
        tries += 1
        // Beyond it nothing is counted by name any more, so that memory has a bound.
        guard tries <= EnrolmentLimit.triesMax else { throw tooMany("too many machines try to enrol") }
        ofKey[key, default: 0] += 1
        let knock = Knock(store: store, address: address)
        forStore[knock, default: 0] += 1
        guard ofKey[key, default: 0] <= EnrolmentLimit.triesOfKeyMax else {
            throw tooMany("this machine tries too often")
        }
        guard forStore[knock, default: 0] <= EnrolmentLimit.triesForStoreMax else {
            throw tooMany("there are too many tries to enrol store \(store) from your address")
        }
    }

    /// Whether one more refusal may be logged.
    mutating func isWorthALine(at now: Timestamp) -> Bool {
        turnOver(now)
        lines += 1
        return lines <= EnrolmentLimit.linesMax
    }

    private mutating func turnOver(_ now: Timestamp) {
        if let start = windowStart, now - start < EnrolmentLimit.windowMilliseconds { return }
        let addresses = addresses
        self = EnrolmentLimit()
        self.addresses = addresses
        windowStart = now
    }

    private func tooMany(_ what: String) -> EnrolmentRefusal {
        EnrolmentRefusal("\(what); wait a minute and try again")
    }
}
