import Crypto
import Foundation
import WaybillModel

/// The domain of our signatures: one over a manifest is good for nothing else.
private let manifestDomain = Array("waybill-manifest-v1\0".utf8)
private let nextKeysDomain = Array("waybill-next-keys-v1\0".utf8)

/// The hub's Ed25519 key, which signs manifests.
public struct SigningKey: Sendable {
    private let key: Curve25519.Signing.PrivateKey

    /// A fresh random key.
    public init() { key = Curve25519.Signing.PrivateKey() }

    /// - Throws: ``ManifestFault`` unless there are 32 bytes.
    public init(rawBytes: [UInt8]) throws(ManifestFault) {
        do { key = try Curve25519.Signing.PrivateKey(rawRepresentation: rawBytes) } catch {
            throw ManifestFault("the hub's signing key is damaged: it must be 32 bytes")
        }
    }

    /// 32 bytes, secret.
    public var rawBytes: [UInt8] { Array(key.rawRepresentation) }
    public var verifyingKey: VerifyingKey { VerifyingKey(key: key.publicKey) }

    public func sign(manifest: [UInt8]) throws -> [UInt8] {
        Array(try key.signature(for: manifestDomain + manifest))
    }

    /// Announces the keys that the hub will have after this one.
    public func sign(next: HubKeys) throws -> [UInt8] {
        Array(try key.signature(for: nextKeysDomain + next.signedBytes))
    }
}

/// The public half: what an agent believes packages by.
public struct VerifyingKey: Sendable, Hashable {
    /// 32 bytes.
    public let rawBytes: [UInt8]
    private var key: Curve25519.Signing.PublicKey? { try? Curve25519.Signing.PublicKey(rawRepresentation: rawBytes) }

    init(key: Curve25519.Signing.PublicKey) { rawBytes = Array(key.rawRepresentation) }

    /// - Throws: ``ManifestFault`` unless the bytes are a key.
    public init(rawBytes: [UInt8]) throws(ManifestFault) {
        self.rawBytes = rawBytes
        guard key != nil else { throw ManifestFault("the hub's signing key is damaged: enrol again") }
    }

    public func isValid(_ signature: [UInt8], manifest: [UInt8]) -> Bool {
        key?.isValidSignature(signature, for: manifestDomain + manifest) ?? false
    }

    public func isValid(_ signature: [UInt8], next: HubKeys) -> Bool {
        key?.isValidSignature(signature, for: nextKeysDomain + next.signedBytes) ?? false
    }

    /// Verifies, then parses: bytes that are not the hub's are not looked into.
    public func openManifest(_ bytes: [UInt8], signature: [UInt8]) throws(ManifestFault) -> Manifest {
        guard isValid(signature, manifest: bytes) else { throw ManifestFault("its signature is not the hub's") }
        return try Manifest(decoding: bytes)
    }
}
