import Foundation
import GRDB
import Synchronization
import Testing
import WaybillDatabase
import WaybillModel

@testable import WaybillHub

/// Backing up a home and making one of the backup, without a running hub.
@Suite struct BackupTests {
    private let folder: BackupFolder

    init() throws { folder = try BackupFolder() }

    @Test func whatWasBackedUpIsThereAgainAndNothingElseIs() throws {
        try folder.write("jobs/own.yaml", "a job")
        try folder.write("jobs/deep/er/other.yaml", "another")
        try folder.write("mappings/erp.yaml", "a mapping")
        try folder.write("admin-tokens", "a token's hash")
        try folder.write("packages/0.zst", "a package")
        try folder.sql(
            "hq.db", "INSERT INTO price_group (price_group_id, name, priority) VALUES ('G1', 'a\u{1F600}b', 1)")
        // A table of the kind in which SQLite 3.40 sees NULLs where there are none.
        try folder.sql("hub.db", "INSERT INTO package_base (package, epoch, version, session) VALUES ('p', 1, 5, 's')")
        let report = try folder.backUp(isVerified: true)
        #expect(report.description.newestSession == 0)
        let restored = try folder.restore()
        #expect(restored.former == nil)
        for name in [
            "jobs/own.yaml", "jobs/deep/er/other.yaml", "mappings/erp.yaml", "hub.yaml", "keys/hub.curve",
            "admin-tokens",
        ] {
            #expect(folder.content("restored/" + name) == folder.content("home/" + name), "\(name)")
        }
        #expect(folder.content("restored/packages/0.zst") == nil)
        #expect(folder.content("restored/.restoring") == nil)
        #expect(try folder.strings("restored/hq.db", "SELECT name FROM price_group") == ["a\u{1F600}b"])
        #expect(try HubHome(existing: folder.path + "/restored").loadSigningKey().rawBytes.count == 32)
    }

    @Test func onlyTheOwnerCanReadABackupAndWhatIsMadeOfIt() throws {
        try folder.backUp()
        #expect(try folder.permissions("backup.tar") == 0o600)
        _ = try folder.restore()
        for name in ["hub.db", "hq.db", "hub.yaml", "keys/hub.curve", "keys/hub.signing"] {
            #expect(try folder.permissions("restored/" + name) == 0o600, "\(name)")
        }
        #expect(try folder.permissions("restored/keys") == 0o700)
        #expect(folder.content("backup.tar.partial") == nil && folder.content("backup.tar.partial.db") == nil)
    }

    @Test func theFileIsATarArchiveWithChecksumsThatOtherToolsCanRead() throws {
        try folder.write("jobs/" + String(repeating: "long-", count: 19) + "/name.yaml", "deep")
        let report = try folder.backUp()
        guard
            FileManager.default.fileExists(atPath: "/usr/bin/tar") || FileManager.default.fileExists(atPath: "/bin/tar")
        else { return }
        try FileManager.default.createDirectory(atPath: folder.path + "/untarred", withIntermediateDirectories: true)
        #expect(
            try folder.shell(
                "cd untarred && tar xf ../backup.tar && sha256sum --quiet -c SHA256SUMS && tar tf ../backup.tar")
                == (report.members.map(\.name) + ["SHA256SUMS"]).joined(separator: "\n") + "\n")
    }

    // MARK: bad files

    @Test func aBackupThatWasCutShortIsRefused() throws {
        try folder.backUp()
        let whole = try Data(contentsOf: URL(filePath: folder.path + "/backup.tar"))
        let cuts = [0, 1, 511, 512, 513, whole.count / 3, whole.count / 2, whole.count - 1024, whole.count - 1]
        for length in cuts + [whole.count - 512] {
            try whole.prefix(length).write(to: URL(filePath: folder.path + "/backup.tar"))
            let error = #expect(throws: BackupFault.self, "\(length) bytes") { try folder.restore() }
            #expect(
                error?.description.contains("backup.tar is ") == true, "\(length) bytes: \(error?.description ?? "")")
            #expect(folder.content("restored/hub.yaml") == nil)
        }
    }

    @Test func aFlippedBitAnywhereIsFound() throws {
        try folder.backUp()
        let file = URL(filePath: folder.path + "/backup.tar")
        let whole = try Data(contentsOf: file)
        var random = BackupChance(state: 5)
        // Every place of the first header and of the end, and many in between.
        let places =
            Array(stride(from: 0, to: 512, by: 4))
            + (0..<100).map { _ in Int.random(in: 0..<whole.count, using: &random) }
            + Array(stride(from: whole.count - 3000, to: whole.count, by: 16))
        for place in places {
            var damaged = whole
            damaged[place] ^= 1 << UInt8.random(in: 0...7, using: &random)
            try damaged.write(to: file)
            #expect(throws: BackupFault.self, "byte \(place)") { try BackupRestore.check(file.path) }
        }
    }

    @Test(arguments: ["../evil", "/etc/evil", "keys/../../evil", "keys//x", "evil", "jobs", "packages/x", "hub.db-wal"])
    func aMemberThatDoesNotBelongThereIsRefused(name: String) throws {
        let path = folder.path + "/forged.tar"
        let descriptor = open(path, O_WRONLY | O_CREAT, 0o600)
        var archive = TarArchive(descriptor: descriptor, path: path, modified: 0)
        try archive.add(name, [1, 2, 3])
        _ = try archive.finish()
        close(descriptor)
        let error = #expect(throws: BackupFault.self) { try folder.restore("forged.tar") }
        #expect(error?.description.contains("does not belong into a backup") == true)
        #expect(folder.content("evil") == nil)
    }

    @Test func aFileOfAnotherKindIsRefusedByName() throws {
        try folder.write("../novel.txt", String(repeating: "once upon a time ", count: 100))
        let error = #expect(throws: BackupFault.self) { try folder.restore("novel.txt") }
        #expect(error?.description == "\(folder.path)/novel.txt is not a backup of a hub")
    }

    // MARK: where to

    @Test func aHomeThatIsNotEmptyIsLeftAloneUnlessForcedAndThenKeptAside() throws {
        try folder.backUp()
        try folder.write("../restored/hub.yaml", "precious")
        try folder.write("../restored/hub.db-wal", "a log that must not be replayed")
        #expect(throws: BackupFault.self) { try folder.restore() }
        #expect(folder.content("restored/hub.yaml") == "precious")
        let former = try #require(try folder.restore(isForced: true).former)
        #expect(try String(contentsOfFile: former + "/hub.yaml", encoding: .utf8) == "precious")
        #expect(folder.content("restored/hub.db-wal") == nil)
        #expect(folder.content("restored/hub.yaml") == folder.content("home/hub.yaml"))
        // And once more.
        #expect(try folder.restore(isForced: true).former != former)
    }

    @Test func aHomeOnWhichAHubRunsIsRefusedWhateverIsForced() throws {
        try folder.backUp()
        let lock = try HomeLock(home: folder.home.path, role: "waybill-hub")
        defer { withExtendedLifetime(lock) {} }
        #expect(throws: HomeInUse.self) {
            try BackupRestore(path: folder.path + "/backup.tar", home: folder.home.path).run(
                at: Timestamp(milliseconds: 0), isForced: true)
        }
        #expect(folder.content("home/hub.yaml") != nil)
    }

    @Test func aDamagedBackupLeavesAForcedHomeAsItWas() throws {
        try folder.backUp()
        let file = URL(filePath: folder.path + "/backup.tar")
        var damaged = try Data(contentsOf: file)
        damaged[damaged.count / 2] ^= 4
        try damaged.write(to: file)
        try folder.write("../restored/hub.yaml", "precious")
        #expect(throws: BackupFault.self) { try folder.restore(isForced: true) }
        #expect(folder.content("restored/hub.yaml") == "precious")
        #expect(folder.content("restored/.restoring") == nil)
    }

    @Test func twoBackupsIntoOneFileDoNotMixAndWhatACrashLeftIsOverwritten() throws {
        try folder.write("../backup.tar.partial", String(repeating: "left over", count: 100_000))
        try folder.backUp(isVerified: true)
        let other = open(folder.path + "/backup.tar.partial", O_WRONLY | O_CREAT, 0o600)
        defer { close(other) }
        #expect(flock(other, LOCK_EX | LOCK_NB) == 0)
        #expect(throws: BackupFault.self) { try folder.backUp() }
    }

    // MARK: while others write

    /// Writers advance a number in HQ's database, then in the rows', then in the hub's, as the street does. Whenever the
    /// backup is taken, the hub's number is one that the others have reached: a restored hub is never ahead of itself.
    @Test func theHubsDatabaseIsNeverAheadOfWhatItWasDerivedFrom() throws {
        let names = ["hq.db", "rows.db", "hub.db"]
        for name in names {
            try folder.sql(name, "CREATE TABLE reached (number INTEGER); INSERT INTO reached VALUES (0)")
            // Enough pages for several steps of copying.
            try folder.sql(
                name,
                """
                CREATE TABLE ballast (x BLOB);
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
                INSERT INTO ballast SELECT randomblob(40000) FROM n
                """)
        }
        let queues = try names.map { try OpenDatabase.queue(at: folder.home.path + "/" + $0, label: "writer") }
        let isOver = Atomic(false)
        let ended = DispatchSemaphore(value: 0)
        let slowest = Mutex(Duration.zero)
        Thread.detachNewThread {
            var number = 0
            while !isOver.load(ordering: .relaxed) {
                number += 1
                for queue in queues {
                    let begun = ContinuousClock.now
                    try? queue.write { try $0.execute(sql: "UPDATE reached SET number = \(number)") }
                    slowest.withLock { $0 = max($0, ContinuousClock.now - begun) }
                }
            }
            ended.signal()
        }
        defer {
            isOver.store(true, ordering: .relaxed)
            ended.wait()
        }
        var moved = Set<Int>()
        for _ in 0..<6 {
            try folder.backUp()
            _ = try folder.restore(isForced: true)
            let (hub, rows, hq) = (try reached("hub.db"), try reached("rows.db"), try reached("hq.db"))
            #expect(hub <= rows && rows <= hq)
            moved.insert(hub)
        }
        #expect(moved.count > 1, "the writer must have written meanwhile")
        // Writers wait for nothing but one another's fsync: far less than the time of a copy with the lock held.
        #expect(slowest.withLock { $0 } < .seconds(10))
    }

    private func reached(_ name: String) throws -> Int {
        Int(try folder.strings("restored/" + name, "SELECT number FROM reached").first ?? "") ?? -1
    }
}

/// The same places at every run.
private struct BackupChance: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ (state >> 29)
    }
}

/// A folder with a hub's home `home`, a backup `backup.tar`, and `restored`, which is made of it.
final class BackupFolder {
    let path: String
    let home: HubHome

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/waybill-backup-" + UUID().uuidString
        try DurableFile.createFolder(path)
        home = try HubHome.create(at: path + "/home", listen: "tcp://127.0.0.1:7700")
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    @discardableResult
    func backUp(isVerified: Bool = false) throws -> BackupReport {
        try BackupWriter(home: home, path: path + "/backup.tar").run(
            at: Timestamp(milliseconds: 1_763_700_000_000), isVerified: isVerified)
    }

    @discardableResult
    func restore(_ name: String = "backup.tar", isForced: Bool = false) throws -> RestoreReport {
        try BackupRestore(path: path + "/" + name, home: path + "/restored").run(
            at: Timestamp(milliseconds: 1_763_700_000_000), isForced: isForced)
    }

    /// - Parameter name: relative to the home.
    func write(_ name: String, _ text: String) throws {
        let file = URL(filePath: home.path + "/" + name).standardized
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: file, atomically: true, encoding: .utf8)
    }

    func content(_ name: String) -> String? { try? String(contentsOfFile: path + "/" + name, encoding: .utf8) }

    func permissions(_ name: String) throws -> Int {
        (try FileManager.default.attributesOfItem(atPath: path + "/" + name)[.posixPermissions] as? NSNumber)?.intValue
            ?? 0
    }

    func sql(_ name: String, _ text: String) throws {
        let queue = try OpenDatabase.queue(at: home.path + "/" + name, label: "test")
        try queue.write { try $0.execute(sql: text) }
        try queue.close()
    }

    func strings(_ name: String, _ query: String) throws -> [String] {
        let queue = try OpenDatabase.queue(at: path + "/" + name, label: "test", isReadOnly: true)
        defer { try? queue.close() }
        return try queue.read { try String.fetchAll($0, sql: query) }
    }

    func shell(_ command: String) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", command]
        process.currentDirectoryURL = URL(filePath: path)
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: output, as: UTF8.self) + (process.terminationStatus == 0 ? "" : "failed")
    }
}
