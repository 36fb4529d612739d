import WaybillModel
import WaybillWire

/// The keys on a store's disk, their public halves only.
public struct AgentKeys: Hashable, Sendable {
    /// The key that worked last.
    public var own: [UInt8]
    /// Made to take its place, and not known to work yet.
    public var next: [UInt8]?
    /// Its predecessor: a hub that was restored from a backup may know no other.
    public var former: [UInt8]?
    /// The hub's keys that worked last.
    public var hub: HubKeys
    /// Those that the hub has announced.
    public var nextHub: HubKeys?

    public init(
        own: [UInt8], next: [UInt8]? = nil, former: [UInt8]? = nil, hub: HubKeys, nextHub: HubKeys? = nil
    ) {
        self.own = own
        self.next = next
        self.former = former
        self.hub = hub
        self.nextHub = nextHub
    }

    var ownCandidates: [[UInt8]] { [own] + [next, former].compactMap { $0 }.filter { $0 != own } }
    var hubCandidates: [HubKeys] { [hub] + [nextHub].compactMap { $0 } }
}

/// The two keys of one connection.
public struct KeyChoice: Hashable, Sendable {
    public var own: [UInt8]
    public var hub: HubKeys

    public init(own: [UInt8], hub: HubKeys) {
        self.own = own
        self.hub = hub
    }
}

/// What is to be done with the keys on disk. Each step is durable before it is answered.
public enum KeyEffect: Hashable, Sendable {
    /// Make a key to take the present one's place, unless there is one already.
    case make
    /// These have worked: from now on they are the present ones.
    case adopt(KeyChoice)
    case keepNextHub(HubKeys)
    /// The hub will not have it.
    case forgetNext
}

/// With which keys the agent connects, and which it tries next.
///
/// Keys that worked once are never given up for keys that have not: whoever replaces a key may die between any two
/// steps, on either side, and one of those on disk still opens the door.
struct KeyRing: Sendable {
    var disk: AgentKeys?
    /// Of the present connection.
    var line: KeyChoice?
    private var ownIndex = 0
    private var hubIndex = 0
    /// Refused handshakes since the last that was not.
    private var failures = 0
    /// When the next keys are to be tried.
    var retryDue: Timestamp?
    var offeredAt: Timestamp?
    /// The announcement that the hub has not been answered yet.
    var announced: HubKeys?

    /// Between two tries as long as there are keys that were not tried.
    static let nextKeyPause: Int64 = 1_000
    /// Between two rounds through all keys; doubled up to the second.
    static let roundPauses: (first: Int64, last: Int64) = (2_000, 60_000)

    mutating func take(_ keys: AgentKeys) {
        disk = keys
        let line = line ?? KeyChoice(own: keys.own, hub: keys.hub)
        self.line = line
        aim(at: line)
    }

    mutating func aim(at choice: KeyChoice) {
        guard let disk else { return }
        ownIndex = disk.ownCandidates.firstIndex(of: choice.own) ?? 0
        hubIndex = disk.hubCandidates.firstIndex(of: choice.hub) ?? 0
    }

    mutating func connected() {
        failures = 0
        retryDue = nil
        offeredAt = nil
        announced = nil
        if let line { aim(at: line) }
    }

    /// The keys that are aimed at.
    var aimed: KeyChoice? {
        guard let disk else { return nil }
        let (own, hub) = (disk.ownCandidates, disk.hubCandidates)
        return KeyChoice(own: own[ownIndex % own.count], hub: hub[hubIndex % hub.count])
    }

    /// - Parameter isKeyUnknown: the hub is the right one and does not know our key; else it may be another hub's key
    ///   that we expect.
    mutating func failed(isKeyUnknown: Bool, now: Timestamp, jitter: inout SplitMix) {
        guard let disk, retryDue == nil else { return }
        let count = disk.ownCandidates.count * disk.hubCandidates.count
        failures += 1
        if isKeyUnknown { ownIndex += 1 } else { hubIndex += 1 }
        var pause = KeyRing.nextKeyPause
        if failures % count == 0 {
            let doubled = KeyRing.roundPauses.first << Int64(min(failures / count - 1, 10))
            pause = min(doubled, KeyRing.roundPauses.last)
        }
        // Whole chains are refused together when their hub changes its key.
        retryDue = now + (pause + jitter.next(below: pause / 4 + 1))
    }

    /// Over an open connection: another key, if there is one, is tried when the pause is over.
    mutating func refused(until end: Timestamp) {
        guard let disk, disk.ownCandidates.count > 1, retryDue == nil else { return }
        ownIndex += 1
        retryDue = end
    }
}

extension AgentCore {
    /// Without an answer a new key is offered again after this.
    static let keyPatience: Int64 = 10_000

    /// The keys to connect with; nil when nobody has named any, as in a simulation without keys.
    public var keyChoice: KeyChoice? { ring.line }

    /// Whose packages are believed: the hub that the connection has been made with.
    var verifyingKey: VerifyingKey {
        ring.line.flatMap { try? VerifyingKey(rawBytes: $0.hub.signing) } ?? settings.verifyingKey
    }

    mutating func keysChanged(_ keys: AgentKeys, now: Timestamp, _ effects: inout [AgentEffect]) {
        ring.take(keys)
        ring.offeredAt = nil
        answerAnnouncement(&effects)
    }

    mutating func handshakeFailed(isKeyUnknown: Bool, now: Timestamp) {
        ring.failed(isKeyUnknown: isKeyUnknown, now: now, jitter: &jitter)
    }

    /// - Returns: whether a new connection is being made.
    mutating func tryOtherKeys(now: Timestamp, _ effects: inout [AgentEffect]) -> Bool {
        guard let due = ring.retryDue, due <= now else { return false }
        ring.retryDue = nil
        reconnect(with: ring.aimed, &effects)
        return true
    }

    private mutating func reconnect(with choice: KeyChoice?, _ effects: inout [AgentEffect]) {
        guard let choice else { return }
        ring.line = choice
        ring.aim(at: choice)
        isConnected = false
        offers = []
        effects.append(.reconnect)
    }

    /// The hub has spoken, so the keys of this connection are good.
    mutating func take(_ news: KeyNews, now: Timestamp, _ effects: inout [AgentEffect]) {
        guard let disk = ring.disk, let line = ring.line else { return }
        if line.own == disk.next || line.hub == disk.nextHub {
            effects.append(.keys(.adopt(line)))
        }
        if news.isRenewalAsked, disk.next == nil, line.own == disk.own {
            effects.append(.log("the hub asks for a new key of this store", isProblem: false))
            effects.append(.keys(.make))
        }
        guard let next = news.next, next != line.hub else { return }
        guard verifyingKey.isValid(news.signature, next: next) else {
            return effects.append(
                .log("the hub's next keys were refused: their signature is not the hub's", isProblem: true))
        }
        ring.announced = next
        if disk.nextHub != next { effects.append(.keys(.keepNextHub(next))) }
        answerAnnouncement(&effects)
    }

    /// Tells the hub that its next keys are on disk, once they are.
    private mutating func answerAnnouncement(_ effects: inout [AgentEffect]) {
        guard isConnected, let next = ring.announced, ring.disk?.nextHub == next else { return }
        ring.announced = nil
        effects.append(.send(letter(.keys(KeyNotice(knows: next)))))
    }

    /// Offers the hub the key that shall be the present one, while the connection is made with another.
    mutating func offerKey(now: Timestamp, _ effects: inout [AgentEffect]) {
        guard let disk = ring.disk, let line = ring.line, let wanted = [disk.next, disk.own].compactMap({ $0 }).first,
            line.own != wanted, ring.offeredAt.map({ now - $0 >= AgentCore.keyPatience }) ?? true
        else { return }
        ring.offeredAt = now
        effects.append(.send(letter(.keys(KeyNotice(newKey: wanted)))))
    }

    mutating func take(_ answer: KeyAnswer, now: Timestamp, _ effects: inout [AgentEffect]) {
        guard let disk = ring.disk, let line = ring.line, line.own != answer.newKey,
            disk.ownCandidates.contains(answer.newKey)
        else { return }
        if answer.isAccepted {
            effects.append(.log("the hub has this store's new key; connecting with it", isProblem: false))
            return reconnect(with: KeyChoice(own: answer.newKey, hub: line.hub), &effects)
        }
        effects.append(.log("the hub refuses this store's new key: \(answer.reason)", isProblem: true))
        if disk.next == answer.newKey { effects.append(.keys(.forgetNext)) }
    }
}
