import Foundation
import Testing

/// The two halves of the protocol against each other. WAYBILL_SEEDS=FROM-TO runs those seeds instead of the usual ones,
/// WAYBILL_SEED=N tells the story of one.
@Suite struct ConversationTests {
    @Test func allComesRightAfterEverythingWentWrong() throws {
        for seed in ConversationTests.seeds {
            if let fault = try Conversation(seed: seed).verdict() { Issue.record("seed \(seed): \(fault)") }
        }
    }

    /// Seeds beyond the usual ones that something came to light with. A change of what is random makes other stories of
    /// them; what they showed is also tested alone, in the desk's and the agent's tests.
    @Test(arguments: [705, 1136, 1206, 1955, 2418, 2757, 4047, 5264, 14216, 14350] as [UInt64])
    func whatOnceWentWrongComesRight(seed: UInt64) throws {
        #expect(try Conversation(seed: seed).verdict() == nil)
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["WAYBILL_SEED"] != nil))
    func theStoryOfOneSeed() throws {
        let seed = try #require(ProcessInfo.processInfo.environment["WAYBILL_SEED"].flatMap(UInt64.init))
        let conversation = try Conversation(seed: seed, isTold: true)
        let fault = conversation.verdict()
        print(conversation.story.joined(separator: "\n"))
        #expect(fault == nil)
    }

    private static var seeds: ClosedRange<UInt64> {
        let bounds = ProcessInfo.processInfo.environment["WAYBILL_SEEDS"]?.split(separator: "-").compactMap {
            UInt64($0)
        }
        guard let bounds, bounds.count == 2, bounds[0] <= bounds[1] else { return 1...300 }
        return bounds[0]...bounds[1]
    }
}
