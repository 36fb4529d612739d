import Foundation
import GRDB
import Testing
import WaybillCapture
import WaybillJobs
import WaybillModel
import WaybillPlan

/// Queries that do not fit HQ's tables, told before anything runs; and what a job would give.
@Suite struct JobCheckTests {
    private static let text = """
        job: items
        subjobs:
          - table: thing
            key: [item_id]
            columns:
              item_id: text
              value: integer null
            rows: |
              SELECT
                  item_id,
                  value,
                  scope
              FROM item
            stores: {column: scope, members: "SELECT store_id, scope FROM seen"}
        """

    private func faults(_ edits: (String, String)..., on chain: LittleChain) throws -> [JobFault] {
        let text = edits.reduce(JobCheckTests.text) { $0.replacing($1.0, with: $1.1) }
        do {
            _ = try Rows.check(try JobFile.read(text, file: "items.yaml"), hqPath: chain.hqPath)
            return []
        } catch let faults as JobFaults {
            return faults.faults
        }
    }

    @Test func aGoodJobTellsWhatItReads() throws {
        let chain = try LittleChain()
        let job = try JobFile.read(JobCheckTests.text, file: "items.yaml")
        #expect(try Rows.check(job, hqPath: chain.hqPath).inputs == ["item", "seen"])
    }

    @Test(
        arguments: [
            ("FROM item", "FROM itm", 13, "no such table: itm", "did you mean 'item'?"),
            ("    value,\n", "    valu,\n", 11, "no such column: valu", "did you mean 'value'?"),
            ("    value,\n", "    max(value,,\n", 11, "near", nil),
            ("    value,\n", "", 9, "gives no column 'value'", nil),
            ("    scope\n", "    1\n", 9, "gives no column 'scope'", "'stores' of this table needs it"),
            ("SELECT store_id, scope FROM seen", "SELECT store_id FROM seen", 14, "must give two columns", nil),
            ("FROM item", "FROM item; DROP TABLE item", 9, "one query", nil),
            ("    value,\n", "    random() AS value,\n", 9, "random()", nil),
            ("    value,\n", "    date('now') AS value,\n", 9, "reads the clock", nil),
            ("    value,\n", "    date() AS value,\n", 9, "reads the clock (date())", nil),
            ("    value,\n", "    strftime('%Y') AS value,\n", 9, "reads the clock (strftime('%Y'))", nil),
            ("    value,\n", "    \"valu\" AS value,\n", 11, "no such column: valu", "did you mean 'value'?"),
            (
                "    stores:", "    where: valu > 0\n    stores:", 14, "'where' of table thing: no such column: valu",
                nil
            ),
            ("subjobs:", "triggers: {online: {watch: [Item]}}\nsubjobs:", 0, "no table 'Item'", "did you mean 'item'?"),
        ] as [(String, String, Int, String, String?)])
    func aQueryThatDoesNotFitIsToldAtItsLine(
        right: String, wrong: String, line: Int, words: String, hint: String?
    ) throws {
        let found = try faults((right, wrong), on: try LittleChain())
        let fault = found.first { $0.message.contains(words) }
        #expect(fault != nil, "\(found)")
        #expect(fault?.line == line, "\(found)")
        if let hint { #expect(fault?.hint == hint) }
    }

    @Test func nothingButASelectMayStandInAJob() throws {
        let chain = try LittleChain()
        for statement in ["DELETE FROM item", "PRAGMA user_version", "ATTACH 'x' AS y"] {
            let sql = SQLText(statement)
            var job = LittleChain.job()
            job.subjobs[0].query = sql
            #expect(throws: JobFaults.self) { try Rows.check(job, hqPath: chain.hqPath) }
        }
    }

    @Test func aTableWithoutAPrimaryKeyCannotBeCaptured() throws {
        let chain = try LittleChain()
        try chain.sql("CREATE TABLE loose (item_id TEXT, value INTEGER, scope TEXT)")
        let found = try faults(("FROM item", "FROM loose"), on: chain)
        #expect(found.map(\.message) == ["HQ table loose has no primary key, so its changes cannot be captured"])
    }

    @Test func anHQTableThatOneOfOursWouldHideIsNamedInFull() throws {
        let chain = try LittleChain()
        try chain.sql(
            """
            CREATE TABLE member (item_id TEXT PRIMARY KEY, value INTEGER, scope TEXT);
            INSERT INTO member VALUES ('m', 1, 'x'); INSERT INTO seen VALUES ('A', 'x');
            """)
        let found = try faults(("FROM item", "FROM member"), on: chain)
        #expect(found.map(\.hint) == ["write hq.member AS member"])
        let text = JobCheckTests.text.replacing("FROM item", with: "FROM hq.member AS member")
        #expect(try chain.rows.derive(try JobFile.read(text, file: "items.yaml")).rowsWorkedOut == 1)
    }

    @Test func aTableIsCapturedAsSoonAsAJobNamesIt() throws {
        let chain = try LittleChain()
        try chain.sql(
            """
            CREATE TABLE extra (item_id TEXT PRIMARY KEY, value INTEGER, scope TEXT);
            INSERT INTO extra VALUES ('e', 1, 'x'); INSERT INTO seen VALUES ('A', 'x');
            """)
        let job = try JobFile.read(JobCheckTests.text.replacing("FROM item", with: "FROM extra"), file: "items.yaml")
        #expect(try chain.rows.derive(job).rowsWorkedOut == 1)
        try chain.sql("INSERT INTO extra VALUES ('f', 2, 'x')")
        #expect(try chain.rows.derive(job).hasChanges)
        let token = try chain.rows.derive(job).token
        #expect(try chain.rows.derive(job).token == token)
    }

    @Test func aViewIsReadByWhatStandsBehindIt() throws {
        let chain = try LittleChain()
        try chain.sql("CREATE VIEW shown AS SELECT * FROM item WHERE value > 0; INSERT INTO seen VALUES ('A', 'x')")
        let job = try JobFile.read(JobCheckTests.text.replacing("FROM item", with: "FROM shown"), file: "items.yaml")
        #expect(try Rows.check(job, hqPath: chain.hqPath).inputs == ["item", "seen"])
        _ = try chain.rows.derive(job)
        try chain.sql("INSERT INTO item VALUES ('e', 'x', 1)")
        #expect(try chain.rows.derive(job).hasChanges)
    }

    @Test func aViewThatReadsTheClockOrSaysSomethingElseNowIsNoticed() throws {
        let chain = try LittleChain()
        try chain.sql(
            """
            CREATE VIEW shown AS SELECT * FROM item WHERE value > 1;
            CREATE VIEW outer_shown AS SELECT * FROM shown;
            INSERT INTO seen VALUES ('A', 'x'); INSERT INTO item VALUES ('e', 'x', 1);
            """)
        let edit = ("FROM item", "FROM outer_shown")
        let job = try JobFile.read(JobCheckTests.text.replacing(edit.0, with: edit.1), file: "items.yaml")
        let first = try chain.rows.derive(job)
        #expect(first.rowsWorkedOut == 0)
        try chain.sql("DROP VIEW shown; CREATE VIEW shown AS SELECT * FROM item WHERE value > 0")
        let second = try chain.rows.derive(job)
        #expect(second.hasChanges && second.version > first.version)
        #expect(try chain.rows.derive(job).token == second.token)
        try chain.sql("DROP VIEW shown; CREATE VIEW shown AS SELECT * FROM item WHERE date() > '2026-01-01'")
        #expect(
            try faults(edit, on: chain).map(\.message) == ["rows of table thing reads the clock (date() in view shown)"]
        )
    }

    @Test func aTableThatAJobRemembersMayGetAnotherColumn() throws {
        let chain = try LittleChain()
        try chain.sql("INSERT INTO seen VALUES ('A', 'x'); INSERT INTO item VALUES ('e', 'x', 1)")
        let slices = """
            remember: [item]
            slices:
              item:
                touched:
                  item: SELECT item_id FROM changed_item
            subjobs:
            """
        let text = JobCheckTests.text.replacing("subjobs:", with: slices).replacing(
            "    stores:", with: "    slice: {item: item_id}\n    stores:")
        let job = try JobFile.read(text, file: "items.yaml")
        _ = try chain.rows.derive(job)
        try chain.sql("ALTER TABLE item ADD COLUMN note TEXT; UPDATE item SET value = 2")
        #expect(try chain.rows.derive(job).hasChanges)
        try chain.sql("UPDATE item SET value = 3")
        #expect(try chain.rows.derive(job).rowsWorkedOut == 1)
    }

    @Test(arguments: ["item", "Seen", "member", "rows_thing", "ended_thing"])
    func aPreparedTableThatWouldHideAnotherIsRefused(name: String) throws {
        let found = try faults(
            ("subjobs:", "prepare: [{table: \(name), query: SELECT 1 AS x}]\nsubjobs:"), on: try LittleChain())
        #expect(found.map(\.message) == ["a table of 'prepare' cannot be called \(name)"])
    }

    @Test func aColumnOfTheStoreTableMayBeCalledScope() throws {
        let chain = try LittleChain()
        try chain.sql("INSERT INTO seen VALUES ('A', 'x'); INSERT INTO item VALUES ('e', 'x', 7)")
        let text = JobCheckTests.text.replacing("value: integer null", with: "scope: text").replacing(
            "    value,\n          scope", with: "    'own' AS scope,\n          scope AS place"
        ).replacing("{column: scope", with: "{column: place")
        _ = try chain.rows.derive(try JobFile.read(text, file: "items.yaml"))
        let rows = try DatabaseQueue(path: chain.folder + "/rows.db")
        let row = try rows.read { try Row.fetchOne($0, sql: "SELECT _scope, scope FROM rows_thing") }
        #expect(row?["_scope"] == "x" && row?["scope"] == "own")
    }

    @Test func aTrialTellsRowsAndStoresAndKeepsNothing() throws {
        let chain = try LittleChain()
        try chain.sql(
            "INSERT INTO item VALUES ('e', 'x', 1), ('f', 'y', 2); INSERT INTO seen VALUES ('A', 'x'), ('B', 'x')")
        let job = try JobFile.read(JobCheckTests.text, file: "items.yaml")
        let path = chain.folder + "/trial.db"
        let trial = try Rows.trial(job, hqPath: chain.hqPath, scratchPath: path)
        #expect(trial.map(\.rows) == [2] && trial.map(\.stores) == [2])
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test func rowsThatDoNotFitAreFoundByTheTrial() throws {
        let chain = try LittleChain()
        try chain.sql("INSERT INTO item VALUES ('e', 'x', NULL)")
        let text = JobCheckTests.text.replacing("integer null", with: "integer")
        let job = try JobFile.read(text, file: "items.yaml")
        let fault = #expect(throws: DerivationFault.self) {
            try Rows.trial(job, hqPath: chain.hqPath, scratchPath: chain.folder + "/trial.db")
        }
        #expect(fault?.detail.contains("column value is NULL") == true, "\(fault as Any)")
    }
}
