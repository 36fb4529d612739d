import Foundation
import Testing
import WaybillAdmin
import WaybillConsole
import WaybillModel

@Suite struct WaitingTests {
    private let publish = Waiting(givesUpOffline: true)
    private let watch = Waiting(givesUpOffline: false)

    @Test func waitingIsOverWhenEveryDeliveryIsFinal() throws {
        let sessions = [try Sample.session([.applied, .canceled, .superseded, .noData])]
        #expect(publish.verdict(sessions, online: nil) == .over(missing: [], failed: []))
        #expect(watch.verdict(sessions, online: nil) == .over(missing: [], failed: []))
    }

    @Test func aSessionThatIsBeingMadeIsWaitedFor() throws {
        let sessions = [try Sample.session([], header: "Started"), try Sample.session([.suspended])]
        #expect(publish.verdict(sessions, online: []) == .goOn)
    }

    @Test func aSessionThatCouldNotBeMadeIsNamed() throws {
        let session = try Sample.session([], header: "CreateFailed")
        #expect(publish.verdict([session], online: nil) == .over(missing: [], failed: [session.summary.id]))
    }

    @Test(arguments: [DeliveryStatus.available, .requested, .downloaded, .downloadFailed, .applyFailed])
    func aStoreThatIsOnlineIsWaitedFor(status: DeliveryStatus) throws {
        let sessions = [try Sample.session([.applied, status])]
        #expect(publish.verdict(sessions, online: [try Sample.store(2)]) == .goOn)
        #expect(publish.verdict(sessions, online: nil) == .goOn)
    }

    @Test func aStoreThatIsOfflineIsNamedByPublishAndWaitedForByWatch() throws {
        let sessions = [try Sample.session([.applied, .available])]
        #expect(watch.verdict(sessions, online: []) == .goOn)
        guard case .over(let missing, let failed) = publish.verdict(sessions, online: [try Sample.store(1)]) else {
            Issue.record("publish goes on waiting")
            return
        }
        #expect(failed.isEmpty)
        #expect(
            Waiting.lines(missing) == [
                "store S2 lacks prices (session 7-000000000001): offline, will get it when it is back"
            ])
    }

    @Test func aStoreWhoseWindowIsClosedIsNamedByPublishAndWaitedForByWatch() throws {
        var session = try Sample.session([.applied, .available])
        session.deliveries[1].waitsForWindow = true
        session.deliveries[1].message = "waits for its window, from 20:00 store time"
        #expect(watch.verdict([session], online: nil) == .goOn)
        guard case .over(let missing, _) = publish.verdict([session], online: nil) else {
            Issue.record("publish goes on waiting")
            return
        }
        #expect(missing.map(\.reason) == ["waits for its window, from 20:00 store time"])
    }

    @Test func aSuspendedStoreIsNotWaitedForEvenWhenOnline() throws {
        let sessions = [try Sample.session([.suspended])]
        guard case .over(let missing, _) = watch.verdict(sessions, online: [try Sample.store(1)]) else {
            Issue.record("watch goes on waiting")
            return
        }
        #expect(missing.map(\.reason) == ["suspended after 3 attempts: no space"])
        #expect(publish.verdict(sessions + [try Sample.session([.requested])], online: nil) == .goOn)
    }

    @Test func whenTimeIsUpTheUnfinishedAreNamed() throws {
        let unfinished = Waiting.unfinished([try Sample.session([.applied, .applyFailed])])
        #expect(unfinished.map(\.store.rawValue) == ["S2"])
        #expect(unfinished.map(\.reason) == ["still ApplyFailed: no space"])
    }

    @Test func ofManyMissingStoresTheFirstAreNamed() throws {
        let lines = Waiting.lines(Waiting.unfinished([try Sample.session(Array(repeating: .available, count: 500))]))
        #expect(lines.count == 21)
        #expect(lines.last == "… and 480 more; see waybill session show ID")
    }

    @Test func pendingCancelsTakeTheStoresAnswers() throws {
        let session = try Sample.session([.applied, .canceled, .available])
        var reply = CancelReply(
            session: session.summary.id,
            stores: try (1...3).map { .init(store: try Sample.store($0), answer: .pending) })
        reply.update(from: session)
        #expect(reply.stores.map(\.answer) == [.tooLate, .revoked, .pending])
        #expect(reply.stores[0].at != nil)
        #expect(reply.isWaiting)
    }
}

@Suite struct AdminCodingTests {
    @Test func whatIsNotKnownIsNullAndNotAbsent() throws {
        let text = String(decoding: try AdminJSON.encode(try Sample.session([.available])), as: UTF8.self)
        #expect(text.contains(#""applied_at":null"#))
        #expect(text.contains(#""message":null"#))
        #expect(text.contains(#""created_at":"2026-11-21T10:53:00.123Z""#))
    }

    @Test func aDetailIsReadBackAsItWas() throws {
        let detail = try Sample.session([.applied, .suspended])
        let read = try AdminJSON.decode(SessionDetail.self, from: try AdminJSON.encode(detail))
        #expect(read == detail)
        #expect(read.summary.deliveries == ["Applied": 1, "Suspended": 1])
    }

    @Test func aKeyThatAnOlderHubDoesNotSendIsReadAsNull() throws {
        let json = #"{"store":"S1","answer":"revoked","message":""}"#
        let store = try AdminJSON.decode(CancelReply.Store.self, from: Data(json.utf8))
        #expect(store.at == nil)
    }
}
