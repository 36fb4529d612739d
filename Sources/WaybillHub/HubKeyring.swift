import Foundation
import Synchronization
import WaybillDatabase
import WaybillModel
import WaybillSocket
import WaybillWire

/// The hub's two keys, CURVE and Ed25519, and those that are to take their place.
///
///     keys/hub.curve    keys/hub.signing     what it has
///     keys/next.curve   keys/next.signing    announced to the stores; both, or nothing is announced
///     keys/switching                         the next ones are being renamed to the present ones
///     keys/former.signing                    public halves, one a line, of keys that signed what is still offered
///
/// The two are replaced together: a store that has reached the hub by its new CURVE key then believes its new
/// signatures alone.
final class HubKeyring: Sendable {
    private struct State {
        var curve: CurveKeyPair
        var signing: SigningKey
        var next: (curve: CurveKeyPair, signing: SigningKey)?
        var news = KeyNews()
        var former: [VerifyingKey] = []
    }

    private let home: HubHome
    private let state: Mutex<State>

    /// Finishes a switch that was cut short, and reads what there is.
    init(home: HubHome) throws {
        self.home = home
        try home.finishSwitch()
        state = Mutex(try HubKeyring.load(home))
    }

    /// Keys that are in no file, for a hub without sockets. They are never replaced.
    init(curve: CurveKeyPair, signing: SigningKey, home: HubHome) {
        self.home = home
        state = Mutex(State(curve: curve, signing: signing))
    }

    private static func load(_ home: HubHome) throws -> State {
        var state = State(curve: try home.loadCurveKeys(), signing: try home.loadSigningKey())
        if home.hasNextKeys {
            let text = String(decoding: try SecretFile.read(home.nextCurveKey), as: UTF8.self)
            let curve = try CurveKeyPair(secretZ85: text.trimmingCharacters(in: .whitespacesAndNewlines))
            let signing = try SigningKey(rawBytes: try SecretFile.read(home.nextSigningKey))
            state.next = (curve, signing)
            if let next = HubKeyring.publicKeys(curve, signing) {
                state.news = KeyNews(next: next, signature: try state.signing.sign(next: next))
            }
        }
        state.former = try home.formerSigningKeys()
        return state
    }

    private static func publicKeys(_ curve: CurveKeyPair, _ signing: SigningKey) -> HubKeys? {
        HubKeys(curve: curve.publicKey.bytes, signing: signing.verifyingKey.rawBytes)
    }

    var curve: CurveKeyPair { state.withLock { $0.curve } }
    var signing: SigningKey { state.withLock { $0.signing } }
    /// What every store is to know.
    var news: KeyNews { state.withLock { $0.news } }
    var publicKeys: (curve: [UInt8], signing: [UInt8]) {
        state.withLock { ($0.curve.publicKey.bytes, $0.signing.verifyingKey.rawBytes) }
    }

    /// Makes the next keys, unless there are some. From now on every Welcome tells of them.
    /// - Returns: whether they are new.
    func announce() throws -> Bool {
        try state.withLock { state in
            guard state.next == nil else { return false }
            // A key without the other announces nothing: a hub that died here makes both anew.
            let curve = try CurveKeyPair.generate()
            try DurableFile.write(Array((curve.secretZ85 + "\n").utf8), to: home.nextCurveKey, mode: 0o600)
            try DurableFile.write(SigningKey().rawBytes, to: home.nextSigningKey, mode: 0o600)
            CrashPoint.hubKeysMade.pass()
            state = try HubKeyring.load(home)
            return true
        }
    }

    /// Takes the next keys in place of the present ones; from its first step on there is no way back.
    /// - Throws: ``HomeFault`` when none are announced.
    func switchOver() throws {
        try state.withLock { state in
            guard state.next != nil else {
                throw HomeFault("no next keys are announced; announce them with: waybill key rotate")
            }
            try home.addFormerSigningKey(state.signing.verifyingKey)
            try DurableFile.write([], to: home.keySwitch, mode: 0o600)
            CrashPoint.hubKeysSwitching.pass()
            try home.finishSwitch()
            state = try HubKeyring.load(home)
        }
    }

    /// The signature that stores believe now: the one made when the package was sealed or, when the hub has another key
    /// since, a new one.
    /// - Throws: ``HomeFault`` for a description that this hub has never signed.
    func signature(of manifest: [UInt8], signed signature: [UInt8]) throws -> [UInt8] {
        try state.withLock { state in
            if state.signing.verifyingKey.isValid(signature, manifest: manifest) { return signature }
            guard state.former.contains(where: { $0.isValid(signature, manifest: manifest) }) else {
                throw HomeFault("a package's description in hub.db bears no signature of this hub")
            }
            return try state.signing.sign(manifest: manifest)
        }
    }
}

extension HubHome {
    var nextCurveKey: String { keys + "/next.curve" }
    var nextSigningKey: String { keys + "/next.signing" }
    var keySwitch: String { keys + "/switching" }
    var formerSigning: String { keys + "/former.signing" }

    var hasNextKeys: Bool { [nextCurveKey, nextSigningKey].allSatisfy(FileManager.default.fileExists) }

    /// Packages are not kept for longer than that many switches.
    private static let formerMax = 16

    func formerSigningKeys() throws -> [VerifyingKey] {
        guard FileManager.default.fileExists(atPath: formerSigning) else { return [] }
        let lines = String(decoding: try DurableFile.read(formerSigning), as: UTF8.self).split(separator: "\n")
        return lines.compactMap { Data(base64Encoded: String($0)) }.compactMap {
            try? VerifyingKey(rawBytes: Array($0))
        }
    }

    func addFormerSigningKey(_ key: VerifyingKey) throws {
        let keys = try formerSigningKeys().filter { $0 != key }.suffix(HubHome.formerMax - 1) + [key]
        let text = keys.map { Data($0.rawBytes).base64EncodedString() + "\n" }.joined()
        try DurableFile.write(Array(text.utf8), to: formerSigning, mode: 0o600)
    }

    /// Renames what a switch has not renamed yet; nothing when no switch is under way. May be repeated at any step.
    func finishSwitch() throws {
        guard FileManager.default.fileExists(atPath: keySwitch) else { return }
        for (next, present) in [(nextCurveKey, curveKey), (nextSigningKey, signingKey)]
        where FileManager.default.fileExists(atPath: next) {
            try DurableFile.rename(next, to: present)
            if next == nextCurveKey { CrashPoint.hubKeysHalfSwitched.pass() }
        }
        try FileManager.default.removeItem(atPath: keySwitch)
        try DurableFile.syncFolder(of: keySwitch)
    }
}
