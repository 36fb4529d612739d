import Foundation
import Testing
import WaybillDatabase
import WaybillWire

@testable import WaybillHub

/// The files of the hub's keys, also when a switch was cut short.
@Suite struct HubKeyringTests {
    private static func with(_ body: (HubHome) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "keyring-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(try HubHome.create(at: folder, listen: "tcp://127.0.0.1:7700"))
    }

    private static func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test func nextKeysAreMadeOnceAndAnnouncedUnderThePresentSignature() throws {
        try Self.with { home in
            let keyring = try HubKeyring(home: home)
            #expect(keyring.news.isEmpty)
            #expect(try keyring.announce())
            let next = try #require(keyring.news.next)
            #expect(next.curve != keyring.publicKeys.curve && next.signing != keyring.publicKeys.signing)
            #expect(keyring.signing.verifyingKey.isValid(keyring.news.signature, next: next))
            #expect(try !keyring.announce())
            #expect(try HubKeyring(home: home).news.next == next, "also after a restart")
            for path in [home.nextCurveKey, home.nextSigningKey] { #expect(try Self.mode(path) == 0o600) }
        }
    }

    @Test func aHubThatDiedBetweenTheTwoFilesHasAnnouncedNothing() throws {
        try Self.with { home in
            _ = try HubKeyring(home: home).announce()
            try FileManager.default.removeItem(atPath: home.nextSigningKey)
            let keyring = try HubKeyring(home: home)
            #expect(keyring.news.isEmpty)
            #expect(throws: HomeFault.self) { try keyring.switchOver() }
            #expect(try keyring.announce())
        }
    }

    @Test func theSwitchTakesBothKeysAndSignsAnewWhatTheOldOneSigned() throws {
        try Self.with { home in
            let keyring = try HubKeyring(home: home)
            let manifest: [UInt8] = [1, 2, 3]
            let old = keyring.signing
            let signature = try old.sign(manifest: manifest)
            #expect(try keyring.signature(of: manifest, signed: signature) == signature)
            _ = try keyring.announce()
            let next = try #require(keyring.news.next)
            try keyring.switchOver()
            #expect(keyring.publicKeys == (next.curve, next.signing))
            #expect(keyring.news.isEmpty)
            let anew = try keyring.signature(of: manifest, signed: signature)
            #expect(keyring.signing.verifyingKey.isValid(anew, manifest: manifest))
            #expect(!old.verifyingKey.isValid(anew, manifest: manifest))
            #expect(throws: HomeFault.self, "no oracle for whoever can write hub.db") {
                try keyring.signature(of: [1, 2, 4], signed: signature)
            }
            let restarted = try HubKeyring(home: home)
            #expect(restarted.publicKeys == (next.curve, next.signing))
            #expect(try restarted.signature(of: manifest, signed: signature).count == 64)
            #expect(try Self.mode(home.curveKey) == 0o600 && Self.mode(home.signingKey) == 0o600)
        }
    }

    /// 0: nothing is renamed yet, 1: one of the two, 2: both, and only the plan is left.
    @Test(arguments: 0...2) func aSwitchThatWasCutShortIsFinishedAtTheNextStart(renamed: Int) throws {
        try Self.with { home in
            let keyring = try HubKeyring(home: home)
            _ = try keyring.announce()
            let next = try #require(keyring.news.next)
            try home.addFormerSigningKey(keyring.signing.verifyingKey)
            try DurableFile.write([], to: home.keySwitch, mode: 0o600)
            if renamed > 0 { try DurableFile.rename(home.nextCurveKey, to: home.curveKey) }
            if renamed > 1 { try DurableFile.rename(home.nextSigningKey, to: home.signingKey) }
            let restarted = try HubKeyring(home: home)
            #expect(restarted.publicKeys == (next.curve, next.signing))
            #expect(restarted.news.isEmpty)
            #expect(!FileManager.default.fileExists(atPath: home.keySwitch))
        }
    }
}
