import Testing
import WaybillModel
import WaybillSessions

/// A cancel always ends in a true answer: never applied, or too late.
@Suite struct CancelTests {
    @Test func whatTheStoreNeverHadLeaveForIsRevokedAtOnce() throws {
        var delivery = try delivery()
        #expect(delivery.cancel(reason: "wrong prices", at: at(50)) == .revoked)
        #expect(delivery.status == .canceled)
        #expect(delivery.message == "revoked, never applied: wrong prices")
        #expect(!delivery.isOnOffer && !delivery.isOpen && !delivery.awaitsCancelAnswer)
        #expect(delivery.cancel(reason: "again", at: at(60)) == .revoked)
        #expect(delivery.cancelReason == "wrong prices" && delivery.cancelAskedAt == at(50))
    }

    @Test(arguments: [
        nil, StoreOutcome.requested, .downloaded, .downloadFailed, .applyFailed,
    ])
    func whatTheStoreHasLeaveForWaitsForItsAnswer(heard: StoreOutcome?) throws {
        var waiting = try delivery(isGranted: true)
        if let heard { waiting.fold(try report(heard, message: "as it was")) }
        #expect(waiting.cancel(reason: "", at: at(50)) == .waiting)
        #expect(waiting.status != .canceled)
        #expect(waiting.awaitsCancelAnswer && waiting.isOpen && !waiting.isOnOffer)
        #expect(waiting.message == "cancel asked for; waiting for the store's answer")

        var promised = waiting
        promised.fold(try report(.canceled, at: 70))
        #expect(promised.cancelAnswer == .revoked)
        #expect(promised.status == .canceled && promised.message == "revoked, never applied")
        #expect(promised.told.canceledAt == at(70))
        #expect(!promised.awaitsCancelAnswer && !promised.isOpen)

        var tooLate = waiting
        tooLate.fold(try report(.applied, at: 60))
        #expect(tooLate.cancelAnswer == .tooLate(at(60)))
        #expect(tooLate.status == .applied && tooLate.message == "cancelled too late: already applied")
        #expect(!tooLate.awaitsCancelAnswer && !tooLate.isOpen)
    }

    @Test func whatIsAppliedIsTooLateWithItsTime() throws {
        var delivery = try delivery(isGranted: true)
        delivery.fold(try report(.applied, at: 40))
        let before = delivery
        #expect(delivery.cancel(reason: "wrong", at: at(50)) == .tooLate(at(40)))
        #expect(delivery == before)
    }

    @Test func askingAgainWhileWaitingKeepsTheFirstWords() throws {
        var delivery = try delivery(isGranted: true)
        #expect(delivery.cancel(reason: "first", at: at(50)) == .waiting)
        #expect(delivery.cancel(reason: "second", at: at(60)) == .waiting)
        #expect(delivery.cancelAskedAt == at(50) && delivery.cancelReason == "first")
    }

    @Test func theStoreMayStillApplyWhatIsSuperseded() throws {
        var delivery = try delivery(isGranted: true)
        delivery.supersededBy = session(8)
        #expect(delivery.status == .superseded && !delivery.isOnOffer && !delivery.isOpen)
        #expect(delivery.cancel(reason: "", at: at(50)) == .waiting)
        #expect(delivery.status == .superseded && delivery.isOpen)
        delivery.fold(try report(.applied, at: 45))
        #expect(delivery.cancelAnswer == .tooLate(at(45)))
        #expect(delivery.status == .applied)
    }

    @Test func whatIsSupersededAndWasNeverGrantedIsRevoked() throws {
        var delivery = try delivery()
        delivery.supersededBy = session(8)
        #expect(delivery.message == "session \(session(8)) brings all of it")
        #expect(delivery.cancel(reason: "", at: at(50)) == .revoked)
        #expect(delivery.status == .canceled)
    }

    @Test func whatIsSuspendedAwaitsTheStoresPromise() throws {
        var delivery = try delivery(isGranted: true)
        for attempt in 1...3 { delivery.fold(try report(.applyFailed, attempt: attempt, message: "digest")) }
        #expect(delivery.cancel(reason: "", at: at(50)) == .waiting)
        delivery.fold(try report(.canceled, attempt: 4, at: 51))
        #expect(delivery.cancelAnswer == .revoked)
    }

    @Test func thereIsNothingToCallOffWhereThereIsNoData() throws {
        var delivery = try delivery()
        delivery.isNoData = true
        #expect(delivery.cancel(reason: "", at: at(50)) == .nothing(.noData))
        #expect(delivery.cancelAskedAt == nil)
    }

    @Test func withoutACancelTheAnswerIsTheStatus() throws {
        #expect(try delivery().cancelAnswer == .nothing(.available))
        #expect(try delivery(isGranted: true).cancelAnswer == .nothing(.requested))
    }
}

@Suite struct RerunTests {
    @Test func aRerunBeginsAnewAndForgetsWhatWasSaid() throws {
        var delivery = try delivery(isGranted: true)
        for attempt in 1...3 { delivery.fold(try report(.applyFailed, attempt: attempt, message: "digest")) }
        delivery.note = "no longer fits"
        _ = delivery.cancel(reason: "wrong", at: at(50))
        delivery.fold(try report(.canceled, at: 60))
        let package = PackageRef(id: try packageID(2), kind: .full, bases: [], rows: 1, bytes: 2)
        delivery.rerun(package: package)

        var fresh = Delivery(
            session: delivery.session, store: delivery.store, job: delivery.job, version: delivery.version,
            package: package, run: 2)
        #expect(delivery == fresh)
        #expect(delivery.status == .available && delivery.isOnOffer && delivery.nextAttempt == 1)

        delivery.fold(try report(.canceled, run: 1))
        delivery.fold(try report(.applied, run: 1))
        #expect(delivery == fresh)
        delivery.fold(try report(.applied, run: 2, at: 90))
        fresh.told.appliedAt = at(90)
        #expect(delivery.status == .applied && delivery.told.appliedAt == fresh.told.appliedAt)
    }

    @Test func aRerunGivesAStoreWithoutDataSomethingToApply() throws {
        var delivery = try delivery()
        delivery.isNoData = true
        delivery.rerun(package: delivery.package)
        #expect(delivery.status == .available && delivery.run == 2)
    }

    @Test func aRerunOfWhatWasSupersededIsOnOffer() throws {
        var delivery = try delivery(isGranted: true)
        delivery.supersededBy = session(8)
        delivery.rerun(package: nil)
        #expect(delivery.isOnOffer && delivery.package == nil)
    }

    @Test func aPackageFitsTheStoresThatStandAtItsBase() throws {
        let delta = try delivery().package.orThrow()
        let base = delta.bases[0]
        #expect(delta.fits(base))
        #expect(!delta.fits(nil))
        #expect(!delta.fits(Watermark(version: base.version, session: session(4))))
        #expect(!delta.fits(Watermark(version: Version(epoch: 2, number: 5), session: base.session)))
        var full = delta
        full.kind = .full
        #expect(full.fits(nil) && full.fits(base))
    }
}
