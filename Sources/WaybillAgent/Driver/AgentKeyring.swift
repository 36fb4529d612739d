import Foundation
import Logging
import Synchronization
import WaybillDatabase
import WaybillSocket
import WaybillWire

/// The keys of an agent's home: the files, and what of them the present connection is made with.
///
///     keys/agent.curve          the key that worked last
///     keys/agent.curve.next     made to take its place; on disk before the hub hears of it
///     keys/agent.curve.former   its predecessor, in case the hub is restored from a backup
///     keys/renew                somebody at the store wants a new key
///     enrolment.json            the hub's keys, present and announced
///
/// Every change is one rename, or two with a good key on disk in between.
final class AgentKeyring: Sendable {
    private struct State {
        var own: CurveKeyPair
        var next: CurveKeyPair?
        var former: CurveKeyPair?
        var enrolment: StoredEnrolment
        var hub: HubKeys
        var nextHub: HubKeys?
        var choice: KeyChoice?
        var isRequestBroken = false
    }

    private let home: AgentHome
    private let state: Mutex<State>

    /// - Throws: ``AgentHomeFault`` and others, one plain sentence.
    init(home: AgentHome) throws {
        self.home = home
        let enrolment = try home.loadEnrolment()
        guard let hub = try enrolment.hub() else {
            throw AgentHomeFault("\(home.enrolment) is damaged; enrol again with a new code")
        }
        state = Mutex(
            State(
                own: try home.loadKeys(), next: try home.loadKeys(home.nextKey),
                former: try home.loadKeys(home.formerKey),
                enrolment: enrolment, hub: hub, nextHub: try enrolment.nextHub()))
    }

    var disk: AgentKeys {
        state.withLock {
            AgentKeys(
                own: $0.own.publicKey.bytes, next: $0.next?.publicKey.bytes, former: $0.former?.publicKey.bytes,
                hub: $0.hub, nextHub: $0.nextHub)
        }
    }

    /// For the connections to come.
    func use(_ choice: KeyChoice?) {
        guard let choice else { return }
        state.withLock { $0.choice = choice }
    }

    /// What the next connection is made with.
    func current() throws -> (own: CurveKeyPair, hub: CurvePublicKey) {
        let (own, hub) = state.withLock { state in
            let pairs = [state.own, state.next, state.former].compactMap { $0 }
            let own = pairs.first { $0.publicKey.bytes == state.choice?.own } ?? state.own
            return (own, state.choice?.hub ?? state.hub)
        }
        return (own, try CurvePublicKey(bytes: hub.curve))
    }

    /// Whether somebody at the store has asked for a new key; then it has been made.
    func takeRequest(_ logger: Logger) -> Bool {
        guard FileManager.default.fileExists(atPath: home.keyRequest) else { return false }
        do {
            _ = try run(.make)
            // Afterwards: a request whose key has been made is asked for once more at worst, and then finds it.
            try FileManager.default.removeItem(atPath: home.keyRequest)
            try DurableFile.syncFolder(of: home.keyRequest)
            return true
        } catch {
            // Looked at twice a second; once is enough to say it.
            let isFirst = state.withLock { state in
                defer { state.isRequestBroken = true }
                return !state.isRequestBroken
            }
            if isFirst { logger.error("the new key that was asked for could not be made: \(error)") }
            return false
        }
    }

    /// Does it durably, and says what the disk holds then.
    func run(_ effect: KeyEffect) throws -> AgentKeys {
        try state.withLock { state in
            switch effect {
            case .make: try make(&state)
            case .adopt(let choice):
                if choice.own == state.next?.publicKey.bytes { try adoptOwn(&state) }
                if choice.hub == state.nextHub { try adoptHub(choice.hub, &state) }
            case .keepNextHub(let keys):
                state.enrolment.setNextHub(keys)
                try home.save(state.enrolment)
                state.nextHub = keys
                CrashPoint.hubKeysKept.pass()
            case .forgetNext:
                try FileManager.default.removeItem(atPath: home.nextKey)
                state.next = nil
            }
        }
        return disk
    }

    private func make(_ state: inout State) throws {
        guard state.next == nil else { return }
        let pair = try CurveKeyPair.generate()
        try home.save(pair, to: home.nextKey)
        state.next = pair
        CrashPoint.keyMade.pass()
    }

    private func adoptOwn(_ state: inout State) throws {
        guard let next = state.next else { return }
        try home.save(state.own, to: home.formerKey)
        CrashPoint.keyHalfAdopted.pass()
        try DurableFile.rename(home.nextKey, to: home.curveKey)
        (state.former, state.own, state.next) = (state.own, next, nil)
        CrashPoint.keyAdopted.pass()
    }

    private func adoptHub(_ keys: HubKeys, _ state: inout State) throws {
        state.enrolment.setHub(keys)
        try home.save(state.enrolment)
        (state.hub, state.nextHub) = (keys, nil)
        CrashPoint.hubKeysAdopted.pass()
    }
}

extension AgentHome {
    var nextKey: String { curveKey + ".next" }
    var formerKey: String { curveKey + ".former" }
    var keyRequest: String { keys + "/renew" }

    func save(_ pair: CurveKeyPair, to path: String) throws {
        try DurableFile.write(Array((pair.secretZ85 + "\n").utf8), to: path, mode: 0o600)
    }

    /// nil when there is no such file.
    func loadKeys(_ path: String) throws -> CurveKeyPair? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let text = String(decoding: try SecretFile.read(path), as: UTF8.self)
        return try CurveKeyPair(secretZ85: text.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    func save(_ enrolment: StoredEnrolment) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try DurableFile.write(Array(try encoder.encode(enrolment)), to: self.enrolment)
    }

    /// Asks the agent of this home, whether it runs or not, to replace its key.
    /// - Throws: ``FileFault``.
    public func requestNewKey() throws {
        try DurableFile.write([], to: keyRequest, mode: 0o600)
    }
}

extension StoredEnrolment {
    func hub() throws -> HubKeys? { try StoredEnrolment.keys(hub_curve_key, hub_signing_key) }

    func nextHub() throws -> HubKeys? {
        guard let curve = next_hub_curve_key, let signing = next_hub_signing_key else { return nil }
        return try StoredEnrolment.keys(curve, signing)
    }

    private static func keys(_ curve: String, _ signing: String) throws -> HubKeys? {
        guard let bytes = Data(base64Encoded: signing) else { return nil }
        return HubKeys(curve: try CurvePublicKey(z85: curve).bytes, signing: Array(bytes))
    }

    mutating func setNextHub(_ keys: HubKeys) {
        next_hub_curve_key = (try? CurvePublicKey(bytes: keys.curve))?.z85
        next_hub_signing_key = Data(keys.signing).base64EncodedString()
    }

    mutating func setHub(_ keys: HubKeys) {
        guard let curve = try? CurvePublicKey(bytes: keys.curve) else { return }
        hub_curve_key = curve.z85
        hub_signing_key = Data(keys.signing).base64EncodedString()
        (next_hub_curve_key, next_hub_signing_key) = (nil, nil)
    }
}
