import Foundation
import Testing

extension SystemTests {
    /// `waybill why`, through real processes: a product from its way in to its way out.
    @Suite struct WhyTests {
        private struct Reply: Decodable {
            struct Row: Decodable {
                struct Part: Decodable {
                    let session: String
                    let status: String
                    let appliedAt: String?
                }
                let state: String
                let answer: String
                let broughtBy: Part?
                let pending: Part?
                let removedBy: Part?
                let reasons: [Reason]
            }
            struct Reason: Decodable {
                let reason: String
                let source: String?
                let changedBeforeSession: String?
            }
            let answer: String
            let changedSince: Bool
            let rows: [Row]
            let reasons: [Reason]
        }

        @Test func aProductIsExplainedWhereverItStandsOnItsWay() async throws {
            try await Chain.with([Chain.shop]) { chain in
                let first = try #require(try await chain.hub.sessions().first { $0.job == "assortments" })
                let product = try #require(try chain[Chain.shop].rows("SELECT min(product_id) FROM product")[0][0])
                func why() async throws -> Reply {
                    try await chain.hub.done(
                        "why", "--store", Chain.shop, "--table", "product", "--key", product, "--json"
                    ).decoded(Reply.self)
                }
                let there = try #require(try await why().rows.first)
                #expect(there.state == "present")
                #expect(there.broughtBy?.session == first.id && there.broughtBy?.appliedAt != nil)
                #expect(there.reasons.allSatisfy { $0.source != nil && $0.changedBeforeSession == first.id })

                try chain.hub.sql("UPDATE product_release SET stopped = 1 WHERE product_id = '\(product)'")
                let leaving = try await why()
                #expect(leaving.changedSince && leaving.rows.map(\.state) == ["leaving"])
                #expect(leaving.answer.contains("comes with the next run of job assortments"))

                let second = try #require(try await chain.hub.publish("assortments").first)
                let gone = try #require(try await why().rows.first)
                #expect(gone.state == "absent" && gone.removedBy?.session == second.id)
                #expect(gone.reasons.first?.reason.contains("is stopped in legal entity") == true)
                #expect(gone.reasons.first?.changedBeforeSession == second.id)

                try await chain[Chain.shop].killAtOnce()
                try chain.hub.sql("UPDATE product_release SET stopped = 0 WHERE product_id = '\(product)'")
                try await chain.hub.done("publish", "assortments")
                let coming = try #require(try await why().rows.first)
                #expect(coming.state == "on_its_way" && coming.pending?.status == "Available")
            }
        }

        @Test func aProductThatNoStoreHasIsAnAnswerAndAnUnknownStoreIsNot() async throws {
            try await Chain.with([Chain.shop]) { chain in
                let answer = try await chain.hub.done(
                    "why", "--store", Chain.shop, "--table", "product", "--key", "NOPE")
                #expect(
                    answer.out.hasPrefix(
                        "store \(Chain.shop) has no row of table product with product_id NOPE: HQ has no product NOPE"))
                let unknown = try await chain.hub.waybill(
                    "why", "--store", "NOPE", "--table", "product", "--key", "NOPE")
                #expect(unknown.ending == .status(1) && unknown.out.isEmpty)
                #expect(unknown.err.contains("there is no store NOPE"))
            }
        }
    }
}
