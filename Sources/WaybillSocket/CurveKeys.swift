import CZeroMQ

/// A CURVE public key: 32 bytes, or 40 characters of Z85 text.
public struct CurvePublicKey: Hashable, Sendable, CustomStringConvertible {
    public static let byteCount = 32

    public let bytes: [UInt8]

    /// Refuses a wrong length, and the test keys of zmq_curve(7), whose secrets the whole world knows.
    public init(bytes: [UInt8]) throws(SocketError) {
        guard bytes.count == Self.byteCount else {
            throw .badKey("a CURVE public key has \(Self.byteCount) bytes, this one has \(bytes.count)")
        }
        self.bytes = bytes
        guard !TestKeys.publicKeys.contains(z85) else {
            throw .badKey("this is a test key of the zmq_curve manual page, known to everybody: make a new key")
        }
    }

    public init(z85 text: String) throws(SocketError) {
        try self.init(bytes: Z85.decode(text, of: "CURVE public key"))
    }

    public var z85: String { Z85.encode(bytes) }
    public var description: String { z85 }
}

/// A CURVE public key and its secret. Printing one shows the public half only.
public struct CurveKeyPair: Equatable, Sendable, CustomStringConvertible, CustomReflectable {
    public let publicKey: CurvePublicKey
    /// 32 bytes, for a file of mode 0600 and nothing else.
    public let secretBytes: [UInt8]

    /// Makes a new pair from the system's random source.
    public static func generate() throws(SocketError) -> CurveKeyPair {
        var publicText = [CChar](repeating: 0, count: 41)
        var secretText = publicText
        guard zmq_curve_keypair(&publicText, &secretText) == 0 else { throw SocketError.last("make a CURVE key pair") }
        return try CurveKeyPair(secretBytes: Z85.decode(Z85.text(secretText), of: "CURVE secret key"))
    }

    /// The pair that belongs to a secret; its public key is derived.
    public init(secretBytes: [UInt8]) throws(SocketError) {
        guard secretBytes.count == CurvePublicKey.byteCount else {
            throw .badKey("a CURVE secret key has 32 bytes, this one has \(secretBytes.count)")
        }
        var publicText = [CChar](repeating: 0, count: 41)
        guard zmq_curve_public(&publicText, Z85.encode(secretBytes)) == 0 else {
            throw SocketError.last("derive a CURVE public key")
        }
        self.publicKey = try CurvePublicKey(z85: Z85.text(publicText))
        self.secretBytes = secretBytes
    }

    /// A stored pair. Refuses halves that do not belong together, as after a file was mixed up or damaged.
    public init(publicBytes: [UInt8], secretBytes: [UInt8]) throws(SocketError) {
        try self.init(secretBytes: secretBytes)
        guard publicKey.bytes == publicBytes else {
            throw .badKey("the CURVE public key and the secret key do not belong together")
        }
    }

    public init(secretZ85: String) throws(SocketError) {
        try self.init(secretBytes: Z85.decode(secretZ85, of: "CURVE secret key"))
    }

    public var secretZ85: String { Z85.encode(secretBytes) }
    public var description: String { "CurveKeyPair(public \(publicKey.z85))" }
    public var customMirror: Mirror { Mirror(self, children: ["publicKey": publicKey]) }
}

/// Both public keys of zmq_curve(7). A secret of that page derives one of them, so this refuses the secrets too.
private enum TestKeys {
    static let publicKeys: Set<String> = [
        "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID",
        "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
    ]
}

/// Z85 of 32-byte keys, by libzmq's own coder (https://rfc.zeromq.org/spec/32/).
private enum Z85 {
    static func encode(_ bytes: [UInt8]) -> String {
        var characters = [CChar](repeating: 0, count: 41)
        precondition(bytes.count == 32, "only keys of 32 bytes are encoded")
        zmq_z85_encode(&characters, bytes, bytes.count)
        return text(characters)
    }

    static func decode(_ text: String, of what: String) throws(SocketError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 32)
        // The length is checked first: libzmq writes as many bytes as the text asks for.
        guard text.utf8.count == 40, !text.utf8.contains(0), zmq_z85_decode(&bytes, text) != nil else {
            throw .badKey("a \(what) is 40 characters of Z85 text")
        }
        return bytes
    }

    static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
