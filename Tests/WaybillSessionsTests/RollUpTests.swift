import Testing
import WaybillModel
import WaybillSessions

@Suite struct RollUpTests {
    @Test(arguments: [SessionStatus.started, .noData, .createFailed])
    func aHeaderThatSaysItAllIsShown(header: SessionStatus) {
        #expect(RollUp.status(header, [.applied: 3]) == header.rawValue)
    }

    struct Case: Sendable {
        var header: SessionStatus = .available
        var deliveries: [DeliveryStatus: Int]
        var shown: String
    }

    private static let cases: [Case] = [
        Case(deliveries: [:], shown: "Available"),
        Case(deliveries: [.applied: 5], shown: "Applied"),
        Case(deliveries: [.applied: 5, .noData: 9], shown: "Applied"),
        Case(deliveries: [.noData: 9], shown: "NoData"),
        Case(deliveries: [.applied: 5, .available: 1], shown: "Available"),
        Case(deliveries: [.applied: 5, .requested: 1], shown: "Requested"),
        Case(deliveries: [.requested: 1, .downloaded: 4], shown: "Requested"),
        Case(deliveries: [.downloaded: 4, .applied: 5], shown: "Downloaded"),
        Case(deliveries: [.applied: 5, .superseded: 1, .canceled: 1], shown: "Applied"),
        Case(deliveries: [.superseded: 2, .canceled: 1], shown: "Superseded"),
        Case(deliveries: [.canceled: 1, .noData: 4], shown: "Canceled"),
        Case(deliveries: [.applied: 99, .available: 3, .downloadFailed: 1], shown: "DownloadFailed"),
        Case(deliveries: [.downloadFailed: 4, .applyFailed: 1], shown: "ApplyFailed"),
        Case(deliveries: [.applyFailed: 4, .suspended: 1, .applied: 1], shown: "Suspended"),
        Case(header: .canceled, deliveries: [.canceled: 4], shown: "Canceled"),
        Case(header: .canceled, deliveries: [.applied: 2, .canceled: 4], shown: "Canceled"),
        Case(header: .canceled, deliveries: [.requested: 2], shown: "Canceled"),
    ]

    @Test(arguments: RollUpTests.cases)
    func theWorstFailureElseTheLeastAdvancedIsShown(example: Case) {
        #expect(RollUp.status(example.header, example.deliveries) == example.shown)
    }

    @Test func appliedMeansThatNobodyWaits() {
        for status in DeliveryStatus.allCases where !status.isFinal {
            #expect(RollUp.status(.available, [.applied: 1000, status: 1]) != "Applied")
        }
        #expect(RollUp.status(.available, [.applied: 1, .noData: 1, .canceled: 1, .superseded: 1]) == "Applied")
    }
}
