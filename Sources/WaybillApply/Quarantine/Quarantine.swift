import GRDB
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillWire

/// The quarantine over one apply: what goes in, what comes out, and what is said about it. Inside the last transaction.
///
/// What it keeps true: a row of HQ's is at the store as HQ has it, or is in quarantine; and a row that HQ has not is not
/// at the store, or is in quarantine as kept.
struct Quarantine {
    static let tooMany = "more than \(QuarantineLimits.entriesInStoreMax) rows would be in quarantine"

    let db: Database
    let manifest: Manifest
    let occasion: QuarantineTable.Occasion
    private var noted: [String: [Int64]] = [:]

    init(db: Database, manifest: Manifest, at: Timestamp) {
        self.db = db
        self.manifest = manifest
        occasion = QuarantineTable.Occasion(session: manifest.session, version: manifest.version, at: at)
    }

    private func table(_ shape: TableShape) -> QuarantineTable {
        QuarantineTable(db: db, shape: shape, job: manifest.job)
    }

    /// Forgets what belongs to tables as they were, or to tables that the job has no more.
    /// - Returns: what somebody should know.
    func begin() throws -> [String] {
        try References.save(manifest, in: db)
        guard try QuarantineSchema.count(in: db) > 0 else { return [] }
        var notes: [String] = []
        for table in manifest.tables {
            let count = try self.table(table.shape).forgetStrangers()
            if count > 0 {
                notes.append("table \(table.shape.name) is another one now: its quarantine (\(count)) is forgotten")
            }
        }
        let tables = Set(manifest.tables.map { $0.shape.name.lowercased() })
        let ofJob = try String.fetchAll(
            db.cachedStatement(sql: "SELECT DISTINCT table_name FROM _waybill_quarantine WHERE job = ?"),
            arguments: [manifest.job.rawValue])
        for name in ofJob where !tables.contains(name.lowercased()) {
            try db.cachedStatement(sql: "DELETE FROM _waybill_quarantine WHERE table_name = ?").execute(arguments: [
                name
            ])
            notes.append("table \(name) is not in job \(manifest.job) any more: its quarantine is forgotten")
            try db.execute(sql: "DROP TABLE IF EXISTS main.\(quoted(QuarantineSchema.rowsPrefix + name))")
        }
        return notes
    }

    // MARK: what comes in

    /// Puts aside what the table has of rows that are about to be written, when one of them may have to be taken back:
    /// it refers to a table that has rows in quarantine, or that comes only later, or to its own.
    /// - Returns: a relation, or nil when nothing has to be put aside. By the table's primary key.
    func keepOlder(_ shape: TableShape, rows: String) throws -> String? {
        guard let place = manifest.tables.firstIndex(where: { $0.shape.name == shape.name }) else { return nil }
        let mayWait = try Set(manifest.tables[place].references.values).contains { parent in
            let parentPlace = manifest.tables.firstIndex { $0.shape.name.lowercased() == parent.lowercased() }
            return try parentPlace.map { $0 >= place } ?? false
                || QuarantineSchema.exists(QuarantineSchema.rowsPrefix + parent, in: db)
        }
        guard mayWait else { return nil }
        let name = "_waybill_before_" + shape.name
        let columns = shape.columns.map { "here." + quoted($0.name) }.joined(separator: ", ")
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS temp.\(quoted(name));
                CREATE TEMP TABLE \(quoted(name)) AS
                    SELECT \(columns) FROM \(rows) AS there
                        CROSS JOIN main.\(quoted(shape.name)) AS here ON \(table(shape).sameKey("here", "there"));
                """)
        return "temp." + quoted(name)
    }

    /// Notes the rows of a table that were refused, and those that could not be removed.
    mutating func note(_ result: WriteResult, of shape: TableShape) throws {
        let table = self.table(shape)
        func source(_ relation: String, _ columns: [ColumnShape], _ place: Int64) -> String {
            let names = columns.map { quoted($0.name) }.joined(separator: ", ")
            return "SELECT \(names) FROM \(relation) WHERE \(quoted(CarefulWrite.numberColumn)) = \(place)"
        }
        if let removed = result.removed {
            let key = shape.columns.filter { shape.key.contains($0.name) }
            for refusal in result.kept {
                noted[shape.name, default: []].append(
                    try table.note(.kept, refusal, from: source(removed, key, refusal.place), on: occasion))
            }
        }
        if let rows = result.rows {
            for refusal in result.refused {
                noted[shape.name, default: []].append(
                    try table.note(.refused, refusal, from: source(rows, shape.columns, refusal.place), on: occasion))
            }
        }
    }

    /// Takes rows back whose parents are in quarantine.
    mutating func noteDependants(of written: [Dependants.Written]) throws -> Int64 {
        guard try QuarantineSchema.count(in: db) > 0 else { return 0 }
        let dependants = Dependants(db: db, occasion: occasion, job: manifest.job)
        var rows: Int64 = 0
        for (table, taken) in try dependants.takeBack(from: written) {
            rows += Int64(taken.count)
            noted[table, default: []] += taken
        }
        return rows
    }

    // MARK: what goes out

    /// Forgets rows that this package has brought or removed, and puts in what waited for them.
    /// - Returns: rows that went in.
    /// - Parameter skipped: entries that are left as they are.
    func clear(skipping skipped: Set<Int64> = []) throws -> Int64 {
        guard try QuarantineSchema.count(in: db) > 0 else { return 0 }
        for packaged in manifest.tables { try clear(packaged) }
        let again = SecondTry(db: db, skipped: skipped)
        var count = 0
        // A value that another row had may be free now.
        for packaged in manifest.tables where packaged.rows + packaged.removed > 0 {
            let entries = try Int64.fetchAll(
                db,
                sql: """
                    SELECT id FROM _waybill_quarantine
                    WHERE table_name = ? AND kind = 'refused' AND code = ? AND session <> ? ORDER BY id
                    LIMIT \(QuarantineLimits.secondTriesMax)
                    """,
                arguments: [packaged.shape.name, RowRefusal.uniqueness, manifest.session.rawValue])
            for id in entries where try !skipped.contains(id) && again.run(entry: id, isCounted: false) == .wentIn {
                count += 1
            }
        }
        count += try again.wakeDependants()
        for packaged in manifest.tables { try table(packaged.shape).tidy() }
        return Int64(count)
    }

    private func clear(_ packaged: PackageTable) throws {
        let shape = packaged.shape
        let table = self.table(shape)
        guard try table.exists() else { return }
        let entry = "held." + quoted(QuarantineSchema.entryColumn)
        let stay = "\(entry) NOT IN (\((noted[shape.name] ?? []).map(String.init).joined(separator: ", ")))"
        func isIn(_ relation: String, _ condition: String = "") -> String {
            "EXISTS (SELECT 1 FROM \(relation) AS there WHERE \(table.sameKey("there", "held"))\(condition))"
        }
        let rows = "package." + quoted(shape.name)
        let removed = "package." + quoted(shape.name + PackageTables.removedSuffix)
        let here = "main." + quoted(shape.name)
        let isAll = manifest.kind == .full || packaged.isWhole
        guard isAll else { return try table.clear(where: "\(stay) AND (\(isIn(rows)) OR \(isIn(removed)))") }
        // In a delta that holds a whole table, rows were not tried that have not changed since they were refused; of
        // those that were to go, the same.
        let same = table.sameValues("there", "held")
        let isKept = "\(entry) IN (SELECT id FROM _waybill_quarantine WHERE kind = 'kept')"
        let isUntried = """
            ((NOT \(isKept) AND \(isIn(rows, same)) AND NOT \(isIn(here, same)))
                OR (\(isKept) AND NOT \(isIn(rows)) AND \(isIn(here))))
            """
        let concerned = packaged.keepsRows ? "\(isIn(rows)) AND " : ""
        try table.clear(where: "\(concerned)\(stay) AND NOT \(isUntried)")
    }

    // MARK: what is said

    /// Rows that this session has brought and that the store did not take; and a sentence about them.
    func summary() throws -> (exceptions: Int, message: String?) {
        let total = try QuarantineSchema.count(in: db)
        guard total <= QuarantineLimits.entriesInStoreMax else {
            throw ApplyFault.rowDoesNotFit(table: "of job \(manifest.job)", detail: Quarantine.tooMany)
        }
        guard total > 0 else { return (0, nil) }
        let row = try Row.fetchOne(
            db.cachedStatement(
                sql: """
                    SELECT *, count(*) OVER () AS count FROM _waybill_quarantine WHERE session = ? AND job = ?
                    ORDER BY CASE kind WHEN 'refused' THEN 0 WHEN 'kept' THEN 1 ELSE 2 END, id LIMIT 1
                    """),
            arguments: [manifest.session.rawValue, manifest.job.rawValue])
        guard let row, let first = QuarantineSchema.entry(row) else { return (0, nil) }
        let rows: Int = row["count"]
        let key = manifest.tables.first { $0.shape.name == first.table }?.shape.key.joined(separator: ",") ?? "key"
        let count = rows == 1 ? "1 row is in quarantine: " : "\(rows) rows are in quarantine: "
        let more = rows == 1 ? "" : "; and \(rows - 1) more"
        return (
            rows,
            "\(count)table \(first.table), \(key) \(first.key): \(first.detail) (\(first.consequence))\(more)"
        )
    }
}

/// What the list adds up to: whether a transaction has changed it.
struct QuarantineSum: Equatable {
    private let values: [DatabaseValue]

    init(in db: Database) throws {
        // At most ``QuarantineLimits/entriesInStoreMax`` rows, mostly none.
        let row = try Row.fetchOne(
            db.cachedStatement(
                sql: "SELECT count(*), total(id), max(id), total(attempts), total(version) FROM _waybill_quarantine"))
        values = row.map { Array($0.databaseValues) } ?? []
    }
}
