import Foundation
import Testing

extension SystemTests {
    /// Files become rows of HQ, through the real programs, whoever dies meanwhile.
    @Suite struct FeedingTests {
        @Test(arguments: ["import-staged:1", "import-written:1"])
        func aHubThatDiesInAnImportKnowsAfterwardsWhatWasDone(point: String) async throws {
            try await World.with { world in
                let hub = try await TestHub(world)
                try await hub.start(crashAt: point)
                let file = world.folder + "/legal_entity.csv"
                try write(file, "legal_entity_id,currency\nLE1,EUR\nLE2,USD\n")
                let broken = try await hub.waybill("import", file)
                #expect(broken.ending == .status(1))
                #expect(try await hub.running().ending(within: 20) == .signal(SIGKILL))
                let isWritten = point.hasPrefix("import-written")
                #expect(try hub.hqRows("SELECT 1 FROM legal_entity").count == (isWritten ? 2 : 0))

                try await hub.start()
                let staged = try #require(
                    try await hub.done("staging", "list", "--json").decoded([Staged].self).first)
                #expect(staged.state == (isWritten ? "Finished" : "Failed"))
                #expect(staged.files.map(\.rows) == [2])
                #expect(staged.files.map(\.inserted) == [isWritten ? 2 : 0])
                let rows = try await hub.done("staging", "show", "1", "--json").decoded(StagedRows.self).rows
                #expect(rows.map(\.state) == Array(repeating: isWritten ? "Finished" : "NotStarted", count: 2))
                let again = try await hub.done("import", file, "--json").decoded(Imported.self)
                #expect(again.tables.map(\.inserted) == [isWritten ? 0 : 2])
            }
        }

        @Test func badRowsAreLeftOutShownAndCleanedAway() async throws {
            try await World.with { world in
                let hub = try await TestHub(world)
                try await hub.start()
                let file = world.folder + "/legal_entity.csv"
                try write(file, "legal_entity_id,currency\nLE1,EUR\nLE2,\nLE3,USD\n")
                let preview = try await hub.waybill("import", "--preview", "--skip-bad-rows", file)
                #expect(preview.ending == .status(3))
                #expect(preview.out.contains("new  LE3"))
                #expect(try hub.hqRows("SELECT 1 FROM legal_entity").isEmpty)
                let skipping = try await hub.waybill("import", "--skip-bad-rows", file)
                #expect(skipping.ending == .status(3))
                #expect(skipping.err.contains("legal_entity.csv:3: column currency: the value is missing"))
                #expect(skipping.err.contains("waybill: done, but 1 bad row was left out"))
                #expect(try hub.hqRows("SELECT legal_entity_id FROM legal_entity") == [["LE1"], ["LE3"]])
                let shown = try await hub.done("staging", "show", "1")
                #expect(shown.out.contains("legal_entity.csv:3  Error"))
                let cleaned = try await hub.done("staging", "clean")
                #expect(cleaned.out.hasPrefix("2 rows removed, ") && cleaned.out.contains("1 unfinished row kept"))
                #expect(try await hub.done("staging", "clean", "--force").out.hasPrefix("1 row removed, "))
            }
        }

        @Test func aMappedFileComesInAndABrokenMappingIsNamed() async throws {
            try await World.with { world in
                let hub = try await TestHub(world)
                try await hub.start()
                try FileManager.default.createDirectory(
                    atPath: hub.home + "/mappings", withIntermediateDirectories: true)
                try write(
                    hub.home + "/mappings/erp.yaml",
                    "files: FIRMEN_*.txt\ntable: legal_entity\nseparator: \";\"\ncolumns:\n"
                        + "  legal_entity_id: FIRMA\n  currency: { constant: EUR }\n")
                try write(world.folder + "/in/FIRMEN_1.txt", "FIRMA\nLE1\n")
                try write(world.folder + "/in/notes.txt", "nothing\n")
                try await hub.done("import", world.folder + "/in")
                #expect(try hub.hqRows("SELECT * FROM legal_entity") == [["LE1", "EUR"]])
                try write(hub.home + "/mappings/bad.yaml", "files: X*.csv\ntable: produkt\n")
                let list = try await hub.waybill("mapping", "list")
                #expect(list.ending == .status(1))
                #expect(list.err.contains("mappings/bad.yaml:2: HQ has no table 'produkt'"))
                try await hub.done("import", world.folder + "/in/FIRMEN_1.txt")
            }
        }

        @Test func tablesThatUsersMadeAreFilled() async throws {
            try await World.with { world in
                let hub = try await TestHub(world)
                try await hub.start()
                try hub.sql("CREATE TABLE supplier (supplier_id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
                try write(world.folder + "/supplier.csv", "supplier_id,name\n1,Müller\n")
                try await hub.done("import", world.folder + "/supplier.csv")
                #expect(try hub.hqRows("SELECT name FROM supplier") == [["Müller"]])
            }
        }

        // MARK: Watching

        @Test func droppedFilesAreFiledOneBadOneHoldingUpNobody() async throws {
            try await Drop.with { drop in
                try drop.put("category.csv", "category_id,parent_category_id,name\nC1,,One\n")
                try drop.put("product.csv", "product_id,category_id,name,sales_unit\nP1,C1,,ea\n")
                try drop.put("legal_entity.csv", "legal_entity_id,currency\nLE1,\n")
                try drop.put("notes.txt", "left alone")
                try drop.put("store.csv.part", "left alone")
                let watcher = try await drop.watch()
                try await eventually("all are filed", within: 30) {
                    drop.names("done").count == 4 && drop.names("failed").count == 2
                }
                #expect(
                    drop.names("done") == [
                        "category.csv", "category.csv.report.txt", "product.csv", "product.csv.report.txt",
                    ])
                #expect(drop.names("failed") == ["legal_entity.csv", "legal_entity.csv.report.txt"])
                #expect(drop.names("") == ["notes.txt", "store.csv.part"])
                #expect(
                    drop.report("failed/legal_entity.csv").contains(
                        "legal_entity.csv:2: column currency: the value is missing"))
                #expect(drop.report("done/product.csv").contains("1 new, 0 changed"))
                #expect(try drop.hub.hqRows("SELECT product_id FROM product") == [["P1"]])

                // The same file once more is another drop; a rename into place is seen at once.
                try drop.put("category.csv", "category_id,parent_category_id,name\nC1,,One\n")
                try await eventually("it is filed again", within: 30) { drop.names("done").count == 6 }
                #expect(try await drop.imports("category.csv") == 2)
                #expect(try await watcher.stop() == .status(0))
                #expect(watcher.err.contains("stopped watching"))
            }
        }

        @Test(arguments: ["import-staged:1", "import-written:1"])
        func aFileIsImportedOnceWhenTheHubDiesInBetween(point: String) async throws {
            try await Drop.with(crashAt: point) { drop in
                try drop.put("legal_entity.csv", "legal_entity_id,currency\nLE1,EUR\n")
                _ = try await drop.watch()
                #expect(try await drop.hub.running().ending(within: 30) == .signal(SIGKILL))
                #expect(drop.names("") == ["legal_entity.csv"])
                try await drop.hub.start()
                try await eventually("it is filed", within: 60) { drop.names("done").count == 2 }
                let staged = try await drop.hub.done("staging", "list", "--json").decoded([Staged].self)
                let isWritten = point.hasPrefix("import-written")
                #expect(staged.map(\.state) == (isWritten ? ["Finished"] : ["Finished", "Failed"]))
                #expect(
                    drop.report("done/legal_entity.csv").contains(
                        isWritten ? "import 1 has brought it in before" : "imported, 1 row"))
                #expect(try drop.hub.hqRows("SELECT legal_entity_id FROM legal_entity") == [["LE1"]])
            }
        }

        @Test func aFileIsImportedOnceWhenTheWatcherDiesBeforeFilingIt() async throws {
            try await Drop.with { drop in
                let first = try await drop.watch()
                // It cannot file anything: the import is done, and the file stays.
                try FileManager.default.removeItem(atPath: drop.folder + "/done")
                try drop.put("legal_entity.csv", "legal_entity_id,currency\nLE1,EUR\n")
                try await eventually("it is imported", within: 30) { first.err.contains("waiting: ") }
                try await first.killAtOnce()
                #expect(drop.names("") == ["legal_entity.csv"])
                _ = try await drop.watch()
                try await eventually("it is filed", within: 30) { drop.names("done").count == 2 }
                #expect(try await drop.imports("legal_entity.csv") == 1)
                #expect(drop.report("done/legal_entity.csv").contains("import 1 has brought it in before"))
            }
        }
    }
}

/// A hub and a folder that files are dropped into.
private struct Drop {
    let hub: TestHub
    let folder: String

    static func with(crashAt: String? = nil, _ body: (Drop) async throws -> Void) async throws {
        try await World.with { world in
            let hub = try await TestHub(world)
            try await hub.start(crashAt: crashAt)
            let drop = Drop(hub: hub, folder: world.folder + "/drop")
            try FileManager.default.createDirectory(atPath: drop.folder, withIntermediateDirectories: true)
            try await body(drop)
        }
    }

    func watch() async throws -> RunningProcess {
        let process = try hub.begin(["import", "--watch", folder, "--settle", "0.1"])
        try await eventually("the folder is watched", within: 20) { process.err.contains("watching ") }
        return process
    }

    /// As a careful program does: written under another name, and renamed.
    func put(_ name: String, _ text: String) throws {
        try write(folder + "/.new-" + name, text)
        try FileManager.default.moveItem(atPath: folder + "/.new-" + name, toPath: folder + "/" + name)
    }

    /// Plain files of a folder, by name.
    func names(_ subfolder: String) -> [String] {
        let path = folder + "/" + subfolder
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter { !$0.hasPrefix(".") && !["done", "failed"].contains($0) }.sorted()
    }

    func report(_ file: String) -> String {
        (try? String(contentsOfFile: folder + "/" + file + ".report.txt", encoding: .utf8)) ?? ""
    }

    /// How many imports have finished that had this file.
    func imports(_ name: String) async throws -> Int {
        try await hub.done("staging", "list", "--json").decoded([Staged].self)
            .count { $0.state == "Finished" && $0.files.contains { $0.file == name } }
    }
}

private struct Staged: Decodable {
    struct File: Decodable { let file: String, rows: Int, inserted: Int }
    let id: Int, state: String, files: [File]
}

private struct StagedRows: Decodable {
    struct Row: Decodable { let line: Int, state: String }
    let rows: [Row]
}

private struct Imported: Decodable {
    struct Table: Decodable { let inserted: Int }
    let tables: [Table]
}

private func write(_ path: String, _ text: String) throws {
    try FileManager.default.createDirectory(
        atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Data(text.utf8).write(to: URL(filePath: path))
}
