import GRDB
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// What a store must hold of one job: by table, its rows as text, in order.
typealias StoreContent = [String: [String]]

/// How a row is written down for comparing: its columns between separators, NULL apart from every text.
enum RowText {
    static func of(_ values: [String?]) -> String { values.map { $0 ?? "∅" }.joined(separator: "\u{1f}") }
}

/// A headquarters of a few small tables, and what the jobs below must make of them: plainly and slowly, without SQL.
struct LittleChain: Sendable {
    struct Item: Sendable {
        var scope: String
        var price: Int
        var note: String?
    }

    static let scopes = ["x", "y", "z"]

    var items: [String: Item] = [:]
    /// (store, scope).
    var seen: Set<[String]> = []
    var labels: [String: String] = [:]
    /// Stores that headquarters has.
    var stores: Set<String> = []
    /// In some seeds headquarters has the retail tables instead of items.
    var retail: RetailRange?

    static func install(isRetail: Bool, in db: Database) throws {
        guard !isRetail else {
            try HQSchema.install(in: db, tables: HQCatalogue.tables.filter { RetailRange.tables.contains($0.name) })
            try db.execute(sql: "CREATE TABLE label (label_id TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID")
            return try HQSchema.capture("label", key: ["label_id"], isNew: true, in: db)
        }
        try HQSchema.install(in: db, tables: [])
        try db.execute(
            sql: """
                CREATE TABLE item (
                    item_id TEXT PRIMARY KEY, scope TEXT NOT NULL, price INTEGER NOT NULL, note TEXT
                ) WITHOUT ROWID;
                CREATE TABLE store (store_id TEXT PRIMARY KEY) WITHOUT ROWID;
                CREATE TABLE seen (store_id TEXT, scope TEXT, PRIMARY KEY (store_id, scope)) WITHOUT ROWID;
                CREATE TABLE label (label_id TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
                """)
        try HQSchema.capture("store", key: ["store_id"], isNew: true, in: db)
        try HQSchema.capture("item", key: ["item_id"], isNew: true, in: db)
        try HQSchema.capture("seen", key: ["store_id", "scope"], isNew: true, in: db)
        try HQSchema.capture("label", key: ["label_id"], isNew: true, in: db)
    }

    // MARK: jobs

    static let items = JobID("items").unsafelyUnwrapped
    static let labels = JobID("labels").unsafelyUnwrapped
    static let assortments = RetailJobs.assortments.id

    /// What differs from seed to seed in the definitions.
    struct Style: Sendable {
        var labelsFollow: Bool
        var labelsAreWhole: Bool
        var limits: Bool
        var tryCount: Int
        var isRetail: Bool
    }

    static func definitions(_ style: Style) -> [Job] {
        let none = ChangeLimits(maxRemovedPercent: nil, maxPriceChangePercent: nil, maxRows: nil)
        let members = "SELECT store_id, scope FROM seen"
        let thing = TableShape(
            name: "thing",
            columns: [
                ColumnShape("item_id", .text), ColumnShape("price", .integer),
                ColumnShape("note", .text, nullable: true),
            ], key: ["item_id"])
        let mark = TableShape(
            name: "mark", columns: [ColumnShape("price", .integer), ColumnShape("item_id", .text)],
            key: ["price", "item_id"])
        let label = TableShape(
            name: "label", columns: [ColumnShape("label_id", .text), ColumnShape("text", .text)], key: ["label_id"])
        let own = [
            Job(
                id: items, title: "", inputs: ["item", "seen"],
                prepare: [PrepareTable(name: "noted", query: "SELECT * FROM item WHERE note IS NOT NULL")],
                subjobs: [
                    Subjob(table: thing, rows: "SELECT scope, item_id, price, note FROM item", members: members),
                    Subjob(table: mark, rows: "SELECT scope, price, item_id FROM noted", members: members),
                ],
                limits: style.limits
                    ? ChangeLimits(maxRemovedPercent: 40, removedRowsFree: 1, maxPriceChangePercent: nil, maxRows: 12)
                    : none,
                tryCount: style.tryCount),
            Job(
                id: labels, title: "", inputs: ["label", "store"],
                subjobs: [
                    Subjob(
                        table: label, query: "SELECT label_id, text FROM label", stores: .everyStore,
                        policy: style.labelsAreWhole ? .full : .delta)
                ], follows: style.labelsFollow ? [style.isRetail ? assortments : items] : [], limits: none,
                tryCount: style.tryCount),
        ]
        guard style.isRetail else { return own }
        var retail = RetailJobs.assortments
        retail.limits = none
        retail.tryCount = style.tryCount
        return [retail, own[1]]
    }

    static let tables: [JobID: [(name: String, columns: String)]] = [
        items: [("thing", "item_id, price, note"), ("mark", "price, item_id")],
        labels: [("label", "label_id, text")],
        assortments: [
            ("category", "category_id, parent_category_id, name"),
            ("product", "product_id, category_id, name, sales_unit"),
            ("assorted_product", "product_id, valid_from, valid_to"),
        ],
    ]

    // MARK: truth

    func content(_ job: JobID, _ store: StoreID) -> StoreContent {
        if job == LittleChain.assortments { return retail?.content(store) ?? [:] }
        guard job == LittleChain.items else {
            guard stores.contains(store.rawValue) else { return ["label": []] }
            return ["label": labels.map { RowText.of([$0.key, $0.value]) }.sorted()]
        }
        let mine = items.filter { seen.contains([store.rawValue, $0.value.scope]) }
        return [
            "thing": mine.map { RowText.of([$0.key, String($0.value.price), $0.value.note]) }.sorted(),
            "mark": mine.filter { $0.value.note != nil }.map { RowText.of([String($0.value.price), $0.key]) }.sorted(),
        ]
    }

    // MARK: edits

    /// One transaction of somebody at headquarters: statements, and the same done to the model.
    mutating func edit(_ chance: inout Chance) -> [(sql: String, arguments: StatementArguments)] {
        var statements: [(String, StatementArguments)] = []
        for _ in 0..<chance.number(1...4) {
            switch chance.number(0...9) {
            case 0..<7 where retail != nil: statements += retail?.edit(&chance) ?? []
            case 0..<6: statements += editItem(&chance)
            case 6: statements += moveItems(&chance)
            default: statements += editLabel(&chance)
            }
        }
        return statements
    }

    private mutating func editItem(_ chance: inout Chance) -> [(String, StatementArguments)] {
        let id = "i\(chance.number(1...14))"
        if items[id] != nil, chance.happens(0.3) {
            items[id] = nil
            return [("DELETE FROM item WHERE item_id = ?", [id])]
        }
        let scope = LittleChain.scopes[chance.number(0...2)]
        let item = Item(
            scope: scope, price: chance.number(1...9), note: chance.happens(0.5) ? "n\(chance.number(1...5))" : nil)
        items[id] = item
        return [
            (
                """
                INSERT INTO item (item_id, scope, price, note) VALUES (?, ?, ?, ?)
                ON CONFLICT (item_id) DO UPDATE SET scope = excluded.scope, price = excluded.price, note = excluded.note
                """, [id, item.scope, item.price, item.note]
            )
        ]
    }

    private mutating func moveItems(_ chance: inout Chance) -> [(String, StatementArguments)] {
        let (from, to) = (LittleChain.scopes[chance.number(0...2)], LittleChain.scopes[chance.number(0...2)])
        for (id, item) in items where item.scope == from { items[id]?.scope = to }
        return [("UPDATE item SET scope = ? WHERE scope = ?", [to, from])]
    }

    private mutating func editLabel(_ chance: inout Chance) -> [(String, StatementArguments)] {
        let id = "l\(chance.number(1...6))"
        if labels[id] != nil, chance.happens(0.3) {
            labels[id] = nil
            return [("DELETE FROM label WHERE label_id = ?", [id])]
        }
        let text = "t\(chance.number(1...99))"
        labels[id] = text
        return [
            (
                "INSERT INTO label VALUES (?, ?) ON CONFLICT (label_id) DO UPDATE SET text = excluded.text",
                [id, text]
            )
        ]
    }

    /// What is there before anybody edits.
    mutating func begin(_ chance: inout Chance) -> [(sql: String, arguments: StatementArguments)] {
        retail?.begin(&chance) ?? []
    }

    /// A store opens, and sees two scopes.
    mutating func add(_ store: StoreID, _ chance: inout Chance) -> [(sql: String, arguments: StatementArguments)] {
        stores.insert(store.rawValue)
        if let added = retail?.add(store, &chance) { return added }
        let row: (sql: String, arguments: StatementArguments) = ("INSERT INTO store VALUES (?)", [store.rawValue])
        return [row] + move(store, &chance) + move(store, &chance)
    }

    /// A store begins or ceases to see a scope.
    mutating func move(_ store: StoreID, _ chance: inout Chance) -> [(sql: String, arguments: StatementArguments)] {
        if let moved = retail?.move(store, &chance) { return moved }
        let pair = [store.rawValue, LittleChain.scopes[chance.number(0...2)]]
        if seen.remove(pair) != nil {
            return [("DELETE FROM seen WHERE store_id = ? AND scope = ?", StatementArguments(pair))]
        }
        seen.insert(pair)
        return [("INSERT INTO seen VALUES (?, ?)", StatementArguments(pair))]
    }
}
