import Foundation
import GRDB
import Testing
import WaybillCapture
import WaybillDatabase
import WaybillModel

@testable import WaybillImport

/// What an import leaves in the staging database.
@Suite struct StagingTests {
    let hq: Headquarters

    init() throws {
        hq = try Headquarters()
        try hq.fill()
        _ = try hq.staging.clean(StagingCleaning(force: true))
    }

    private func newest() throws -> StagedImport { try #require(try hq.staging.imports(limit: 1).first) }

    private func lines(_ staged: StagedImport) throws -> [String] {
        try hq.staging.rows(of: staged, limit: 100).map {
            "\($0.file):\($0.line) \($0.state.rawValue) \($0.values.joined(separator: "|")) \($0.message)"
        }
    }

    @Test func aFinishedImportKeepsItsFilesAndEveryRowAsItStood() throws {
        let file = try hq.write(
            "product", "product_id,category_id,name,sales_unit\np1,Food,\"Bread, rye\"\"\",ea\np3,Food,\"\n\",ea\n")
        let fault = try hq.faults([file])
        #expect(fault.count == 1)
        let good = try hq.write(
            "product", "product_id,category_id,name,sales_unit\np1,Food,\"Bread, \"\"rye\"\"\",ea\np3,Food,,ea\n")
        let report = try hq.run([good])
        let staged = try newest()
        #expect(staged.id == report.importID)
        #expect(staged.state == .finished)
        #expect(staged.version == report.version)
        #expect(staged.startedAt == Headquarters.noon && staged.endedAt == Headquarters.noon)
        #expect(
            staged.files == [
                .init(
                    name: "product.csv", table: "product", mapping: "",
                    columns: ["product_id", "category_id", "name", "sales_unit"], rows: 2, badRows: 0, inserted: 1,
                    updated: 1, unchanged: 0, removed: 0)
            ])
        #expect(
            try lines(staged) == [
                "product.csv:2 Finished p1|Food|Bread, \"rye\"|ea ", "product.csv:3 Finished p3|Food||ea ",
            ])
    }

    @Test func aRejectedImportSaysOfEachRowWhatIsWrongAndFinishesNone() throws {
        let files = try [
            hq.write("category", "category_id,parent_category_id,name\nA,ALL,\nA,ALL,\nB,Nil,\n"),
            hq.write("product", "product_id,category_id,name,sales_unit\np3,A,,ea\np4\n,Food,,ea\n"),
        ]
        #expect(throws: ImportRejected.self) { try hq.run(files) }
        let staged = try newest()
        #expect(staged.state == .rejected)
        #expect(staged.message.hasPrefix("nothing was imported: 4 faults"))
        #expect(staged.files.map(\.rows) == [3, 3])
        #expect(staged.files.map(\.badRows) == [2, 2])
        #expect(
            try lines(staged) == [
                "category.csv:3 Error A|ALL| column category_id: key 'A' already stands in line 2",
                "category.csv:4 Error B|Nil| "
                    + "column parent_category_id: category 'Nil' is neither in HQ nor in category.csv",
                "product.csv:3 Error p4 the record has 1 field, the header 4",
                "product.csv:4 Error |Food||ea column product_id: the value is missing",
                "category.csv:2 NotStarted A|ALL| ", "product.csv:2 NotStarted p3|A||ea ",
            ])
        #expect(try hq.staging.rows(of: staged, state: .error, table: "product", limit: 1).map(\.line) == [3])
    }

    @Test func aRowWithSeveralFaultsHasThemInOneMessage() throws {
        let file = try hq.write("price_group", "price_group_id,name,priority\n,,x\n")
        #expect(throws: ImportRejected.self) { try hq.run([file]) }
        #expect(
            try hq.staging.rows(of: newest(), limit: 1).map(\.message) == [
                "column price_group_id: the value is missing; column priority: 'x' is not a whole number"
            ])
    }

    @Test func anImportThatIsCalledOffHasFailedAndNothingIsLeftOpen() throws {
        struct Stop: Error {}
        let file = try hq.write("price_group", "price_group_id,name,priority\nJ,,1\n")
        #expect(throws: Stop.self) {
            try HQImport.run(files: [file], into: hq.database, staging: hq.staging) {
                if $0.phase == .writing { throw Stop() }
            }
        }
        let staged = try newest()
        #expect(staged.state == .failed)
        #expect(staged.files.map(\.rows) == [1])
        #expect(try hq.staging.rows(of: staged, limit: 9).map(\.state) == [.notStarted])
        #expect(try hq.run([file]).tables.map(\.inserted) == [1])
    }

    @Test func aPreviewStagesNothingAndChangesNothing() throws {
        let before = try hq.head
        let size = try hq.queue.read { try Int.fetchOne($0, sql: "PRAGMA page_count") }
        let file = try hq.write(
            "product", "product_id,category_id,name,sales_unit\np1,Food,Bread,kg\np2,Food,Milk,ea\np3,Food,,ea\n")
        let preview = try HQImport.preview(
            files: [file], of: hq.database, options: ImportOptions(replace: true))
        let table = try #require(preview.tables.first)
        #expect(table.counts.inserted == 1 && table.counts.updated == 1 && table.counts.unchanged == 1)
        #expect(table.columns == ["product_id", "category_id", "name", "sales_unit"])
        #expect(
            table.rows == [
                .init(change: "changed", values: ["p1", "Food", "Bread", "kg"]),
                .init(change: "same", values: ["p2", "Food", "Milk", "ea"]),
                .init(change: "new", values: ["p3", "Food", nil, "ea"]),
            ])
        #expect(try hq.head == before)
        #expect(try hq.queue.read { try Int.fetchOne($0, sql: "PRAGMA page_count") } == size)
        #expect(try hq.staging.imports(limit: 9).isEmpty)
        let small = try hq.write("product", "product_id,category_id,name,sales_unit\np2,Food,Milk,ea\n")
        let removing = try HQImport.preview(
            files: [small], of: hq.database, options: ImportOptions(replace: true))
        #expect(removing.tables.map(\.counts.removed) == [1])
    }

    @Test func aPreviewOfBadFilesNamesTheFaults() throws {
        let file = try hq.write("price_group", "price_group_id,name,priority\nH,,x\nI,,1\n")
        let refused = try HQImport.preview(files: [file], of: hq.database)
        #expect(refused.isRejected && refused.tables.isEmpty)
        #expect(
            refused.faults.map(\.description) == [
                "price_group.csv:2: column priority: 'x' is not a whole number"
            ])
        let skipping = try HQImport.preview(
            files: [file], of: hq.database, options: ImportOptions(skipBadRows: true))
        #expect(!skipping.isRejected && skipping.faultsTotal == 1)
        #expect(skipping.tables.map(\.counts.inserted) == [1])
        #expect(skipping.tables.map(\.counts.skipped) == [1])
        #expect(try hq.rows("price_group") == ["G|Group|0"])
    }

    // MARK: Crashes

    /// Leaves the databases as a process would that died after `point`, by running the same steps up to there.
    private func die(afterWriting: Bool) throws -> Int64 {
        let file = try hq.write("price_group", "price_group_id,name,priority\nH,,1\nG,Group,0\n")
        let id = try #require(try hq.run([file]).importID)
        try hq.staging.write { db in
            try db.execute(
                sql: "UPDATE import SET state = 'Running', ended_at = NULL, version = NULL, message = '' WHERE id = ?",
                arguments: [id])
            try db.execute(
                sql: "UPDATE import_file SET inserted = 0, updated = 0, unchanged = 0 WHERE import = ?",
                arguments: [id])
        }
        if !afterWriting {
            try hq.queue.write { db in
                try db.execute(
                    sql:
                        "DELETE FROM _waybill_meta WHERE name LIKE 'import %'; DELETE FROM price_group WHERE name IS NULL"
                )
            }
        }
        return id
    }

    @Test func afterACrashBehindHQsCommitTheImportIsFoundFinished() throws {
        let id = try die(afterWriting: true)
        #expect(try hq.staging.find(id)?.state == .running)
        try hq.staging.recover(hq: hq.database)
        let staged = try #require(try hq.staging.find(id))
        #expect(staged.state == .finished)
        #expect(staged.version == (try hq.head))
        #expect(staged.files.map { [$0.inserted, $0.updated, $0.unchanged] } == [[1, 0, 1]])
        #expect(try hq.staging.rows(of: staged, limit: 9).allSatisfy { $0.state == .finished })
    }

    @Test func afterACrashBeforeHQsCommitTheImportIsFoundFailed() throws {
        let id = try die(afterWriting: false)
        try hq.staging.recover(hq: hq.database)
        let staged = try #require(try hq.staging.find(id))
        #expect(staged.state == .failed)
        #expect(staged.message == "the hub ended before anything was written; nothing was imported")
        #expect(try hq.staging.rows(of: staged, limit: 9).allSatisfy { $0.state == .notStarted })
    }

    @Test func tokensOfEndedImportsDoNotPileUpInHQ() throws {
        for number in 1...3 {
            try hq.run([hq.write("price_group", "price_group_id,name,priority\nH,,\(number)\n")])
        }
        let tokens = try hq.queue.read {
            try Int.fetchOne($0, sql: "SELECT count(*) FROM _waybill_meta WHERE name LIKE 'import %'")
        }
        #expect(tokens == 1)
    }

    // MARK: Cleaning

    @Test func cleaningRemovesFinishedRowsAndSaysWhatWasFreed() throws {
        let rows = (1...30_000).map { "G\($0),\(String(repeating: "x", count: 40)),1\n" }.joined()
        try hq.run([hq.write("price_group", "price_group_id,name,priority\n" + rows)])
        let cleaned = try hq.staging.clean(StagingCleaning())
        #expect(cleaned.rows == 30_000 && cleaned.imports == 1 && cleaned.kept == 0)
        #expect(cleaned.bytes > 1_000_000)
        #expect(try hq.staging.imports(limit: 9).isEmpty)
        var status = stat()
        #expect(stat(hq.staging.path, &status) == 0 && status.st_size < 200_000)
    }

    @Test func unfinishedRowsStayUntilForced() throws {
        let bad = try hq.write("price_group", "price_group_id,name,priority\nH,,1\nI,,x\n")
        #expect(throws: ImportRejected.self) { try hq.run([bad]) }
        try hq.run([bad], skipBadRows: true)
        let gentle = try hq.staging.clean(StagingCleaning())
        // Of the refused import both rows stay, of the other one the bad row.
        #expect(gentle.rows == 1 && gentle.kept == 3 && gentle.imports == 0)
        #expect(try hq.staging.imports(limit: 9).count == 2)
        let forced = try hq.staging.clean(StagingCleaning(force: true))
        #expect(forced.rows == 3 && forced.kept == 0 && forced.imports == 2)
    }

    @Test func cleaningCanBeLimitedToATableAnImportAndATime() throws {
        let first = try #require(
            try hq.run([
                hq.write("price_group", "price_group_id,name,priority\nH,,1\n"),
                hq.write("legal_entity", "legal_entity_id,currency\nLE2,EUR\n"),
            ]).importID)
        let second = try #require(
            try hq.run([hq.write("price_group", "price_group_id,name,priority\nI,,1\n")]).importID)
        #expect(try hq.staging.clean(StagingCleaning(before: Headquarters.noon)).rows == 0)
        #expect(try hq.staging.clean(StagingCleaning(table: "price_group", importID: first)).rows == 1)
        #expect(try hq.staging.find(first)?.files.map(\.table) == ["legal_entity"])
        #expect(try hq.staging.clean(StagingCleaning(table: "price_group")).rows == 1)
        #expect(try hq.staging.find(second) == nil)
        #expect(try hq.staging.find(first) != nil)
    }

    @Test func rowsOfARunningImportStayEvenWhenForced() throws {
        let id = try die(afterWriting: true)
        #expect(try hq.staging.clean(StagingCleaning(force: true)).rows == 0)
        #expect(try hq.staging.find(id)?.state == .running)
    }

    // MARK: Drops

    @Test func aDroppedFileIsImportedOnceUntilItIsFiled() throws {
        let file = try hq.write("price_group", "price_group_id,name,priority\nH,,1\n")
        let first = try #require(try hq.run([file], watch: "/drop").importID)
        #expect(try hq.staging.unfiled(in: "/drop") == [UnfiledDrop(importID: first, name: "price_group.csv")])
        #expect(try hq.run([file], watch: "/drop").already == ["price_group.csv": first])
        #expect(try hq.run([file], watch: "/other").already.isEmpty)
        #expect(try hq.run([file]).already.isEmpty)
        // A clean does not make it forget.
        #expect(try hq.staging.clean(StagingCleaning(importID: first, force: true)).rows == 1)
        #expect(try hq.run([file], watch: "/drop").already == ["price_group.csv": first])
        try hq.staging.markFiled(first, files: ["price_group.csv"])
        #expect(try hq.staging.unfiled(in: "/drop").isEmpty)
        #expect(try hq.run([file], watch: "/drop").already.isEmpty)
    }

    @Test func aRefusedFileMayBeDroppedAgainAndAnotherContentIsAnotherDrop() throws {
        let bad = try hq.write("price_group", "price_group_id,name,priority\nH,,x\n")
        #expect(throws: ImportRejected.self) { try hq.run([bad], watch: "/drop") }
        #expect(throws: ImportRejected.self) { try hq.run([bad], watch: "/drop") }
        let one = try hq.write("price_group", "price_group_id,name,priority\nH,,1\n")
        try hq.run([one], watch: "/drop")
        let two = try hq.write("price_group", "price_group_id,name,priority\nH,,2\n")
        let other = try hq.write("legal_entity", "legal_entity_id,currency\nLE2,EUR\n")
        let report = try hq.run([two, other], watch: "/drop")
        #expect(report.already.isEmpty && report.tables.count == 2)
        // The first content lies there no more: were it to come back, it would be a new drop.
        #expect(try hq.staging.unfiled(in: "/drop").map(\.importID) == [report.importID, report.importID])
        let again = try hq.write("price_group", "price_group_id,name,priority\nH,,1\n")
        let mixed = try hq.run([again, other], watch: "/drop")
        #expect(mixed.already.keys.sorted() == ["legal_entity.csv"])
        #expect(mixed.tables.map(\.table) == ["price_group"])
        #expect(try hq.rows("price_group") == ["G|Group|0", "H|NULL|1"])
    }
}
