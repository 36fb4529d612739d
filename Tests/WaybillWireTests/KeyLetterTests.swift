import Foundation
import Testing
import WaybillModel

@testable import WaybillWire

@Suite struct KeyLetterTests {
    private static let incarnation = Incarnation(counter: 3, random: 7)
    private static let key = [UInt8](repeating: 5, count: 32)

    private static func keys(_ byte: UInt8) throws -> HubKeys {
        try #require(HubKeys(curve: [UInt8](repeating: byte, count: 32), signing: [UInt8](repeating: byte, count: 32)))
    }

    private static func notice(_ notice: KeyNotice) throws -> AgentLetter {
        AgentLetter(store: try #require(StoreID("S1")), incarnation: incarnation, body: .keys(notice))
    }

    @Test func whatIsSaidAboutKeysArrivesAsItWasSaid() throws {
        for notice in [
            KeyNotice(newKey: Self.key), KeyNotice(knows: try Self.keys(1)),
            KeyNotice(newKey: Self.key, knows: try Self.keys(2)), KeyNotice(),
        ] {
            let letter = try Self.notice(notice)
            #expect(try AgentLetter(decoding: letter.encoded()) == letter)
        }
        let answer = HubLetter.keyAnswer(KeyAnswer(newKey: Self.key, isAccepted: false, reason: "no"))
        #expect(try HubLetter(decoding: answer.encoded()) == answer)
        var welcome = HubLetter.Welcome(
            hubRun: 1, hubTime: Timestamp(milliseconds: 2), offers: [], cancels: [], helloSeconds: 30)
        welcome.keys = KeyNews(
            next: try Self.keys(3), signature: [UInt8](repeating: 9, count: 64), isRenewalAsked: true)
        #expect(try HubLetter(decoding: HubLetter.welcome(welcome).encoded()) == .welcome(welcome))
        welcome.keys = nil
        #expect(try HubLetter(decoding: HubLetter.welcome(welcome).encoded()) == .welcome(welcome))
    }

    /// Found by input 424,494 of seed 1 of the fuzzer: it was kept, and not written again.
    @Test func aSignatureWithoutTheKeysThatItSignsIsNotKept() throws {
        var welcome = WireWelcome()
        welcome.helloSeconds = 30
        welcome.keys.signature = Data(repeating: 9, count: 64)
        var message = WireHubMessage()
        message.protocol = protocolVersion
        message.welcome = welcome
        let letter = try HubLetter(decoding: try message.serializedBytes())
        guard case .welcome(let read) = letter else { throw LetterFault("not a welcome") }
        #expect(read.keys == KeyNews(next: nil, signature: [], isRenewalAsked: false))
        #expect(try HubLetter(decoding: letter.encoded()) == letter)
    }

    @Test(arguments: [1, 31, 33, 64]) func aKeyOfAnotherLengthIsRefused(count: Int) throws {
        let bad = [UInt8](repeating: 5, count: count)
        let letter = try Self.notice(KeyNotice(newKey: bad)).encoded()
        #expect(throws: LetterFault.self) { try AgentLetter(decoding: letter) }
        #expect(HubKeys(curve: bad, signing: Self.key) == nil)
        let answer = try HubLetter.keyAnswer(KeyAnswer(newKey: bad, isAccepted: true)).encoded()
        #expect(throws: LetterFault.self) { try HubLetter(decoding: answer) }
    }

    @Test func aSignatureUnderNextKeysIsGoodForNothingElse() throws {
        let key = SigningKey()
        let next = try Self.keys(4)
        let signature = try key.sign(next: next)
        #expect(key.verifyingKey.isValid(signature, next: next))
        #expect(!key.verifyingKey.isValid(signature, next: try Self.keys(5)))
        #expect(!SigningKey().verifyingKey.isValid(signature, next: next))
        #expect(!key.verifyingKey.isValid(signature, manifest: next.curve + next.signing))
        let other = try key.sign(manifest: next.curve + next.signing)
        #expect(!key.verifyingKey.isValid(other, next: next))
        let swapped = try #require(HubKeys(curve: next.signing, signing: [UInt8](repeating: 1, count: 32)))
        #expect(!key.verifyingKey.isValid(signature, next: swapped))
    }

    @Test func theSignatureOfTheProtocolPageIsOurs() throws {
        let key = try SigningKey(rawBytes: [UInt8](repeating: 3, count: 32)).verifyingKey
        let next = try #require(
            HubKeys(curve: [UInt8](repeating: 4, count: 32), signing: [UInt8](repeating: 5, count: 32)))
        let text =
            "9c86492180cf89ed0c0e88c3d6d5a499cd3862c15b77745ecdd55b56825e9aef"
            + "0b1425873e8f8bb4ba6da3afcb582d24e776027088cb5c6b4e80996c9c75de08"
        let digits = Array(text)
        let signature = stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(digits[$0..<$0 + 2]), radix: 16)
        }
        #expect(key.isValid(signature, next: next))
    }
}
