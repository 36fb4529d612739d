import Foundation
import GRDB
import Logging
import Synchronization
import Testing
import WaybillCapture
import WaybillDatabase
import WaybillJobs

@testable import WaybillHub

/// Job files that come and go, and HQ's tables under them.
@Suite struct JobCatalogueTests {
    private static let promotions = """
        job: promotions
        triggers: {online: true}
        subjobs:
          - table: promotion
            key: [promotion_id]
            columns: {promotion_id: text, percent: integer}
            rows: SELECT promotion_id, percent FROM promotion
            stores: all
        """
    private static let table = "CREATE TABLE promotion (promotion_id TEXT PRIMARY KEY, percent INTEGER)"

    @Test func aTableIsCapturedAsSoonAsAFileNamesItAndTheFileAsSoonAsTheTableIsThere() throws {
        let office = try CatalogueOffice()
        try office.write(JobCatalogueTests.promotions, to: "promotions.yaml")
        #expect(office.inputs == [], "there is no such table yet")
        try office.sql(JobCatalogueTests.table)
        #expect(office.inputs == ["promotion", "store"])
        #expect(try office.changes("INSERT INTO promotion VALUES ('summer', 10)") == ["promotion"])
        #expect(office.told == 2, "of the file, and of the table")
        _ = office.inputs
        #expect(office.told == 2)
    }

    /// As many programs do every night.
    @Test func aTableThatIsDroppedAndMadeAnewIsCapturedAgainAndCountsAsChanged() throws {
        let office = try CatalogueOffice()
        try office.sql(JobCatalogueTests.table)
        try office.write(JobCatalogueTests.promotions, to: "promotions.yaml")
        #expect(office.inputs == ["promotion", "store"])
        let changed = try office.changes(
            "BEGIN; DROP TABLE promotion; \(JobCatalogueTests.table); INSERT INTO promotion VALUES ('new', 1); COMMIT")
        #expect(changed == ["promotion"])
        #expect(try office.changes("UPDATE promotion SET percent = 2") == ["promotion"])
    }

    @Test func aTableThatIsWatchedIsCapturedAlsoWhenNoQueryReadsIt() throws {
        let office = try CatalogueOffice()
        try office.sql("\(JobCatalogueTests.table); CREATE TABLE ready (day TEXT PRIMARY KEY)")
        let text = JobCatalogueTests.promotions.replacing("online: true", with: "online: {watch: [ready]}")
        try office.write(text, to: "promotions.yaml")
        #expect(office.inputs == ["promotion", "store"])
        #expect(try office.changes("INSERT INTO ready VALUES ('today')") == ["ready"])
    }

    /// One that the hub's user may not read, in the end; and one whose name ends as YAML files often do.
    @Test func aFileThatCannotBeReadStopsNoOtherAndIsCounted() throws {
        let office = try CatalogueOffice()
        // Nobody may read this one, not even root.
        try FileManager.default.createSymbolicLink(
            atPath: office.home.jobs + "/odd.yaml", withDestinationPath: "/proc/sys/vm/compact_memory")
        try office.write(JobCatalogueTests.promotions, to: "other.yml")
        try office.sql(JobCatalogueTests.table)
        try office.write(JobCatalogueTests.promotions, to: "promotions.yaml")
        #expect(office.inputs == ["promotion", "store"])
        #expect(office.badFiles.map(\.file) == ["odd.yaml", "other.yml"])
        #expect(office.badFiles.first?.faults.first?.message.hasPrefix("cannot be read") == true)
        #expect(office.badFiles.last?.faults.first?.hint == "names of job files end in .yaml")
        #expect(office.unusable == 2)
        try office.sql("ALTER TABLE promotion RENAME COLUMN percent TO per_cent")
        #expect(office.inputs == [])
        #expect(office.unusable == 3)
    }

    @Test func whatCouldNotBeCapturedBecauseOfALockIsCapturedLater() throws {
        let office = try CatalogueOffice()
        try office.sql(JobCatalogueTests.table)
        try office.write(JobCatalogueTests.promotions, to: "promotions.yaml")
        try office.hq.writeWithoutTransaction { db in
            try db.execute(sql: "BEGIN IMMEDIATE; INSERT INTO promotion VALUES ('long', 1)")
            #expect(office.inputs == [])
            try db.execute(sql: "COMMIT")
        }
        #expect(office.inputs == ["promotion", "store"])
        #expect(try office.changes("UPDATE promotion SET percent = 2") == ["promotion"])
    }
}

/// A hub's home with its catalogue, and an ERP.
private final class CatalogueOffice: Sendable {
    let home: HubHome
    let hq: DatabaseQueue
    private let catalogue: JobCatalogue
    private let folder: String
    private let times = Mutex(0)

    init() throws {
        folder = FileManager.default.temporaryDirectory.path + "/waybill-catalogue-" + UUID().uuidString
        home = try HubHome.create(at: folder, listen: HubConfiguration.listenDefault)
        try home.writeRetailJobs()
        hq = try OpenDatabase.queue(at: home.hqDatabase, label: "erp")
        try hq.write { try HQSchema.install(in: $0) }
        catalogue = try JobCatalogue(folder: home.jobs, hqPath: home.hqDatabase, logger: Logger(label: "test"))
        catalogue.observe { [weak self] _ in self?.times.withLock { $0 += 1 } }
    }

    deinit {
        try? hq.close()
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// How often the catalogue has told that jobs have changed.
    var told: Int { times.withLock { $0 } }

    /// What the job of the file reads, after a look.
    var inputs: [String]? { catalogue.current.jobs.first { $0.id.rawValue == "promotions" }?.inputs }

    var badFiles: [JobSet.BadFile] { catalogue.known.badFiles }
    var unusable: Int { catalogue.unusable }

    func write(_ text: String, to name: String) throws {
        try DurableFile.write(Array(text.utf8), to: home.jobs + "/" + name)
    }

    func sql(_ text: String) throws { try hq.writeWithoutTransaction { try $0.execute(sql: text) } }

    /// The tables in the change log after a change and a look.
    func changes(_ text: String) throws -> Set<String> {
        let before = try hq.read { try ChangeLog.head(in: $0) }
        try sql(text)
        _ = catalogue.current
        return try hq.read { try ChangeLog.tablesChanged(after: before, in: $0) }
    }
}
