import GRDB
import WaybillDatabase
import WaybillModel

/// A till's unique index cannot be built over a shadow: two of its rows have what only one may have.
struct IndexRefused: Error {
    var shape: TableShape
    var words: String
}

/// Takes out of a shadow what does not fit under the tills' unique indexes. Outside of the last transaction: reads
/// without a lock, and needs one for the few rows it takes out.
///
/// The rows go into an empty table that has the indexes from the beginning, those first that the store has already; what
/// does not find a place there is refused. So any index will do, also one on expressions or with a condition.
struct UniqueSieve {
    let db: Database
    let shape: TableShape
    let shadows: Shadows

    private var columns: String { shape.columns.map { quoted($0.name) }.joined(separator: ", ") }
    private var sameKey: String {
        shape.key.map { "here.\(quoted($0)) = there.\(quoted($0))" }.joined(separator: " AND ")
    }
    /// The table to try in has the table's own name, because the index's text says it.
    private var trial: String { "temp." + quoted(shape.name) }
    private var sifted: String { "temp." + quoted("_waybill_sifted_" + shape.name) }

    func run(_ refused: IndexRefused) throws -> WriteResult {
        try makeTrial()
        defer { try? db.execute(sql: "DROP TABLE IF EXISTS \(trial)") }
        let isOfThisShape = try TableShape.standing(shape.name, in: db).map { Set($0.columns) == Set(shape.columns) }
        let same = shape.valueColumns.map { " AND here.\(quoted($0.name)) IS there.\(quoted($0.name))" }.joined()
        let isOld = "EXISTS (SELECT 1 FROM main.\(quoted(shape.name)) AS here WHERE \(sameKey)\(same))"
        let source =
            "INSERT OR IGNORE INTO \(trial) (\(columns)) SELECT \(columns) FROM \(shadows.shadow(shape)) AS there"
        if isOfThisShape == true {
            try db.execute(sql: "\(source) WHERE \(isOld)")
            try db.execute(sql: "\(source) WHERE NOT \(isOld)")
        } else {
            try db.execute(sql: source)
        }
        let count = try sift()
        let rows = try Int64.fetchOne(db, sql: "SELECT count(*) FROM \(shadows.shadow(shape))") ?? 0
        guard count <= QuarantineLimits.refusedMax(of: rows) else {
            throw ApplyFault.rowDoesNotFit(
                table: shape.name, detail: "\(refused.words) (\(count) rows, too many for quarantine)")
        }
        try takeOut(isOfThisShape: isOfThisShape == true)
        let refusals = try Int64.fetchAll(
            db, sql: "SELECT \(quoted(CarefulWrite.numberColumn)) FROM \(sifted) ORDER BY 1")
        return WriteResult(
            rows: sifted,
            refused: refusals.map { RowRefusal(place: $0, code: RowRefusal.uniqueness, words: refused.words) })
    }

    private func makeTrial() throws {
        let declarations = shape.columns.map { "\(quoted($0.name)) \($0.type.rawValue)" }.joined(separator: ", ")
        let key = shape.key.map(quoted).joined(separator: ", ")
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS \(trial);
                CREATE TEMP TABLE \(quoted(shape.name)) (\(declarations), PRIMARY KEY (\(key))) WITHOUT ROWID
                """)
        // SQLite keeps the text of an index from its name on, behind these words.
        let beginning = "CREATE UNIQUE INDEX "
        let indexes = try String.fetchAll(
            db,
            sql: """
                SELECT sql FROM main.sqlite_schema
                WHERE tbl_name = ? COLLATE NOCASE AND type = 'index' AND sql IS NOT NULL
                """, arguments: [shape.name])
        for sql in indexes where sql.hasPrefix(beginning) {
            do {
                try db.execute(sql: "\(beginning)temp.\(sql.dropFirst(beginning.count))")
            } catch let error as DatabaseError where error.resultCode == .SQLITE_ERROR {
                // It needs a column that the table is about to lose, and goes with it.
            }
        }
    }

    /// Numbers what found no place. By the primary keys of both.
    private func sift() throws -> Int {
        let declarations = shape.columns.map { "\(quoted($0.name)) \($0.type.rawValue)" }.joined(separator: ", ")
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS \(sifted);
                CREATE TEMP TABLE \(quoted("_waybill_sifted_" + shape.name)) (
                    \(quoted(CarefulWrite.numberColumn)) INTEGER PRIMARY KEY, \(declarations));
                INSERT INTO \(sifted) (\(columns))
                    SELECT \(columns) FROM \(shadows.shadow(shape)) AS there
                    WHERE NOT EXISTS (SELECT 1 FROM \(trial) AS here WHERE \(sameKey))
                """)
        return db.changesCount
    }

    /// The refused rows leave the shadow; where the store has an older row of the key that still fits, it takes its
    /// place.
    private func takeOut(isOfThisShape: Bool) throws {
        let older = "temp." + quoted("_waybill_older")
        let key = shape.key.map(quoted).joined(separator: ", ")
        let hereColumns = shape.columns.map { "here." + quoted($0.name) }.joined(separator: ", ")
        if isOfThisShape {
            // The refused rows once through, the table by its primary key. What the trial takes stays in it.
            try db.execute(
                sql: """
                    INSERT OR IGNORE INTO \(trial) (\(columns))
                        SELECT \(hereColumns) FROM \(sifted) AS there
                            CROSS JOIN main.\(quoted(shape.name)) AS here ON \(sameKey);
                    DROP TABLE IF EXISTS \(older);
                    CREATE TEMP TABLE \(quoted("_waybill_older")) AS
                        SELECT \(hereColumns) FROM \(sifted) AS there CROSS JOIN \(trial) AS here ON \(sameKey);
                    """)
        }
        try shadows.slice {
            try db.execute(
                sql: "DELETE FROM \(shadows.shadow(shape)) WHERE (\(key)) IN (SELECT \(key) FROM \(sifted))")
            guard isOfThisShape else { return }
            try db.execute(
                sql: "INSERT INTO \(shadows.shadow(shape)) (\(columns)) SELECT \(columns) FROM \(older)")
        }
    }
}
