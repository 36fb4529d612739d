import Crypto
import Foundation
import Testing
import WaybillModel
import WaybillWire

@Suite struct SigningTests {
    @Test func aSignedManifestIsOpened() throws {
        let key = SigningKey()
        let bytes = try sampleManifest().encoded()
        let signature = try key.sign(manifest: bytes)
        #expect(try key.verifyingKey.openManifest(bytes, signature: signature) == sampleManifest())
    }

    @Test func anyFlippedBitIsNoticed() throws {
        let key = SigningKey()
        let bytes = try sampleManifest().encoded()
        let signature = try key.sign(manifest: bytes)
        for place in bytes.indices {
            var other = bytes
            other[place] ^= 1
            #expect(!key.verifyingKey.isValid(signature, manifest: other))
        }
        for place in signature.indices {
            var other = signature
            other[place] ^= 1
            #expect(!key.verifyingKey.isValid(other, manifest: bytes))
        }
    }

    @Test func anotherHubsSignatureIsRefused() throws {
        let bytes = try sampleManifest().encoded()
        let signature = try SigningKey().sign(manifest: bytes)
        #expect(throws: ManifestFault("its signature is not the hub's")) {
            try SigningKey().verifyingKey.openManifest(bytes, signature: signature)
        }
    }

    @Test func aSignatureWithoutItsDomainIsRefused() throws {
        let key = SigningKey()
        let bytes = try sampleManifest().encoded()
        let bare = try Curve25519.Signing.PrivateKey(rawRepresentation: key.rawBytes).signature(for: bytes)
        #expect(!key.verifyingKey.isValid(Array(bare), manifest: bytes))
    }

    @Test func keysComeBackFromTheirBytes() throws {
        let key = SigningKey()
        let again = try SigningKey(rawBytes: key.rawBytes)
        #expect(again.verifyingKey == key.verifyingKey)
        #expect(try VerifyingKey(rawBytes: key.verifyingKey.rawBytes) == key.verifyingKey)
        #expect(throws: ManifestFault.self) { try SigningKey(rawBytes: [1, 2, 3]) }
        #expect(throws: ManifestFault.self) { try VerifyingKey(rawBytes: []) }
    }
}

@Suite struct EnrolmentCodeTests {
    private func sample() throws -> EnrolmentCode {
        EnrolmentCode(
            store: try #require(StoreID("Göteborg 17")), secret: Array(0..<16),
            enrolmentEndpoint: "tcp://hq.example:7702",
            hubCurveKey: [UInt8](repeating: 0xff, count: 32), hubSigningKey: [UInt8](repeating: 0xfb, count: 32))
    }

    @Test func aCodeComesBackAsItWas() throws {
        let text = try sample().encoded()
        #expect(text.hasPrefix("waybill1."))
        #expect(text.dropFirst(9).allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") })
        #expect(try EnrolmentCode(decoding: text) == sample())
    }

    @Test func spaceAroundACodeDoesNotMatter() throws {
        #expect(try EnrolmentCode(decoding: "  \(sample().encoded())\n") == sample())
    }

    @Test func whatIsNotAWholeCodeIsRefusedWithASentence() throws {
        let code = try sample().encoded()
        let rests = [
            "", "waybill1.", "hello", String(code.dropLast(8)), String(code.dropFirst(3)), code + "!",
            "waybill2" + code.dropFirst(8),
            code + String(repeating: "A", count: 4096), "waybill1.AAAA", "waybill1.ÄÖÜ",
        ]
        for text in rests {
            do {
                _ = try EnrolmentCode(decoding: text)
                Issue.record("accepted: \(text.prefix(40))")
            } catch {
                #expect(error.description.contains("not a whole enrolment code"))
            }
        }
    }

    @Test func aCodeWithWrongKeysIsRefused() throws {
        var code = try sample()
        code.hubCurveKey.removeLast()
        #expect(throws: ManifestFault.self) { try EnrolmentCode(decoding: code.encoded()) }
        code = try sample()
        code.secret = [1]
        #expect(throws: ManifestFault.self) { try EnrolmentCode(decoding: code.encoded()) }
        code = try sample()
        code.enrolmentEndpoint = "ipc:///tmp/x"
        #expect(throws: ManifestFault.self) { try EnrolmentCode(decoding: code.encoded()) }
    }
}

@Suite struct PackageIDTests {
    @Test func aNameIsItsHexDigits() throws {
        let id = try #require(PackageID(Array(0..<32)))
        #expect(id.hex == "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
        #expect(PackageID(hex: id.hex) == id)
    }

    @Test func whatIsNoNameIsNil() {
        #expect(PackageID([1, 2]) == nil)
        #expect(PackageID(hex: String(repeating: "0", count: 63)) == nil)
        #expect(PackageID(hex: String(repeating: "A", count: 64)) == nil)
        #expect(PackageID(hex: String(repeating: "é", count: 32)) == nil)
    }
}

@Suite struct StoreReportTests {
    @Test func aReportComesBackAsItWas() throws {
        let session = try #require(SessionID("8-0123456789ab"))
        let report = StoreReport(
            id: 3, incarnation: Incarnation(counter: 5, random: .max), sequence: 9, session: session,
            job: try #require(JobID("prices")), run: 2, attempt: 4, outcome: .applied, at: Timestamp(milliseconds: 77),
            rowsChanged: 12, longestLockMilliseconds: 6, message: "done", isTransient: true,
            watermark: Watermark(version: Version(epoch: 1, number: 2), session: session))
        #expect(try StoreReport(decoding: report.encoded()) == report)
    }
}
