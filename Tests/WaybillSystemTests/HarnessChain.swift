import Foundation
import Testing

/// A chain that runs: headquarters with the sample's tables, and some of its stores, each with everything.
struct Chain {
    let hub: TestHub
    var agents: [TestAgent]

    /// Stores of the sample. `web` are the four of market 4, three of which see the same prices.
    static let web = ["WAAAAAAAABAAAAAAA", "WAAAAAAAAEBAAAAAA", "WAAAAAAAAHAAAAAAA", "WAAAAAAAAMBAAAAAA"]
    static let call = "CAAAAAAAABAAAAAAA"
    static let shop = "SAAAAAAAABAAAAAAA"
    static let otherShop = "SAAAAAAAAHAAAAAAA"

    /// - Parameters:
    ///   - change: run at headquarters before anything is published, so that later changes stay within the limits.
    ///   - publish: whether the stores have everything when `body` begins.
    static func with(
        _ stores: [String], automatic: Bool = false, settings: String = "", beginning change: String? = nil,
        publish: Bool = true,
        _ body: (Chain) async throws -> Void
    ) async throws {
        try await World.with { world in
            let hub = try await TestHub(world, automatic: automatic, settings: settings)
            try await hub.start()
            try await hub.done("import", GoldenSet.own.input)
            if let change { try hub.sql(change) }
            let chain = Chain(hub: hub, agents: try await TestAgent.startAll(hub, stores))
            if publish { _ = try await hub.publish() }
            try await body(chain)
        }
    }

    subscript(store: String) -> TestAgent {
        guard let agent = agents.first(where: { $0.store == store }) else {
            preconditionFailure("no agent of \(store)")
        }
        return agent
    }

    func contents() throws -> [String: Content] {
        try Dictionary(uniqueKeysWithValues: agents.map { ($0.store, Content(try $0.content())) })
    }

    /// Whether every store has what headquarters would send it anew: all rows of the jobs once more change nothing.
    func expectNothingIsMissing(_ jobs: String...) async throws {
        let before = try contents()
        #expect(try await hub.publish(["--full"] + jobs).allSatisfy { $0.status == "Applied" && $0.kind == "full" })
        let after = try contents()
        for (store, content) in before { #expect(content == after[store], "store \(store)") }
    }

    /// Publishes a change and expects exactly the difference to travel: one delta package for each audience concerned,
    /// nothing for the others, and nothing at all at a second publish.
    /// - Returns: the stores that have got something.
    @discardableResult
    func expectSmallDelta(_ job: String, _ change: String, packages: Int? = nil) async throws -> Set<String> {
        let before = try contents()
        try hub.sql(change)
        let session = try #require(try await hub.publish(job).first)
        #expect(session.status == "Applied" && session.kind == "delta")
        let after = try contents()
        var concerned: Set<String> = []
        for agent in agents {
            let delivery = try session.delivery(agent.store)
            let difference = try #require(before[agent.store]).difference(to: try #require(after[agent.store]))
            #expect(delivery.rows == difference, "rows that travelled to \(agent.store), and rows that differ there")
            #expect(delivery.status == (difference == 0 ? "NoData" : "Applied"))
            if difference > 0 { concerned.insert(agent.store) }
        }
        let made = try hub.operationsRows(
            "SELECT package.kind FROM package JOIN session ON session.number = package.session WHERE session.id = '\(session.id)'"
        )
        #expect(made.allSatisfy { $0 == ["delta"] })
        if let packages { #expect(made.count == packages) }
        #expect(try await hub.publish(job).map(\.status) == ["NoData"])
        try await expectNothingIsMissing(job)
        return concerned
    }
}

/// What a store has: rows by table, and how many leading columns are the key.
struct Content: Equatable {
    /// The contract with the tills says which columns are keys; they stand first.
    static let keyColumns = [
        "category": 1, "product": 1, "assorted_product": 2, "delivery_mode": 1, "product_delivery_mode": 2,
        "delivery_mode_address": 3, "price_base": 1, "exchange_rate": 3, "trade_agreement": 2, "price_adjustment": 2,
    ]

    let tables: [String: Set<[String?]>]

    init(_ tables: [String: Set<[String?]>]) { self.tables = tables }

    var count: Int { tables.values.reduce(0) { $0 + $1.count } }

    /// Rows to write and keys to remove on the way from here to `other`.
    func difference(to other: Content) -> Int {
        Content.keyColumns.reduce(0) { sum, table in
            let before = tables[table.key] ?? []
            let after = other.tables[table.key] ?? []
            let keys = Set(after.map { Array($0.prefix(table.value)) })
            let removed = before.filter { !keys.contains(Array($0.prefix(table.value))) }
            return sum + after.subtracting(before).count + removed.count
        }
    }
}
