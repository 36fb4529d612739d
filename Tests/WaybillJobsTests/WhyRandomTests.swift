import GRDB
import Testing
import WaybillJobs
import WaybillModel
import WaybillPlan

/// Chains edited at random: every row that is missing has a reason, and no row that is there has one against it.
@Suite struct WhyRandomTests {
    /// Keys to ask for, by table; of the assortments each product stands for all its days.
    private static let questions: [(table: String, keys: [[String]])] = {
        let products = (0..<8).map { "p\($0)" }
        func with(_ letter: String) -> [[String]] { products.flatMap { p in (0..<3).map { [p, "\(letter)\($0)"] } } }
        return [
            ("product", products.map { [$0] }), ("assorted_product", products.map { [$0] }),
            ("category", (0..<8).map { ["c\($0)"] }), ("delivery_mode", (0..<6).map { ["m\($0)"] }),
            ("product_delivery_mode", with("m")), ("price_base", products.map { [$0] }),
            ("trade_agreement", with("l")), ("price_adjustment", with("x")),
        ]
    }()

    /// Reasons of the 'absent' queries that explain further, and decide nothing.
    private static let further = ["includes it, in force", "excluded by line", "the product stands in"]

    @Test(arguments: 21...22)
    func theReasonsAgreeWithTheRows(seed: UInt64) throws {
        var random = SeededRandom(seed)
        let chain = try RandomChain(&random)
        for number in 0..<3 {
            try chain.sql(
                """
                INSERT OR IGNORE INTO delivery_mode_node VALUES ('m\(number)', 'n0');
                INSERT OR IGNORE INTO delivery_mode_product VALUES ('m\(number)', 8, 'include', 'c0', NULL);
                INSERT OR IGNORE INTO price_adjustment
                VALUES ('x\(number)', 'enabled', 'g0', 'c0', NULL, NULL, NULL, NULL, 'percent', 5);
                """)
        }
        for _ in 0..<5 { _ = try chain.edit(&random) }
        var counts = (there: 0, missing: 0)
        for job in RetailJobs.all {
            _ = try chain.rows.derive(job)
            for subjob in job.subjobs {
                guard let keys = WhyRandomTests.questions.first(where: { $0.table == subjob.table.name })?.keys else {
                    continue
                }
                for store in ["s0", "s1"].compactMap(StoreID.init) {
                    for key in keys {
                        let isThere = try check(chain, job, subjob, store, key)
                        if isThere { counts.there += 1 } else { counts.missing += 1 }
                    }
                }
            }
        }
        #expect(counts.there > 20 && counts.missing > 50, "\(counts)")
    }

    private func check(
        _ chain: RandomChain, _ job: Job, _ subjob: Subjob, _ store: StoreID, _ key: [String]
    ) throws -> Bool {
        let asked = try RowKey(key, of: subjob.table)
        let found = try chain.rows.why(
            RowQuestion(job: job, subjob: subjob, store: store, key: asked, base: nil, today: "2026-06-15"))
        let place = "\(subjob.table.name) \(key) at \(store)"
        #expect(!found.isStale)
        guard let row = found.rows.first else {
            let reason = found.reasons.first?.reason ?? "no reason"
            #expect(reason != "no reason", "\(place) is missing")
            #expect(!reason.contains(WhyRandomTests.further[0]), "\(place) is missing: \(reason)")
            return false
        }
        #expect(!row.reasons.isEmpty, "\(place) is there")
        if subjob.table.name != "category" {
            let against = try absentReasons(chain, subjob, store, asked).filter { reason in
                !WhyRandomTests.further.contains { reason.contains($0) }
            }
            #expect(against.isEmpty, "\(place) is there")
        }
        return true
    }

    private func absentReasons(
        _ chain: RandomChain, _ subjob: Subjob, _ store: StoreID, _ key: RowKey
    ) throws -> [String] {
        var arguments: [String: DatabaseValue] = [
            "store": store.rawValue.databaseValue, "today": "2026-06-15".databaseValue,
        ]
        for column in subjob.table.key { arguments[column] = key.values[column] ?? .null }
        let sql = try #require(subjob.explanation.absent?.text)
        return try chain.hq.read { db in
            try Row.fetchAll(db, sql: sql, arguments: StatementArguments(arguments)).map { $0["reason"] }
        }
    }
}
