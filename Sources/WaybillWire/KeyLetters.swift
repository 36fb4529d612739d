import Foundation
import SwiftProtobuf

/// The public halves of a hub's two keys. They are replaced together.
public struct HubKeys: Hashable, Sendable {
    public static let keyBytes = 32

    /// CURVE: whom an agent connects to.
    public var curve: [UInt8]
    /// Ed25519: whose packages it believes.
    public var signing: [UInt8]

    /// nil unless both have 32 bytes.
    public init?(curve: [UInt8], signing: [UInt8]) {
        guard curve.count == HubKeys.keyBytes, signing.count == HubKeys.keyBytes else { return nil }
        self.curve = curve
        self.signing = signing
    }

    /// What the announcement's signature is over.
    var signedBytes: [UInt8] { curve + signing }
}

/// What a store is to know or to do about keys.
public struct KeyNews: Hashable, Sendable {
    /// The keys that the hub will have one day.
    public var next: HubKeys?
    /// Over ``next``, by the key that signs manifests now.
    public var signature: [UInt8]
    /// The store is asked to make itself a new key.
    public var isRenewalAsked: Bool

    public init(next: HubKeys? = nil, signature: [UInt8] = [], isRenewalAsked: Bool = false) {
        self.next = next
        self.signature = signature
        self.isRenewalAsked = isRenewalAsked
    }

    public var isEmpty: Bool { next == nil && !isRenewalAsked }
}

/// What a store says about keys.
public struct KeyNotice: Hashable, Sendable {
    /// A new CURVE public key of the store, 32 bytes.
    public var newKey: [UInt8]?
    /// The hub's next keys: the store has them on its disk.
    public var knows: HubKeys?

    public init(newKey: [UInt8]? = nil, knows: HubKeys? = nil) {
        self.newKey = newKey
        self.knows = knows
    }
}

/// Whether a store's new key is good from now on.
public struct KeyAnswer: Hashable, Sendable {
    public var newKey: [UInt8]
    public var isAccepted: Bool
    /// Why not.
    public var reason: String

    public init(newKey: [UInt8], isAccepted: Bool, reason: String = "") {
        self.newKey = newKey
        self.isAccepted = isAccepted
        self.reason = reason
    }
}

// MARK: coding

extension KeyNotice {
    init(checking wire: WireKeyNotice) throws(LetterFault) {
        if !wire.newKey.isEmpty {
            guard wire.newKey.count == HubKeys.keyBytes else { throw LetterFault("a CURVE public key has 32 bytes") }
            newKey = Array(wire.newKey)
        }
        if !wire.knownCurveKey.isEmpty || !wire.knownSigningKey.isEmpty {
            knows = HubKeys(curve: Array(wire.knownCurveKey), signing: Array(wire.knownSigningKey))
            guard knows != nil else { throw LetterFault("a hub's keys have 32 bytes each") }
        }
    }
}

extension WireKeyNotice {
    init(_ notice: KeyNotice) {
        self.init()
        if let key = notice.newKey { newKey = Data(key) }
        if let known = notice.knows {
            knownCurveKey = Data(known.curve)
            knownSigningKey = Data(known.signing)
        }
    }
}

extension KeyNews {
    /// Keys of a wrong length are no reason to refuse the whole Welcome: there are none.
    init(_ wire: WireKeyNews) {
        next = HubKeys(curve: Array(wire.nextCurveKey), signing: Array(wire.nextSigningKey))
        // It signs the keys: without them it means nothing, and is not kept.
        signature = next == nil ? [] : Array(wire.signature.prefix(64))
        isRenewalAsked = wire.renew
    }
}

extension WireKeyNews {
    init(_ news: KeyNews) {
        self.init()
        if let next = news.next {
            nextCurveKey = Data(next.curve)
            nextSigningKey = Data(next.signing)
            signature = Data(news.signature)
        }
        renew = news.isRenewalAsked
    }
}

extension KeyAnswer {
    init(checking wire: WireKeyAnswer) throws(LetterFault) {
        guard wire.newKey.count == HubKeys.keyBytes else { throw LetterFault("a CURVE public key has 32 bytes") }
        self.init(newKey: Array(wire.newKey), isAccepted: wire.accepted, reason: plainText(wire.reason))
    }
}

extension WireKeyAnswer {
    init(_ answer: KeyAnswer) {
        self.init()
        newKey = Data(answer.newKey)
        accepted = answer.isAccepted
        reason = answer.reason
    }
}
