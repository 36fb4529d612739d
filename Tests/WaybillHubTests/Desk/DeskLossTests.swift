import Testing
import WaybillHub
import WaybillModel
import WaybillSessions

/// Packages that the hub has made and cannot read any more.
@Suite struct DeskLossTests {
    @Test func aLostPackageIsMadeAnewAndNotGrantedMeanwhile() throws {
        let delivery = Sample.delivery(1)
        let package = try #require(delivery.package)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        #expect(work.request(delivery).granted == [package.id])
        let effects = work.step(.packageLost(package.id))
        #expect(effects.prepared == [delivery.session])
        #expect(effects.saved.last?.package == nil)
        #expect(work.request(delivery).granted == [])
        #expect(work.step(.packageLost(package.id)).prepared == [], "it is being made")

        var another = package
        another.id = try #require(PackageID([UInt8](repeating: 99, count: 32)))
        _ = work.step(.prepared(delivery.session, .package(another)))
        #expect(work.request(delivery).granted == [another.id])
    }

    @Test func aFurtherAttemptShowsWhyTheLastOneFailed() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        _ = work.request(delivery)
        #expect(work.delivery(delivery.session)?.message == "")
        _ = work.report(delivery, .applyFailed, message: "the lock is held", isTransient: true)
        for _ in 1...2 {
            _ = work.request(delivery, attempt: 2)
            #expect(work.delivery(delivery.session)?.message == "trying again; before: the lock is held")
        }
        _ = work.report(delivery, .applied, attempt: 2)
        #expect(work.delivery(delivery.session)?.message == nil, "applied, and no longer open")
    }

    @Test func aPackageOfNobodyChangesNothing() throws {
        var work = try DeskAtWork(deliveries: [Sample.delivery(1)])
        let other = try #require(PackageID([UInt8](repeating: 98, count: 32)))
        #expect(work.step(.packageLost(other)).isEmpty)
    }
}
