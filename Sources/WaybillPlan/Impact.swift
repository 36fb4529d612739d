import GRDB
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// What a package would change at each of its stores: counted in `rows.db`, without making the package.
public struct Impact: Sendable, Equatable {
    /// `full` when the stores have nothing that it could be compared with: then all rows count as added, and no limit
    /// applies, for a first load is no change.
    public var kind: PackageKind
    /// In the order of the job's subjobs.
    public var tables: [TableImpact]

    public init(kind: PackageKind, tables: [TableImpact]) {
        self.kind = kind
        self.tables = tables
    }

    /// Rows added, changed and removed, over all tables.
    public var rows: Int64 { tables.reduce(0) { $0 + $1.added + $1.changed + $1.removed } }

    /// A guess of the package's compressed size, from the length of the values in it.
    ///
    /// Making the package to measure it would cost as much as publishing. The factors are from the retail jobs on
    /// chains of 40 and of 9,000 products, where it was never off by more than a factor of two.
    public var bytesEstimate: Int64 {
        tables.reduce(Impact.fileBytes) { $0 + Impact.tableBytes + $1.bytesEstimate }
    }

    /// Of a package without rows, and of each table in it.
    private static let fileBytes: Int64 = 350
    private static let tableBytes: Int64 = 100
}

/// The same for one store table.
public struct TableImpact: Sendable, Equatable {
    public var table: String
    public var added: Int64
    public var changed: Int64
    public var removed: Int64
    /// Rows that each of the stores has; nil when nothing is removed, or less than a thousandth and no limit below that
    /// makes it matter: then counting them would cost more than the change itself.
    public var had: Int64?
    /// The biggest moves of the subjob's price column, biggest first; at most ``Impact/priceMovesMax``.
    public var priceMoves: [PriceMove]
    /// Products that would disappear, by their ids: the keys removed from a table whose key is `product_id`. At most
    /// ``Impact/disappearingMax``; `removed` says how many there are.
    public var disappearing: [String]
    /// Length of the values that travel, uncompressed.
    public var valueBytes: Int64
    /// The table has no columns but its key, and so compresses well: the rows stand in its order.
    public var isKeysOnly: Bool

    public init(
        table: String, added: Int64, changed: Int64, removed: Int64, had: Int64?, priceMoves: [PriceMove],
        disappearing: [String], valueBytes: Int64 = 0, isKeysOnly: Bool = false
    ) {
        self.table = table
        self.added = added
        self.changed = changed
        self.removed = removed
        self.had = had
        self.priceMoves = priceMoves
        self.disappearing = disappearing
        self.valueBytes = valueBytes
        self.isKeysOnly = isKeysOnly
    }

    /// A few rows compress badly, many well.
    var bytesEstimate: Int64 {
        let first = min(valueBytes, 4096)
        return first / 2 + (valueBytes - first) / (isKeysOnly ? 14 : 4)
    }

    /// Rows removed in percent of those the stores have; nil when ``had`` is.
    public var removedPercent: Double? {
        had.map { $0 > 0 ? Double(removed) * 100 / Double($0) : 0 }
    }
}

/// A price that a package would change.
public struct PriceMove: Sendable, Equatable {
    /// The row, by the values of its key columns.
    public var key: [String]
    public var column: String
    /// In HQ's unit: a column that ends in `_e4` counts ten-thousandths, one in `_e6` millionths.
    public var before: Double
    public var after: Double

    public init(key: [String], column: String, before: Double, after: Double) {
        self.key = key
        self.column = column
        self.before = before
        self.after = after
    }

    /// Of what it was, with its sign. nil when it was 0: no share can be named, and giving a price to what had none
    /// is everyday work, not a slip.
    public var percent: Double? { before == 0 ? nil : (after - before) * 100 / abs(before) }
}

extension Impact {
    /// Enough to see what a wrong factor did.
    public static let priceMovesMax = 10
    public static let disappearingMax = 20
}

extension Rows {
    /// Counts what a plan's package would change, table by table.
    ///
    /// Costs as much as filling the package: a few index steps for each row that came, changed or went. Once for an
    /// audience and base, however many stores share them.
    public func impact(of plan: PackagePlan, job: Job, at derivation: Derivation) throws -> Impact {
        try counting(plan, job, derivation) { table, _ in try table.run() }
    }

    /// What the job's limits ask about a package, most of which is known when it has been filled: else each row would be
    /// looked up a second time.
    ///
    /// - Parameter filled: by table of the job, what ``fill(_:job:at:path:uniqueness:createTables:)`` has told.
    public func impact(
        of plan: PackagePlan, filled: [FilledTable], job: Job, at derivation: Derivation
    ) throws -> Impact {
        // All rows of a table went in, whichever of them differ.
        guard !filled.contains(where: \.isWhole) else { return try impact(of: plan, job: job, at: derivation) }
        return try counting(plan, job, derivation) { table, index in try table.whatLimitsAsk(of: filled[index]) }
    }

    private func counting(
        _ plan: PackagePlan, _ job: Job, _ derivation: Derivation, _ count: (CountTable, Int) throws -> TableImpact
    ) throws -> Impact {
        try queue.writeWithoutTransaction { db in
            var tables: [TableImpact] = []
            // Writes into TEMP tables only.
            try db.inTransaction(.deferred) {
                for (index, subjob) in job.subjobs.enumerated() {
                    let table = CountTable(
                        subjob: subjob, plan: plan, version: derivation.version.number, limits: job.limits, db: db)
                    tables.append(try count(table, index))
                }
                return .commit
            }
            return Impact(kind: plan.kind, tables: tables)
        }
    }
}

/// Counts one table of a package.
private struct CountTable {
    let subjob: Subjob
    let plan: PackagePlan
    /// The version the package leads to.
    let version: Int64
    let limits: ChangeLimits
    let db: Database

    /// nil for a full package.
    private var base: Int64? { plan.contentVersion }
    private var shape: TableShape { subjob.table }
    private var columns: String { shape.columns.map { quoted($0.name) }.joined(separator: ", ") }
    private var arguments: StatementArguments { ["base": base, "now": version] }

    /// Rows that came are counted as changed: no limit tells them apart.
    func whatLimitsAsk(of filled: FilledTable) throws -> TableImpact {
        var impact = TableImpact(
            table: shape.name, added: 0, changed: filled.rows, removed: filled.removed, had: nil, priceMoves: [],
            disappearing: [], isKeysOnly: shape.valueColumns.isEmpty)
        let isHeldAsked = limits.maxRemovedPercent != nil && filled.removed > limits.removedRowsFree
        let priceColumn = limits.maxPriceChangePercent != nil && filled.rows > 0 ? subjob.priceColumn : nil
        guard isHeldAsked || priceColumn != nil else { return impact }
        try plan.stageScopes(of: shape.name, in: db)
        if isHeldAsked { impact.had = try rowsHeld(whenRemoved: filled.removed) }
        if let priceColumn, let base {
            let difference = try TableDifference(shape: shape, base: base, version: version, in: db)
            impact.priceMoves = try priceMoves(priceColumn, difference)
        }
        return impact
    }

    func run() throws -> TableImpact {
        var impact = TableImpact(
            table: shape.name, added: 0, changed: 0, removed: 0, had: nil, priceMoves: [], disappearing: [],
            isKeysOnly: shape.valueColumns.isEmpty)
        try plan.stageScopes(of: shape.name, in: db)
        guard let base else {
            let shown = try RowsAt(shape, at: version, as: ":now", scopes: "scope_now", in: db)
            let row = try Row.fetchOne(
                db,
                sql: """
                    SELECT count(*) AS added, ifnull(sum(\(length("new"))), 0) AS bytes
                    FROM (\(shown.select(columns))) AS new
                    """,
                arguments: ["now": version])
            impact.added = row?["added"] ?? 0
            impact.valueBytes = row?["bytes"] ?? 0
            return impact
        }
        let difference = try TableDifference(shape: shape, base: base, version: version, in: db)
        try countWritten(difference, &impact)
        if subjob.removal == .delete { try countRemoved(difference, &impact) }
        if let column = subjob.priceColumn { impact.priceMoves = try priceMoves(column, difference) }
        return impact
    }

    private func countWritten(_ difference: TableDifference, _ impact: inout TableImpact) throws {
        let row = try Row.fetchOne(
            db,
            sql: """
                SELECT
                    count(*) FILTER (WHERE NOT _is_held) AS added,
                    count(*) FILTER (WHERE _is_held) AS changed,
                    ifnull(sum(_length), 0) AS bytes
                FROM (
                    SELECT \(difference.isHeld()) AS _is_held, \(length("new")) AS _length
                    FROM (\(difference.changedRows)) AS new
                )
                """,
            arguments: arguments)
        impact.added = row?["added"] ?? 0
        impact.changed = row?["changed"] ?? 0
        impact.valueBytes = row?["bytes"] ?? 0
    }

    private func countRemoved(_ difference: TableDifference, _ impact: inout TableImpact) throws {
        let gone = difference.removedKeys
        impact.removed = try Int64.fetchOne(db, sql: "SELECT count(*) FROM (\(gone))", arguments: arguments) ?? 0
        guard impact.removed > 0 else { return }
        let keyLength = shape.key.map { "length(CAST(\(quoted($0)) AS BLOB)) + 2" }.joined(separator: " + ")
        impact.valueBytes +=
            try Int64.fetchOne(db, sql: "SELECT sum(\(keyLength)) FROM (\(gone))", arguments: arguments) ?? 0
        if shape.key == ["product_id"] {
            impact.disappearing = try String.fetchAll(
                db,
                sql: """
                    SELECT CAST(product_id AS TEXT) FROM (\(gone)) ORDER BY product_id LIMIT \(Impact.disappearingMax)
                    """,
                arguments: arguments)
        }
        impact.had = try rowsHeld(whenRemoved: impact.removed)
    }

    /// Counts no further than the share of removed rows matters, so that a small change to a large table stays cheap.
    private func rowsHeld(whenRemoved removed: Int64) throws -> Int64? {
        var factor = 1000.0
        if let limit = limits.maxRemovedPercent { factor = limit > 0 ? max(factor, 100 / limit) : .infinity }
        let bound = Double(removed) * factor
        let most = bound < 1e15 ? Int64(bound.rounded(.up)) : Int64.max - 1
        guard let base else { return nil }
        // Left at the bound.
        let held = try RowsAt(shape, at: base, as: ":base", scopes: "scope_held", in: db)
        let counted =
            try Int64.fetchOne(
                db,
                sql: """
                    SELECT count(*) FROM (\(held.select("1")) LIMIT :most)
                    """,
                arguments: ["base": base, "most": most + 1]) ?? 0
        return counted > most ? nil : counted
    }

    private func priceMoves(_ column: String, _ difference: TableDifference) throws -> [PriceMove] {
        let unit = PriceMove.unit(of: column)
        let (before, after) = ("CAST(old.\(quoted(column)) AS REAL)", "CAST(new.\(quoted(column)) AS REAL)")
        let moves = difference.held.sources("old").map { source in
            """
            SELECT \(shape.key.map { "new." + quoted($0) }.joined(separator: ", ")), \(before) AS _before, \(after) AS _after
            FROM (\(difference.cameRows)) AS new CROSS JOIN \(source.table) AS old
            WHERE \(source.condition) AND \(TableDifference.sameKey(shape))
                AND old.\(quoted(column)) <> new.\(quoted(column))
            """
        }.joined(separator: "\nUNION ALL\n")
        let found = try Row.fetchAll(
            db,
            sql: """
                SELECT \(shape.key.map { "CAST(\(quoted($0)) AS TEXT)" }.joined(separator: ", ")), _before, _after
                FROM (\(moves))
                -- NULL, for a price that was 0, comes last.
                ORDER BY abs(_after - _before) / nullif(abs(_before), 0) DESC,
                    \(shape.key.map(quoted).joined(separator: ", "))
                LIMIT \(Impact.priceMovesMax)
                """,
            arguments: arguments)
        return found.map { row in
            PriceMove(
                key: shape.key.indices.map { row[$0] ?? "" }, column: column, before: row["_before"] / unit,
                after: row["_after"] / unit)
        }
    }

    /// Bytes of a row's values, and two for each column.
    private func length(_ row: String) -> String {
        shape.columns.map { "ifnull(length(CAST(\(row).\(quoted($0.name)) AS BLOB)), 0) + 2" }
            .joined(separator: " + ")
    }
}

extension PriceMove {
    fileprivate static func unit(of column: String) -> Double {
        column.hasSuffix("_e4") ? 10_000 : column.hasSuffix("_e6") ? 1_000_000 : 1
    }
}
