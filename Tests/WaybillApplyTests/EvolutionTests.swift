import Foundation
import GRDB
import Testing
import WaybillDatabase
import WaybillModel
import WaybillWire

@testable import WaybillApply

/// Columns that come, go, change their name or their type, under the tills' own indexes, triggers and views.
@Suite struct EvolutionTests {
    private let shop: Shop

    init() throws {
        shop = try Shop()
        try shop.apply(.full(1, .unit([["kg", "kilo"], ["l", "litre"]])))
    }

    /// `unit` with its column `name` called `title`.
    private static var renamed: Parcel.Table {
        Parcel.Table(
            shape: TableShape(
                name: "unit", columns: [ColumnShape("unit_id", .text), ColumnShape("title", .text, nullable: true)],
                key: ["unit_id"]),
            rows: [["kg", "kilo"], ["g", "gram"]], formerNames: ["title": "name"])
    }
    /// `unit` without its column `name`.
    private static var dropped: Parcel.Table {
        Parcel.Table(
            shape: TableShape(
                name: "unit", columns: [ColumnShape("unit_id", .text), ColumnShape("digits", .integer)],
                key: ["unit_id"]),
            rows: [["kg", 3], ["g", 0]])
    }

    private func message() throws -> String { try shop.ledger.outbox(limit: 100).last?.message ?? "" }

    private var indexes: [String] {
        get throws {
            try shop.rows(
                "SELECT name FROM sqlite_schema WHERE type = 'index' AND name GLOB 'till*' ORDER BY name")
        }
    }

    @Test func whatTillsHaveMadeFollowsARenamedColumn() throws {
        try shop.execute(
            """
            CREATE INDEX till_by_name ON unit (name);
            CREATE INDEX till_by_first ON unit (substr(name, 1, 1)) WHERE "name" > 'b';
            CREATE VIEW till_names AS SELECT upper(name) AS shown FROM unit;
            CREATE TABLE till_journal (what TEXT);
            CREATE TRIGGER till_watch AFTER UPDATE OF name ON unit BEGIN
                INSERT INTO till_journal VALUES (OLD.name || ' ' || NEW.name);
            END;
            CREATE TRIGGER till_sums AFTER DELETE ON till_journal BEGIN
                INSERT INTO till_journal SELECT max(name) FROM unit;
            END;
            """)
        try shop.apply(.full(2, EvolutionTests.renamed))
        #expect(try shop.rows("SELECT * FROM unit ORDER BY 1") == ["g|gram", "kg|kilo"])
        #expect(try shop.rows("SELECT * FROM till_names ORDER BY 1") == ["GRAM", "KILO"])
        #expect(try indexes == ["till_by_first", "till_by_name"])
        #expect(
            try shop.rows("EXPLAIN QUERY PLAN SELECT 1 FROM unit WHERE title = 'kilo'").contains {
                $0.contains("till_by_name")
            })
        try shop.execute("UPDATE unit SET title = 'k' WHERE unit_id = 'kg'")
        #expect(try shop.rows("SELECT * FROM till_journal") == ["kilo k"])
        try shop.execute("DELETE FROM till_journal")
        #expect(try shop.rows("SELECT * FROM till_journal") == ["k"])
        #expect(try message() == "")
        #expect(try shop.rows("PRAGMA integrity_check") == ["ok"])
    }

    /// SQLite would refuse to rename anything while a view is broken that has nothing to do with it.
    @Test func aBrokenViewElsewhereDoesNotKeepAColumnFromItsNewName() throws {
        try shop.execute(
            """
            CREATE VIEW till_broken AS SELECT nix FROM nowhere;
            CREATE TABLE till_line (id INTEGER);
            CREATE TRIGGER till_lost AFTER INSERT ON till_line BEGIN INSERT INTO nowhere VALUES (1); END;
            CREATE INDEX till_by_name ON unit (name);
            """)
        try shop.apply(.full(2, EvolutionTests.renamed))
        #expect(try indexes == ["till_by_name"])
        #expect(try message() == "")
        #expect(
            try shop.rows("SELECT sql FROM sqlite_schema WHERE name = 'till_broken'") == [
                "CREATE VIEW till_broken AS SELECT nix FROM nowhere"
            ])
    }

    @Test func whatNeedsADroppedColumnIsSaidAndStopsNothing() throws {
        try shop.execute(
            """
            CREATE INDEX till_by_name ON unit (name);
            CREATE INDEX till_by_quoted ON unit ("name");
            CREATE INDEX till_by_both ON unit (unit_id, name);
            CREATE UNIQUE INDEX till_by_id ON unit (unit_id COLLATE NOCASE);
            CREATE VIEW till_names AS SELECT name FROM unit;
            CREATE VIEW till_ids AS SELECT unit_id FROM unit;
            CREATE VIEW till_broken AS SELECT nix FROM nowhere;
            CREATE TABLE till_journal (what TEXT);
            CREATE TRIGGER till_watch AFTER UPDATE ON unit BEGIN INSERT INTO till_journal VALUES (NEW.name); END;
            CREATE TRIGGER till_count AFTER DELETE ON unit BEGIN INSERT INTO till_journal VALUES (OLD.unit_id); END;
            """)
        let result = try shop.apply(.full(2, EvolutionTests.dropped))
        #expect(try shop.rows("SELECT * FROM unit ORDER BY 1") == ["g|0", "kg|3"])
        #expect(try indexes == ["till_by_id"])
        #expect(
            try shop.rows("SELECT name FROM sqlite_schema WHERE type IN ('view', 'trigger') ORDER BY name")
                == ["till_broken", "till_count", "till_ids", "till_names"])
        let said = try message()
        #expect(
            said == """
                table unit has other columns now: index till_by_both was dropped (no such column: name), \
                index till_by_name was dropped (no such column: name), \
                index till_by_quoted was dropped (no such column: name), \
                trigger till_watch was dropped (no such column: NEW.name), \
                view till_names does not work any more (no such column: name)
                """)
        #expect(result.message == said)
        try shop.apply(.delta(2, 3, Parcel.Table(shape: EvolutionTests.dropped.shape, removed: [["g"]])))
        #expect(try shop.rows("SELECT * FROM till_journal") == ["g"])
        #expect(try message() == "")
    }

    /// It is the till's to mend, and says so with the first row that fires it: columns that change are no reason.
    @Test func aTriggerThatWasBrokenBeforeComesAlong() throws {
        try shop.execute("CREATE TRIGGER till_lost AFTER INSERT ON unit BEGIN INSERT INTO nowhere VALUES (1); END")
        try shop.apply(.full(2, EvolutionTests.dropped))
        #expect(try message() == "")
        #expect(try shop.rows("SELECT name FROM sqlite_schema WHERE type = 'trigger'") == ["till_lost"])
    }

    /// The hub has lost the report and asks again: the answer is the same.
    @Test func whatWasSaidOnceIsSaidAgain() throws {
        try shop.execute("CREATE INDEX till_by_name ON unit (name)")
        try shop.apply(.full(2, EvolutionTests.dropped))
        let said = try message()
        #expect(said.hasPrefix("table unit has other columns now: index till_by_name was dropped"))
        #expect(try shop.apply(.full(2, EvolutionTests.dropped), attempt: 2).wasApplied)
        #expect(try message() == said)
        let answer = try shop.ledger.cancel(
            session: Parcel.session(2), job: Parcel.job, run: 1, at: Timestamp(milliseconds: 9))
        #expect(answer.message == said)
    }

    @Test func aDatabaseOfAnOlderAgentLearnsToKeepWhatWasSaid() throws {
        try shop.execute("ALTER TABLE _waybill_outcome DROP COLUMN message")
        _ = try StoreDatabase(path: shop.path, store: try #require(StoreID("S1")))
        try shop.apply(.full(2, EvolutionTests.dropped))
        #expect(try shop.apply(.full(2, EvolutionTests.dropped), attempt: 2).wasApplied)
    }

    /// The job file names the former name for good; meanwhile another column may have it.
    @Test func aFormerNameCountsOnlyWhereTheNewOneIsMissing() throws {
        try shop.apply(.full(2, EvolutionTests.renamed))
        var again = EvolutionTests.renamed
        again.shape.columns.append(ColumnShape("name", .text, nullable: true))
        again.rows = [["kg", "kilo", "K"]]
        try shop.execute("CREATE INDEX till_by_title ON unit (title)")
        try shop.apply(.full(3, again))
        #expect(try shop.rows("SELECT unit_id, title, name FROM unit") == ["kg|kilo|K"])
        #expect(try shop.rows("SELECT name FROM pragma_index_info('till_by_title')") == ["title"])
        again.shape.columns.append(ColumnShape("digits", .integer))
        again.rows = [["kg", "kilo", "K", 3]]
        try shop.apply(.full(4, again))
        #expect(try shop.rows("SELECT name FROM pragma_index_info('till_by_title')") == ["title"])
    }

    @Test func keptRowsBringAlongWhatTheyHave() throws {
        var table = EvolutionTests.renamed.keeping
        table.shape.columns = [
            ColumnShape("digits", .integer), ColumnShape("unit_id", .text), ColumnShape("title", .text),
            ColumnShape("note", .text, nullable: true),
        ]
        table.rows = [[3, "kg", "Kilo", "new"]]
        try shop.execute("INSERT INTO unit VALUES ('x', NULL)")
        try shop.apply(.full(2, table))
        #expect(
            try shop.rows("SELECT unit_id, title, digits, note FROM unit ORDER BY 1")
                == ["kg|Kilo|3|new", "l|litre|0|NULL", "x||0|NULL"])
    }

    @Test func rowsAreNotKeptWhereTheirKeysCouldMeet() throws {
        let shape = TableShape(
            name: "unit", columns: [ColumnShape("unit_id", .text), ColumnShape("name", .text)], key: ["name"])
        try shop.execute("INSERT INTO unit VALUES ('kilo', 'kilo')")
        try shop.apply(.full(2, Parcel.Table(shape: shape, rows: [["g", "gram"]]).keeping))
        #expect(try shop.rows("SELECT unit_id, name FROM unit") == ["g|gram"])
        #expect(try message() == "table unit has another key now: rows that were to be kept are gone")
        let wider = TableShape(name: "unit", columns: shape.columns, key: ["unit_id", "name"])
        try shop.apply(.full(3, Parcel.Table(shape: wider, rows: [["l", "litre"]]).keeping))
        #expect(try shop.rows("SELECT unit_id, name FROM unit ORDER BY 1") == ["g|gram", "l|litre"])
    }

    /// What lies on the disk at a pause is what a kill leaves there.
    @Test func aKillWhileColumnsChangeLeavesOldOrNew() throws {
        try shop.execute("CREATE INDEX till_by_name ON unit (name); CREATE VIEW till_names AS SELECT name FROM unit")
        let parcel = Parcel.full(2, EvolutionTests.renamed)
        var images: [String] = []
        shop.onPause = { [unowned shop] in
            let image = shop.folder + "/image\(images.count)"
            for suffix in ["", "-wal"] {
                try? FileManager.default.copyItem(atPath: shop.path + suffix, toPath: image + suffix)
            }
            images.append(image)
        }
        try shop.apply(parcel)
        shop.onPause = {}
        var seen: Set<String> = []
        for image in images {
            let ledger = try StoreDatabase(path: image, store: try #require(StoreID("S1")))
            let reader = try OpenDatabase.queue(at: image, label: "reader")
            func state() throws -> String {
                try reader.read { db in
                    try String.fetchOne(
                        db,
                        sql: """
                            SELECT (SELECT version FROM _waybill_watermark)
                                || (SELECT ' ' || group_concat(name) FROM pragma_table_info('unit'))
                                || (SELECT ' ' || name FROM pragma_index_info('till_by_name'))
                                || (SELECT ' ' || name FROM pragma_table_info('till_names'))
                            """) ?? ""
                }
            }
            seen.insert(try state())
            try ledger.startIncarnation(random: 5)
            let (raw, manifest) = try shop.pack(parcel)
            defer { unlink(raw) }
            _ = try Applier(path: image).apply(
                rawPath: raw, manifest: manifest, run: 1, attempt: 2, at: { Timestamp(milliseconds: 1) },
                pause: { _ in }, shouldStop: { false })
            #expect(try state() == "2 unit_id,title title title")
        }
        #expect(seen == ["1 unit_id,name name name", "2 unit_id,title title title"])
    }
}
