import Foundation
import GRDB
import Testing

@testable import WaybillDatabase

@Suite(.serialized) final class SecretFileTests {
    private let folder: String

    init() throws {
        folder = NSTemporaryDirectory() + "secret-\(UInt32.random(in: .min ... .max))"
        try DurableFile.createFolder(folder, mode: 0o700)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }

    private func refusal(_ path: String) -> String {
        do {
            _ = try SecretFile.read(path)
            return "read"
        } catch { return "\(error)" }
    }

    @Test func aSecretOfItsOwnerAloneIsRead() throws {
        let path = folder + "/key"
        try DurableFile.write([1, 2, 3], to: path, mode: 0o600)
        #expect(try SecretFile.read(path) == [1, 2, 3])
        #expect(chmod(path, 0o400) == 0)
        #expect(try SecretFile.read(path) == [1, 2, 3])
    }

    @Test(arguments: [mode_t(0o640), 0o604, 0o620, 0o601, 0o666, 0o777, 0o610])
    func aSecretThatOthersMayUseIsRefusedWithWhatToDo(mode: mode_t) throws {
        let path = folder + "/key"
        try DurableFile.write([1], to: path, mode: 0o600)
        #expect(chmod(path, mode) == 0)
        let words = refusal(path)
        #expect(words.contains("chmod 600 \(path)") && words.contains(String(mode, radix: 8)), "\(words)")
    }

    @Test func aLinkAndAFolderAreNoSecrets() throws {
        let path = folder + "/key"
        try DurableFile.write([1], to: path, mode: 0o600)
        #expect(symlink(path, folder + "/link") == 0)
        #expect(refusal(folder + "/link").contains("is a link"))
        #expect(refusal(folder).contains("not a plain file"))
        #expect(refusal(folder + "/none").contains("cannot open"))
    }

    @Test func aFileOfAnotherUserIsRefused() throws {
        var status = stat()
        status.st_mode = S_IFREG | 0o600
        status.st_uid = 4711
        #expect(SecretFile.fault("key", status, user: 1000)?.contains("belongs to another user") == true)
        #expect(SecretFile.fault("key", status, user: 4711) == nil)
        status.st_uid = 0
        #expect(SecretFile.fault("key", status, user: 1000) == nil)
    }

    /// The umask is the whole process's: changed for a moment, and only by this suite.
    private func withUmask<Value>(_ mask: mode_t, _ body: () throws -> Value) rethrows -> Value {
        let before = umask(mask)
        defer { _ = umask(before) }
        return try body()
    }

    @Test func aSecretIsPrivateFromItsFirstMomentWhateverTheUmask() throws {
        let path = folder + "/key"
        try withUmask(0) {
            try DurableFile.write([1], to: path, mode: 0o600)
            #expect(mode(path) == 0o600)
            // A file that lies about its beginning is not taken over.
            try DurableFile.write([2], to: folder + "/other", mode: 0o666)
            #expect(rename(folder + "/other", path + ".partial") == 0)
            try DurableFile.write([3], to: path, mode: 0o600)
            #expect(mode(path) == 0o600)
        }
        #expect(try SecretFile.read(path) == [3])
    }

    @Test func aDatabaseAndItsJournalArePrivateWhateverTheUmask() throws {
        let path = folder + "/private.db"
        try withUmask(0) {
            try PrivateFile.make(path)
            let queue = try OpenDatabase.queue(at: path, label: "test")
            try queue.write { try $0.execute(sql: "CREATE TABLE t (x)") }
            for suffix in ["", "-wal", "-shm"] { #expect(mode(path + suffix) == 0o600, "\(suffix)") }
            try queue.close()
        }
        // One that is there stays as it is.
        #expect(chmod(path, 0o640) == 0)
        try PrivateFile.make(path)
        #expect(mode(path) == 0o640)
    }
}
