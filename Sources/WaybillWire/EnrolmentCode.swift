import Foundation
import SwiftProtobuf
import WaybillModel

/// The one-time code that an administrator hands to a store: who it is for, the secret, and the hub's address and keys.
public struct EnrolmentCode: Hashable, Sendable {
    public var store: StoreID
    /// 16 random bytes; the hub keeps only their hash.
    public var secret: [UInt8]
    public var enrolmentEndpoint: String
    /// CURVE, 32 bytes.
    public var hubCurveKey: [UInt8]
    /// Ed25519, 32 bytes.
    public var hubSigningKey: [UInt8]

    /// 128 bits: not to be guessed.
    public static let secretBytes = 16
    static let prefix = "waybill1."
    /// Characters of a code at most; longer input is not looked at.
    static let charactersMax = 2048

    public init(
        store: StoreID, secret: [UInt8], enrolmentEndpoint: String, hubCurveKey: [UInt8], hubSigningKey: [UInt8]
    ) {
        self.store = store
        self.secret = secret
        self.enrolmentEndpoint = enrolmentEndpoint
        self.hubCurveKey = hubCurveKey
        self.hubSigningKey = hubSigningKey
    }

    public func encoded() throws -> String {
        var wire = WireEnrolmentCode()
        wire.store = store.rawValue
        wire.secret = Data(secret)
        wire.enrolmentEndpoint = enrolmentEndpoint
        wire.hubCurveKey = Data(hubCurveKey)
        wire.hubSigningKey = Data(hubSigningKey)
        let bytes: [UInt8] = try wire.serializedBytes()
        let base64 = Data(bytes).base64EncodedString()
        return EnrolmentCode.prefix
            + base64.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    /// - Throws: ``ManifestFault`` when the text is not a whole code.
    public init(decoding text: String) throws(ManifestFault) {
        let fault = ManifestFault("this is not a whole enrolment code; it begins with '\(EnrolmentCode.prefix)'")
        let text = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard text.hasPrefix(EnrolmentCode.prefix), text.utf8.count <= EnrolmentCode.charactersMax else { throw fault }
        var base64 = text.dropFirst(EnrolmentCode.prefix.count).replacing("-", with: "+").replacing("_", with: "/")
        base64 += String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)
        guard let bytes = Data(base64Encoded: String(base64)),
            let wire = try? WireEnrolmentCode(serializedBytes: bytes), let store = StoreID(wire.store),
            wire.secret.count == EnrolmentCode.secretBytes, wire.hubCurveKey.count == 32,
            wire.hubSigningKey.count == 32,
            wire.enrolmentEndpoint.hasPrefix("tcp://")
        else { throw fault }
        self.init(
            store: store, secret: Array(wire.secret), enrolmentEndpoint: wire.enrolmentEndpoint,
            hubCurveKey: Array(wire.hubCurveKey), hubSigningKey: Array(wire.hubSigningKey))
    }
}
