import Foundation
import GRDB
import Testing
import WaybillDatabase

/// What is bound in the short way arrives as what GRDB binds.
@Suite struct BoundStatementTests {
    private let queue: DatabaseQueue

    init() throws {
        queue = try DatabaseQueue()
        try queue.write { try $0.execute(sql: "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b CHECK (b IS NOT 'no'))") }
    }

    private static let values: [DatabaseValue] = [
        .null, 0.databaseValue, Int64.max.databaseValue, Int64.min.databaseValue, (-1.5).databaseValue,
        "".databaseValue, "ASCII".databaseValue, "Käse, 10 €, 日本".databaseValue,
        String(repeating: "long ", count: 1000).databaseValue, Data().databaseValue,
        Data((0...255).map { UInt8($0) }).databaseValue, true.databaseValue,
    ]

    @Test(arguments: values)
    func everyValueArrivesAsItIs(value: DatabaseValue) throws {
        try queue.write { db in
            let statement = try db.cachedStatement(sql: "INSERT INTO t (a, b) VALUES (?, ?)")
            #expect(try statement.execute(binding: [value, 7.databaseValue], in: db) == 1)
            try db.execute(sql: "INSERT INTO t (a, b) VALUES (?, ?)", arguments: [value, 7])
            let rows = try Row.fetchAll(db, sql: "SELECT a, typeof(a), b FROM t ORDER BY id")
            #expect(rows.count == 2 && rows[0] == rows[1])
            #expect(rows[0][0] as DatabaseValue == value)
        }
    }

    @Test func whatItChangedIsCounted() throws {
        try queue.write { db in
            try db.execute(sql: "INSERT INTO t (a) VALUES (1), (1), (2)")
            let update = try db.cachedStatement(sql: "UPDATE t SET b = ? WHERE a = ?")
            #expect(try update.execute(binding: ["x".databaseValue, 1.databaseValue], in: db) == 2)
            #expect(try update.execute(binding: ["x".databaseValue, 9.databaseValue], in: db) == 0)
        }
    }

    /// A row that SQLite refuses, one value too many, a database that is full: told as GRDB tells it, and the statement
    /// serves again.
    @Test func whatFailsIsToldAndTheStatementServesAgain() throws {
        try queue.write { db in
            let statement = try db.cachedStatement(sql: "INSERT INTO t (b) VALUES (?)")
            let refused = #expect(throws: DatabaseError.self) {
                try statement.execute(binding: ["no".databaseValue], in: db)
            }
            #expect(refused?.resultCode == .SQLITE_CONSTRAINT)
            #expect(refused?.message?.contains("CHECK") == true)
            let tooMany = #expect(throws: DatabaseError.self) {
                try statement.execute(binding: ["yes".databaseValue, .null], in: db)
            }
            #expect(tooMany?.resultCode == .SQLITE_RANGE)
            #expect(try statement.execute(binding: ["yes".databaseValue], in: db) == 1)
            try statement.execute(arguments: ["and by GRDB"])
            #expect(try String.fetchAll(db, sql: "SELECT b FROM t ORDER BY id") == ["yes", "and by GRDB"])
        }
    }
}
