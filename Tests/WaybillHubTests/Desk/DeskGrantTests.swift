import Testing
import WaybillHub
import WaybillModel
import WaybillSessions

/// Leave to download and apply, and the chunks that go with it.
@Suite struct DeskGrantTests {
    @Test func aGrantGoesOutAfterItIsSaved() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        let effects = work.request(delivery, attempt: 2)
        let save = try #require(effects.firstIndex { if case .saveDelivery = $0 { true } else { false } })
        let grant = DeskEffect.sendGrant(
            DeskAtWork.line, session: delivery.session, run: 1, attempt: 2, package: Sample.package(1).id)
        #expect(effects.firstIndex(of: grant) == save + 1)
        let saved = try #require(effects.saved.first)
        #expect(saved.isGranted)
        #expect(saved.status == .requested)
        #expect(saved.told.requestedAt == work.now)
        #expect(saved.told.attempts == 2)
    }

    @Test func aRepeatedRequestIsGrantedAgain() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        _ = work.request(delivery)
        work.now = work.now + 5000
        let effects = work.request(delivery)
        #expect(effects.granted == [Sample.package(1).id])
        #expect(effects.saved.first?.told.requestedAt == Timestamp(milliseconds: 1_000_000))
    }

    @Test func whatIsNotOnOfferIsNotGranted() throws {
        var canceled = Sample.delivery(2, job: Sample.assortments)
        _ = canceled.cancel(reason: "", at: Timestamp(milliseconds: 1))
        let deliveries = [Sample.delivery(1), Sample.delivery(3)]
        var work = try DeskAtWork(deliveries: deliveries)
        _ = work.hello()
        #expect(work.request(Sample.delivery(9)).notGranted == ["there is no such session for this store"])
        #expect(work.request(deliveries[0]).notGranted == ["a newer session is on offer"])
        var another = deliveries[1]
        another.run = 2
        #expect(work.request(another).notGranted == ["run 2 of the session is over"])
        let effects = work.hear(
            .request(session: canceled.session, run: 1, attempt: 1), known: [canceled])
        #expect(effects.notGranted == ["the session is Canceled for this store"])
        #expect(effects.granted == [])
    }

    @Test func aPackageThatDoesNotFitIsNotGrantedButMade() throws {
        let delivery = Sample.delivery(5, over: [Sample.mark(4)])
        var work = try DeskAtWork(positions: [Sample.prices: Sample.mark(2)], deliveries: [delivery])
        let effects = work.request(delivery)
        #expect(effects.notGranted == ["a package that fits the store is being made"])
        #expect(effects.prepared == [delivery.session])
        #expect(effects.saved == [])
    }

    @Test func chunksAreGivenOfGrantedPackagesOnly() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        let package = Sample.package(1).id
        let refused = work.hear(.chunkRequest(package: package, index: 0))
        #expect(refused.chunks == [])
        #expect(
            refused.letters == [.noChunk(package: package, index: 0, reason: "ask for the session first")])
        _ = work.request(delivery)
        #expect(work.hear(.chunkRequest(package: package, index: 3)).chunks == [3])
        #expect(work.hear(.chunkRequest(package: Sample.package(2).id, index: 3)).chunks == [])
    }

    @Test func leaveThatTheLastHubGaveDoesNotOpenPackages() throws {
        var delivery = Sample.delivery(1)
        delivery.isGranted = true
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        #expect(work.hear(.chunkRequest(package: Sample.package(1).id, index: 0)).chunks == [])
    }

    @Test func answersGoToTheLineThatSpokeLast() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        let effects = work.hear(
            .request(session: delivery.session, run: 1, attempt: 1), on: [2, 2, 2, 2, 2])
        guard case .sendGrant(let routing, _, _, _, _)? = effects.last else {
            Issue.record("no grant")
            return
        }
        #expect(routing == [2, 2, 2, 2, 2])
        #expect(work.desk.peer?.routing == [2, 2, 2, 2, 2])
    }
}
