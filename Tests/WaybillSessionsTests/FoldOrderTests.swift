import Testing
import WaybillModel
import WaybillSessions

/// Reports come late, twice and in any order: what they add up to must not depend on it.
@Suite struct FoldOrderTests {
    /// What a store can say about one run, several attempts of it, and what only a copied database can add.
    private static func kinds() throws -> [StoreReport] {
        [
            try report(.requested, attempt: 1, at: 10),
            try report(.downloaded, attempt: 1, at: 20),
            try report(.downloadFailed, attempt: 1, at: 21, message: "no line", isTransient: true),
            try report(.applyFailed, attempt: 1, at: 30, message: "no space"),
            try report(.requested, attempt: 2, at: 40),
            try report(.downloadFailed, attempt: 2, at: 50, message: "digest"),
            try report(.downloaded, attempt: 3, at: 60),
            try report(.applyFailed, attempt: 3, at: 70, message: "digest"),
            try report(.applyFailed, attempt: 4, at: 75, message: "no space", isTransient: true),
            try report(.applied, attempt: 5, at: 80, rows: 12, lock: 3),
            try report(.canceled, attempt: 2, at: 55),
            // A restored or copied database: the same standing with other words.
            try report(.applyFailed, attempt: 3, at: 71, message: "digest", isTransient: true),
            try report(.applied, attempt: 2, at: 45, message: "by the copy", rows: 11, lock: 9),
            try report(.canceled, attempt: 1, at: 25, message: "by the copy"),
        ]
    }

    /// What a delivery may show after another: final outcomes last, and before them attempt by attempt.
    private func rank(_ delivery: Delivery) -> [Int] {
        let attempt = delivery.told.standing?.attempt ?? 0
        return switch delivery.status {
        case .available: [0, 0, 0]
        case .requested: [0, attempt, 1]
        case .downloaded: [0, attempt, 2]
        case .downloadFailed: [0, attempt, 3]
        case .applyFailed: [0, attempt, 4]
        // Of its attempt; the third failure may be heard of late.
        case .suspended: [0, attempt, delivery.told.standing?.outcome == .downloadFailed ? 3 : 4]
        case .canceled: [1, 0, 0]
        case .applied: [2, 0, 0]
        case .noData, .superseded: [-1, 0, 0]
        }
    }

    /// Goes through all subsets, smallest first. If each report of a set, taken as the last one, leads to the same
    /// delivery, then so does every order of the whole set: the orders of what came before were compared already.
    @Test(arguments: [false, true])
    func everyOrderOfEverySetOfReportsAddsUpToTheSame(isGranted: Bool) throws {
        let kinds = try FoldOrderTests.kinds()
        var states = [try delivery(isGranted: isGranted)]
        for set in 1..<(1 << kinds.count) {
            var state: Delivery?
            for last in kinds.indices where set & (1 << last) != 0 {
                let before = states[set & ~(1 << last)]
                var after = before
                after.fold(kinds[last])
                if let state, state != after {
                    let names = kinds.indices.filter { set & (1 << $0) != 0 }.map {
                        "\(kinds[$0].outcome) \(kinds[$0].attempt)"
                    }
                    Issue.record("\(names) with \(names.count) reports: \(kinds[last].outcome) as the last one differs")
                    return
                }
                guard !rank(after).lexicographicallyPrecedes(rank(before)) else {
                    Issue.record("\(kinds[last].outcome) moves \(before.status) back to \(after.status)")
                    return
                }
                state = after
            }
            let folded = try state.orThrow()
            for known in kinds.indices where set & (1 << known) != 0 {
                var again = folded
                again.fold(kinds[known])
                guard again == folded else {
                    Issue.record(
                        "a second \(kinds[known].outcome) of attempt \(kinds[known].attempt) changes something")
                    return
                }
            }
            states.append(folded)
        }
    }

    /// The same for one story, without the argument above: 720 orders, each with every report repeated somewhere.
    @Test func allOrdersOfOneStoryWithRepeatsShowItsEnd() throws {
        let story = [
            try report(.requested, at: 1), try report(.downloaded, at: 2),
            try report(.applyFailed, at: 3, message: "no space", isTransient: true),
            try report(.requested, attempt: 2, at: 4), try report(.downloaded, attempt: 2, at: 5),
            try report(.applied, attempt: 2, at: 6, rows: 9, lock: 4),
        ]
        var orders = 0
        try permute(story, story.count) { order in
            var delivery = try delivery(isGranted: true)
            for (index, report) in order.enumerated() {
                delivery.fold(report)
                delivery.fold(order[index / 2])
            }
            orders += 1
            #expect(delivery.status == .applied)
            #expect(delivery.told.requestedAt == at(1) && delivery.told.downloadedAt == at(2))
            #expect(delivery.told.appliedAt == at(6) && delivery.told.attempts == 2)
            #expect(delivery.told.rowsChanged == 9 && delivery.told.longestLockMilliseconds == 4)
            #expect(delivery.message == "")
        }
        #expect(orders == 720)
    }

    private func permute(_ reports: [StoreReport], _ count: Int, _ body: ([StoreReport]) throws -> Void) throws {
        guard count > 1 else { return try body(reports) }
        var reports = reports
        for index in 0..<count {
            try permute(reports, count - 1, body)
            reports.swapAt(count % 2 == 0 ? index : 0, count - 1)
        }
    }

    @Test(arguments: StoreOutcome.allCases)
    func reportsOfOtherRunsAreIgnored(outcome: StoreOutcome) throws {
        var delivery = try delivery(isGranted: true)
        delivery.run = 2
        let before = delivery
        delivery.fold(try report(outcome, run: 1))
        delivery.fold(try report(outcome, run: 3))
        #expect(delivery == before)
        delivery.fold(try report(outcome, run: 2))
        #expect(delivery != before)
    }

    @Test func aDeliveryWithoutDataThatWasNeverGrantedHearsNothing() throws {
        var delivery = try delivery()
        delivery.isNoData = true
        delivery.fold(try report(.applied))
        #expect(delivery.status == .noData)
        #expect(delivery.told.appliedAt == nil)
    }

    @Test func appliedOutweighsCanceled() throws {
        var delivery = try delivery(isGranted: true)
        delivery.fold(try report(.canceled, attempt: 9, at: 5))
        #expect(delivery.status == .canceled)
        delivery.fold(try report(.applied, at: 3))
        #expect(delivery.status == .applied)
    }

    @Test func threeLastingFailuresSuspend() throws {
        var delivery = try delivery(isGranted: true)
        for attempt in 1...3 {
            #expect(delivery.status != .suspended && delivery.isOnOffer && delivery.nextAttempt == attempt)
            delivery.fold(try report(.applyFailed, attempt: attempt, message: "the digest is wrong"))
        }
        #expect(delivery.status == .suspended)
        #expect(!delivery.isOnOffer && delivery.isOpen)
        #expect(
            delivery.message
                == "the digest is wrong (when the cause is gone: waybill session retry 7 --store S1)")
    }

    @Test func failuresThatWaitingCanHealNeverSuspend() throws {
        var delivery = try delivery(isGranted: true)
        for attempt in 1...50 {
            delivery.fold(try report(.downloadFailed, attempt: attempt, message: "no space", isTransient: true))
        }
        #expect(delivery.status == .downloadFailed && delivery.isOnOffer && delivery.nextAttempt == 51)
        for attempt in 51...52 {
            delivery.fold(try report(.applyFailed, attempt: attempt, message: "digest"))
            #expect(delivery.status == .applyFailed)
        }
        delivery.fold(try report(.applyFailed, attempt: 53, message: "digest"))
        #expect(delivery.status == .suspended)
    }

    @Test func oneFailureHeardThreeTimesIsOne() throws {
        var delivery = try delivery(isGranted: true)
        for _ in 1...3 { delivery.fold(try report(.downloadFailed, attempt: 1, message: "digest")) }
        #expect(delivery.status == .downloadFailed)
    }
}
