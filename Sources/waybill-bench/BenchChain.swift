import Foundation
import GRDB
import WaybillCapture
import WaybillDatabase
import WaybillHub
import WaybillJobs
import WaybillModel
import WaybillSessions
import WaybillSocket

/// How large a chain is made for measuring.
struct ChainSize {
    var stores: Int
    /// Groups that the stores are dealt out to in turn.
    var audiences: Int
    /// Groups that have prices, whether or not a store is in them.
    var groups: Int
    var rowsPerGroup: Int
}

/// A hub's home with a chain in it: a table of prices at HQ, a job that distributes it, and stores that have enrolled.
struct BenchChain {
    static let job = JobID("bench-prices").unsafelyUnwrapped
    /// Hellos are told to come so often by hubs that are measured.
    static let helloSeconds = 30

    let home: HubHome
    let size: ChainSize
    let stores: [StoreID]
    /// Of the stores, when real ones were asked for.
    let keys: [CurveKeyPair]

    /// - Parameter hasKeys: stores that connect need real keys; others get some bytes.
    static func make(
        at path: String, _ size: ChainSize, hasKeys: Bool = false, listen: String = "tcp://127.0.0.1:7700"
    ) throws -> BenchChain {
        let home = try HubHome.create(at: path, listen: listen)
        try Data(jobText.utf8).write(to: URL(fileURLWithPath: home.jobs + "/\(job).yaml"))
        let settings = """
            listen: \(listen)
            hello_seconds: \(helloSeconds)
            automatic_runs: false
            automatic_verification: false
            log_level: warning

            """
        try Data(settings.utf8).write(to: URL(fileURLWithPath: home.configuration))
        let stores = try (0..<size.stores).map { try storeID(String(format: "S%05d", $0)) }
        let keys = hasKeys ? try stores.map { _ in try CurveKeyPair.generate() } : []
        try fillHeadquarters(home, stores, size)
        try enrol(stores, keys, home)
        return BenchChain(home: home, size: size, stores: stores, keys: keys)
    }

    private static func storeID(_ text: String) throws -> StoreID {
        guard let id = StoreID(text) else { throw BenchFault("'\(text)' cannot name a store") }
        return id
    }

    static func jobs() throws -> [Job] { [try JobFile.read(jobText, file: "\(job).yaml")] }

    // MARK: headquarters

    private static let jobText = """
        job: bench-prices
        title: Prices of a store's group
        triggers: {initial: false}
        limits: {max_removed_percent: none, max_price_change_percent: none, max_rows: none}
        verify: {every: never}
        slices:
          item:
            touched:
              price_row: SELECT item_id FROM changed_price_row
        subjobs:
          - table: till_price
            key: [item_id, variant, currency, unit, from_date]
            columns:
              item_id: integer
              variant: text
              currency: text
              unit: text
              from_date: text
              to_date: text null
              amount_cents: integer
              updated_at: text
            slice: {item: item_id}
            rows: |
              SELECT store_group, item_id, variant, currency, unit, from_date, to_date, amount_cents, updated_at
              FROM price_row
            stores: {column: store_group, members: "SELECT store_id, store_group FROM store_membership"}

        """

    /// Drawn anew for each row: what repeats itself would be compressed to nothing.
    private static let amount = "100 + abs(random() % 100000)"
    private static let moment = "strftime('%Y-%m-%dT%H:%M:%SZ', 1760000000 + abs(random() % 30000000), 'unixepoch')"

    private static func fillHeadquarters(_ home: HubHome, _ stores: [StoreID], _ size: ChainSize) throws {
        let hq = try OpenDatabase.queue(at: home.hqDatabase, label: "hq")
        defer { try? hq.close() }
        try hq.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE price_row (
                        store_group INTEGER NOT NULL, item_id INTEGER NOT NULL, variant TEXT NOT NULL,
                        currency TEXT NOT NULL, unit TEXT NOT NULL, from_date TEXT NOT NULL, to_date TEXT,
                        amount_cents INTEGER NOT NULL, updated_at TEXT NOT NULL,
                        PRIMARY KEY (store_group, item_id, variant, currency, unit, from_date)
                    ) WITHOUT ROWID;
                    CREATE TABLE store_membership (
                        store_id TEXT NOT NULL, store_group INTEGER NOT NULL, PRIMARY KEY (store_id, store_group)
                    ) WITHOUT ROWID;
                    """)
            try HQSchema.capture(
                "price_row", key: ["store_group", "item_id", "variant", "currency", "unit", "from_date"], isNew: true,
                in: db)
            try HQSchema.capture("store_membership", key: ["store_id", "store_group"], isNew: true, in: db)
            try db.execute(
                sql: """
                    WITH RECURSIVE
                        store_group (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM store_group WHERE n + 1 < :groups),
                        item (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM item WHERE n + 1 < :rows)
                    INSERT INTO price_row
                    SELECT store_group.n, item.n, 'V' || (item.n % 7), 'EUR', 'pcs', '2026-01-01', NULL, \(amount),
                        \(moment)
                    FROM store_group JOIN item
                    """,
                arguments: ["groups": size.groups, "rows": size.rowsPerGroup])
            try fillStores(stores, size, in: db)
        }
    }

    private static func fillStores(_ stores: [StoreID], _ size: ChainSize, in db: Database) throws {
        try db.execute(
            sql: """
                INSERT INTO org_node (node_id) VALUES ('ALL');
                INSERT INTO legal_entity (legal_entity_id, currency) VALUES ('ONE', 'EUR');
                """)
        for (number, store) in stores.enumerated() {
            try db.execute(
                sql: """
                    INSERT INTO store (store_id, node_id, channel, legal_entity_id, currency)
                    VALUES (?, 'ALL', 'retail', 'ONE', 'EUR')
                    """, arguments: [store.rawValue])
            try db.execute(
                sql: "INSERT INTO store_membership (store_id, store_group) VALUES (?, ?)",
                arguments: [store.rawValue, number % size.audiences])
        }
    }

    /// Gives so many prices of each of the first groups another amount, as one statement of an ERP would.
    func change(rows: Int, ofGroups groups: Int) throws {
        let hq = try OpenDatabase.queue(at: home.hqDatabase, label: "hq")
        defer { try? hq.close() }
        try hq.write { db in
            try db.execute(
                sql: """
                    UPDATE price_row SET amount_cents = \(Self.amount), updated_at = \(Self.moment)
                    WHERE store_group < ? AND item_id < ?
                    """, arguments: [groups, rows])
        }
    }

    // MARK: stores

    /// As if each had come with its code.
    private static func enrol(_ stores: [StoreID], _ keys: [CurveKeyPair], _ home: HubHome) throws {
        let operations = try Operations(path: home.hubDatabase)
        defer { try? operations.pool.close() }
        let now = Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))
        try operations.write { db in
            for (number, store) in stores.enumerated() {
                // Not secrets of anybody.
                let secret = Array(repeating: 0, count: 24) + withUnsafeBytes(of: UInt64(number).bigEndian, Array.init)
                let key = keys.isEmpty ? secret : keys[number].publicKey.bytes
                try Enrolment.add(store, secretHash: secret, at: now, expiresAt: now + 86_400_000, in: db)
                try Enrolment.use(
                    store: store, secretHash: secret, publicKey: key, machine: "", at: now, in: db)
            }
        }
    }
}
