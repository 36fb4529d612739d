import Testing
import WaybillSocket

@Suite struct CurveKeyTests {
    @Test func aPairSurvivesItsBytesAndItsText() throws {
        let pair = try CurveKeyPair.generate()
        #expect(try CurveKeyPair(secretBytes: pair.secretBytes) == pair)
        #expect(try CurveKeyPair(secretZ85: pair.secretZ85) == pair)
        #expect(try CurvePublicKey(z85: pair.publicKey.z85) == pair.publicKey)
        #expect(try CurvePublicKey(bytes: pair.publicKey.bytes) == pair.publicKey)
        #expect(pair.publicKey.bytes.count == 32 && pair.publicKey.z85.utf8.count == 40)
        #expect(try CurveKeyPair.generate() != pair)
    }

    @Test func halvesOfDifferentPairsAreRefused() throws {
        let (one, other) = (try CurveKeyPair.generate(), try CurveKeyPair.generate())
        #expect(throws: SocketError.self) {
            try CurveKeyPair(publicBytes: other.publicKey.bytes, secretBytes: one.secretBytes)
        }
        #expect(throws: Never.self) {
            try CurveKeyPair(publicBytes: one.publicKey.bytes, secretBytes: one.secretBytes)
        }
    }

    @Test(arguments: ["Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"])
    func publicTestKeysOfTheManualAreRefused(text: String) {
        #expect(throws: SocketError.badKey(testKeySentence)) { try CurvePublicKey(z85: text) }
    }

    @Test(arguments: ["D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs", "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"])
    func secretTestKeysOfTheManualAreRefused(text: String) {
        #expect(throws: SocketError.badKey(testKeySentence)) { try CurveKeyPair(secretZ85: text) }
    }

    @Test(arguments: ["", "short", String(repeating: "0", count: 41), String(repeating: "~", count: 40), "é" + "0"])
    func textThatIsNoKeyIsRefused(text: String) {
        #expect(throws: SocketError.badKey("a CURVE public key is 40 characters of Z85 text")) {
            try CurvePublicKey(z85: text)
        }
    }

    @Test func printingAPairDoesNotShowItsSecret() throws {
        let pair = try CurveKeyPair.generate()
        var dumped = ""
        dump(pair, to: &dumped)
        for text in ["\(pair)", String(reflecting: pair), dumped] {
            #expect(!text.contains(pair.secretZ85))
            #expect(!text.contains("\(pair.secretBytes)") && !text.contains("secret"))
        }
    }

    private let testKeySentence =
        "this is a test key of the zmq_curve manual page, known to everybody: make a new key"
}
