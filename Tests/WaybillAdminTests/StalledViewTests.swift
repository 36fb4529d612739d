import Foundation
import Testing
import WaybillAdmin
import WaybillConsole
import WaybillModel

/// How stalled deliveries look.
@Suite struct StalledViewTests {
    private static let now = Timestamp(milliseconds: 1_795_258_500_000)
    private static let screen = Screen(columns: nil, hasColour: false)

    private static func stalled() throws -> SessionDetail {
        var session = try Sample.session([.downloaded, .applied])
        session.deliveries[0].stalled = StalledDetail(
            stage: "apply", since: UTCTime(now + -600_000), expectedBy: UTCTime(now + -480_000),
            cause: "agent_not_progressing",
            message: "alive, but its apply has not moved since 10:45 UTC; 2 min would be usual")
        session.summary.stalled = 1
        return session
    }

    @Test func aStalledDeliverySaysSoBesideItsStatusAndWhy() throws {
        let text = SessionViews.detail(try Self.stalled(), now: Self.now, Self.screen).joined(separator: "\n")
        #expect(text.contains("Downloaded, stalled"))
        #expect(text.contains("alive, but its apply has not moved since 10:45 UTC; 2 min would be usual"))
        #expect(!text.contains("Applied, stalled"))
    }

    @Test func theSessionListShowsThatSomethingIsStalled() throws {
        var summary = try Self.stalled().summary
        summary.status = "Downloaded"
        let text = SessionViews.list([summary], now: Self.now, Self.screen).joined(separator: "\n")
        #expect(text.contains("Downloaded, stalled"))
    }

    @Test func scriptsFindTheKeysWhetherOrNotAnythingIsStalled() throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        let data = try encoder.encode(try Self.stalled())
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(object["stalled"] as? Int == 1)
        let deliveries = try #require(object["deliveries"] as? [[String: Any]])
        let stalled = try #require(deliveries[0]["stalled"] as? [String: Any])
        #expect(Set(stalled.keys) == ["stage", "since", "expected_by", "cause", "message"])
        #expect(deliveries[1]["stalled"] is NSNull)
    }

    @Test func aMomentIsShortTodayAndHasItsDayOtherwise() {
        #expect(StalledDetail.clock(Self.now, near: Self.now) == "10:55 UTC")
        #expect(StalledDetail.clock(Self.now + -86_400_000, near: Self.now) == "2026-11-20 10:55 UTC")
        #expect([40_000, 120_000, 7_200_000].map(StalledDetail.span(milliseconds:)) == ["40 s", "2 min", "2 h"])
    }
}
