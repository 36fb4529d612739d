import Foundation
import GRDB
import Testing

/// A set of HQ tables and what other programs made of them by the same rules.
struct GoldenSet {
    let name: String
    let folder: String
    var input: String { folder + "/input" }
    var isPresent: Bool { FileManager.default.fileExists(atPath: input) }

    func expected(_ file: String) throws -> [[String?]] { try CSV(path: "\(folder)/expected/\(file).csv").records }

    static let packageRoot = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    /// Travels with the code.
    static let own = GoldenSet(name: "tpcds-sf0.01", folder: packageRoot + "/Tests/Fixtures/tpcds-sf0.01")
    /// Lies beside the checkout, or not.
    static let documents = GoldenSet(name: "doc-examples", folder: packageRoot + "/../shared/data/golden/doc-examples")
    /// 53 stores in 21 countries, names with accents.
    static let northwind = GoldenSet(name: "northwind", folder: packageRoot + "/../shared/data/golden/northwind")
}

extension SystemTests {
    /// From CSV files at headquarters to the answer at the till, through real processes.
    @Suite struct GoldenSystemTests {
        @Test func everyStoreOfTheChainHasItsRowsAfterOnePublish() async throws { try await deliver(.own) }

        @Test(.enabled(if: GoldenSet.documents.isPresent, "skipped: doc-examples does not lie beside the checkout"))
        func theDocumentsExamplesComeOutToo() async throws { try await deliver(.documents) }

        @Test(.enabled(if: GoldenSet.northwind.isPresent, "skipped: northwind does not lie beside the checkout"))
        func fiftyThreeStoresHaveTheirRowsAfterOnePublish() async throws { try await deliver(.northwind) }

        private func deliver(_ set: GoldenSet) async throws {
            try await World.with { world in
                let hub = try await TestHub(world)
                try await hub.start()
                try await hub.done("import", set.input)
                let stores = try hub.hqRows("SELECT store_id FROM store ORDER BY store_id").compactMap { $0[0] }
                let agents = try await TestAgent.startAll(hub, stores)
                let sessions = try await hub.publish()
                #expect(sessions.map(\.job) == ["assortments", "delivery-modes", "prices"])
                for session in sessions {
                    #expect(session.status == "Applied" && session.kind == "full")
                    #expect(session.counts == ["Applied": stores.count])
                }
                try compareAssortments(set, agents)
                try compareDeliveryModes(set, agents)
                try comparePrices(set, agents)
                #expect(try await hub.publish().map(\.status) == ["NoData", "NoData", "NoData"])
            }
        }

        private func compareAssortments(_ set: GoldenSet, _ agents: [TestAgent]) throws {
            let expected = Dictionary(grouping: try set.expected("a_assortment_intervals"), by: { $0[0] })
            for agent in agents {
                let wanted = (expected[agent.store] ?? []).map { Array($0.dropFirst()) }
                let intervals = try agent.rows("SELECT product_id, valid_from, valid_to FROM assorted_product")
                #expect(sameRows(intervals, wanted), "\(set.name), store \(agent.store)")
                let products = try agent.rows("SELECT product_id FROM product")
                #expect(Set(products) == Set(wanted.map { [$0[0]] }), "\(set.name), store \(agent.store)")
            }
        }

        private func compareDeliveryModes(_ set: GoldenSet, _ agents: [TestAgent]) throws {
            let modes = Dictionary(grouping: try set.expected("b_mode_channel"), by: { $0[1] })
            let products = Dictionary(grouping: try set.expected("b_store_product_mode"), by: { $0[0] })
            let addresses = Dictionary(grouping: try set.expected("b_mode_address"), by: { $0[0] })
            for agent in agents {
                let wantedModes = (modes[agent.store] ?? []).map { [$0[0]] }
                let wantedPairs = (products[agent.store] ?? []).map { Array($0.dropFirst()) }
                let wantedPlaces = wantedModes.flatMap { addresses[$0[0]] ?? [] }
                let names = try agent.rows("SELECT mode_id FROM delivery_mode")
                let pairs = try agent.rows("SELECT product_id, mode_id FROM product_delivery_mode")
                let places = try agent.rows("SELECT mode_id, country, nullif(state, '') FROM delivery_mode_address")
                #expect(sameRows(names, wantedModes), "\(set.name), store \(agent.store)")
                #expect(sameRows(pairs, wantedPairs), "\(set.name), store \(agent.store)")
                #expect(sameRows(places, wantedPlaces), "\(set.name), store \(agent.store)")
            }
        }

        /// The documented statement, read from the file that integrators read.
        private func comparePrices(_ set: GoldenSet, _ agents: [TestAgent]) throws {
            let statement = try String(
                contentsOfFile: GoldenSet.packageRoot + "/protocol/till-price.sql", encoding: .utf8)
            let expected = Dictionary(grouping: try set.expected("c_price_query"), by: { $0[0] })
            let questions = Dictionary(
                grouping: try CSV(path: set.input + "/price_query.csv").records, by: { $0[1] ?? "" })
            var asked = 0
            for agent in agents {
                let queue = try DatabaseQueue(path: agent.home + "/store.db")
                defer { try? queue.close() }
                try queue.read { db in
                    let prepared = try db.makeStatement(sql: statement)
                    for fields in questions[agent.store] ?? [] {
                        let arguments: StatementArguments = [
                            "product_id": fields[2], "unit": fields[3], "currency": fields[4], "quantity": fields[5],
                            "date": fields[6], "customer_id": fields[7],
                        ]
                        let answer = try Row.fetchOne(prepared, arguments: arguments).map { row in
                            Array(row.databaseValues.map { String.fromDatabaseValue($0) })
                        }
                        let wanted = expected[fields[0]]?.first.map { Array($0.dropFirst()) }
                        #expect(answer == wanted, "\(set.name), query \(fields[0] ?? "") at \(agent.store)")
                        asked += 1
                    }
                }
            }
            #expect(asked > 0 && asked == expected.count)
        }
    }
}

/// The same rows, each as often, in any order.
func sameRows(_ a: [[String?]], _ b: [[String?]]) -> Bool {
    a.count == b.count && Set(a) == Set(b)
}
