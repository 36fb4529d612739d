import Foundation
import Testing
import WaybillJobs
import WaybillModel

@testable import WaybillSchedule

@Suite struct JobClockTests {
    // MARK: requests

    @Test func aRequestStartsAtOnceAndWhatComesMeanwhileIsJoined() {
        var office = Office(job("prices"))
        office.step(.requested(prices, RunScope(stores: shops)))
        #expect(office.running(prices)?.scope.stores == shops)
        office.step(.requested(prices, RunScope(stores: Set([StoreID("S3")].compactMap { $0 }))))
        office.step(.requested(prices, RunScope()))
        office.step(.requested(prices, RunScope()))
        #expect(office.starts.count == 1)
        #expect(office.states(prices) == [.running, .waiting])
        office.end(prices)
        #expect(office.running(prices)?.scope == RunScope())
        office.end(prices)
        #expect(office.states(prices) == [.finished, .finished])
    }

    @Test func aFullRunWaitsForTheDeltaRunAndStandsForOneThatWaits() {
        var office = Office(job("prices"))
        office.step(.requested(prices, RunScope()))
        office.step(.requested(prices, RunScope()))
        office.step(.requested(prices, RunScope(isFull: true)))
        office.step(.requested(prices, RunScope()))
        #expect(office.states(prices) == [.running, .canceled, .waiting])
        office.end(prices)
        #expect(office.running(prices)?.scope.isFull == true)
    }

    @Test func aFullRunForOneStoreDoesNotMakeADeltaOfTheOthersFull() {
        var office = Office(job("prices"))
        office.step(.requested(prices, RunScope()))
        office.step(.requested(prices, RunScope(isFull: true, stores: shops)))
        office.step(.requested(prices, RunScope()))
        office.end(prices)
        office.end(prices)
        office.end(prices)
        #expect(
            office.starts.map(\.scope) == [RunScope(), RunScope(isFull: true, stores: shops), RunScope()])
    }

    @Test func jobsTakeTurnsAndOneThatWaitsForThePublisherIsReady() {
        var office = Office(job("prices"), job("modes"))
        office.step(.requested(prices, RunScope()))
        office.step(.requested(modes, RunScope()))
        #expect(office.states(modes) == [.ready])
        office.end(prices)
        #expect(office.states(modes) == [.running])
    }

    @Test func aPublishedSessionWaitsItsTurnBehindTheRun() {
        var office = Office(job("prices"))
        office.step(.requested(prices, RunScope()))
        office.step(.published(prices, RunScope(), SessionID(number: 9, random: 1)))
        office.step(.published(prices, RunScope(), SessionID(number: 10, random: 1)))
        #expect(office.states(prices) == [.running, .waiting, .waiting])
        office.end(prices)
        #expect(office.running(prices)?.session == SessionID(number: 9, random: 1))
        #expect(office.starts.count == 1, "its session is in the queue already")
        office.end(prices, .failed("no"))
        office.end(prices)
        #expect(office.states(prices) == [.finished, .failed, .finished])
        office.wait(365 * 24 * 60 * minute)
        #expect(office.starts.count == 1, "who publishes is told; nobody repeats it")
    }

    // MARK: schedules

    @Test func aScheduleRunsWhenItFallsDueAndNotBefore() {
        var office = Office(job("prices", hourly))
        office.wait(59 * minute)
        #expect(office.starts.isEmpty)
        office.wait(minute)
        #expect(office.causes(prices) == [.schedule])
        office.end(prices)
        office.wait(minute)
        #expect(office.starts.count == 1)
    }

    @Test func runsMissedWhileTheHubWasDownAreMadeUpForByOne() {
        var office = Office(job("prices", hourly))
        office.wait(60 * minute)
        office.end(prices)
        office.now = office.now + 50 * 60 * minute
        office.restart()
        #expect(office.causes(prices) == [.schedule, .schedule])
        office.end(prices)
        office.restart()
        office.wait(59 * minute)
        #expect(office.starts.count == 2, "a second start repeats nothing")
        office.wait(minute)
        #expect(office.starts.count == 3)
    }

    @Test func dueTimesThatPassDuringARunAreOneRunAfterwards() {
        var office = Office(job("prices", hourly))
        office.wait(60 * minute)
        for _ in 1...5 { office.wait(60 * minute) }
        #expect(office.starts.count == 1)
        office.end(prices)
        #expect(office.starts.count == 2)
        office.end(prices)
        #expect(office.starts.count == 2)
    }

    @Test func aClockSetBackALittleRepeatsNothingAndOneSetRightIsFollowed() {
        var office = Office(job("prices", JobTriggers(schedules: hourly.schedules, online: OnlineTrigger())))
        office.wait(60 * minute)
        office.end(prices)
        office.wait(-60 * minute)
        office.wait(60 * minute)
        #expect(office.starts.count == 1, "that hour has been handled")
        office.change("price")
        office.wait(-600 * 60 * minute)
        #expect(office.causes(prices) == [.schedule, .online], "a change does not wait for the old time to come again")
        office.end(prices)
        office.wait(60 * minute)
        #expect(office.causes(prices) == [.schedule, .online, .schedule])
    }

    @Test func aChangedScheduleHasMissedNothing() {
        var office = Office(job("prices", hourly))
        office.now = office.now + 5 * minute
        let often = JobTriggers(schedules: [JobSchedule(unit: .minute, timeZone: "UTC")])
        office.restart(jobs: [job("prices", often)])
        #expect(office.starts.isEmpty)
        office.wait(minute)
        #expect(office.causes(prices) == [.schedule])
    }

    @Test func aScheduleThatCannotBeFollowedIsNamedAndTheOthersGoOn() {
        let odd = JobTriggers(schedules: [JobSchedule(unit: .day, timeZone: "Mars/Olympus")])
        var office = Office(job("modes", odd), job("prices", hourly))
        #expect(office.log == ["job modes: its schedule: there is no time zone 'Mars/Olympus'; it is left out"])
        office.wait(60 * minute)
        #expect(office.starts.map(\.job) == [prices])
    }

    @Test func aJobThatKeepsFindingNothingSleepsUntilATableChanges() {
        var office = Office(job("prices", hourly, policy: RunPolicy(sleepAfter: 3)))
        for _ in 1...3 {
            office.wait(60 * minute)
            office.end(prices, .nothing)
        }
        for _ in 1...5 { office.wait(60 * minute) }
        #expect(office.starts.count == 3)
        #expect(office.clock.status(of: prices)?.state == .asleep)
        office.change("something_else")
        office.wait(60 * minute)
        #expect(office.starts.count == 3)
        office.change("price")
        #expect(office.starts.count == 3, "it wakes, and runs when it falls due")
        office.wait(60 * minute)
        #expect(office.starts.count == 4)
        office.end(prices)
        for _ in 1...2 {
            office.wait(60 * minute)
            office.end(prices, .nothing)
        }
        office.wait(60 * minute)
        #expect(office.starts.count == 7, "it begins to count anew")
    }

    /// Whether its definition is another now, nobody has written down.
    @Test func aJobThatSleepsIsWokenByAnotherDefinitionAndByAHubThatStarts() {
        var office = Office(job("prices", hourly, policy: RunPolicy(sleepAfter: 1)))
        func sleep() {
            office.wait(60 * minute)
            office.end(prices, .nothing)
            #expect(office.clock.status(of: prices)?.state == .asleep)
        }
        sleep()
        office.step(.catalogue([job("prices", hourly, policy: RunPolicy(sleepAfter: 1))]))
        #expect(office.clock.status(of: prices)?.state == .asleep, "it is the same")
        office.step(.catalogue([job("prices", reads: ["price", "rate"], hourly, policy: RunPolicy(sleepAfter: 1))]))
        #expect(office.clock.status(of: prices)?.state == .idle)
        #expect(office.starts.count == 1, "it has missed nothing")
        sleep()
        office.restart()
        #expect(office.clock.status(of: prices)?.state == .idle)
        sleep()
        #expect(office.starts.count == 3)
    }

    /// The day changes what stores must have, and no table does.
    @Test func aJobWhoseRowsExpireNeverSleeps() {
        var dated = job("prices", hourly, policy: RunPolicy(sleepAfter: 1))
        dated.subjobs = [
            Subjob(
                table: TableShape(
                    name: "offer", columns: [ColumnShape("id", .text), ColumnShape("last_day", .text)], key: ["id"]),
                query: "SELECT id, last_day FROM price", stores: .everyStore,
                expiry: Subjob.Expiry(column: "last_day", afterDays: 7))
        ]
        var office = Office(dated)
        for _ in 1...3 {
            office.wait(60 * minute)
            office.end(prices, .nothing)
        }
        #expect(office.starts.count == 3)
    }

    @Test func aChangeDuringTheLastIdleRunKeepsTheJobAwake() {
        var office = Office(job("prices", hourly, policy: RunPolicy(sleepAfter: 1)))
        office.wait(60 * minute)
        office.change("price")
        office.end(prices, .nothing)
        office.wait(60 * minute)
        #expect(office.starts.count == 2)
    }

    // MARK: online

    @Test func aBurstOfChangesIsOneRunOnceItHasSettled() {
        var office = Office(job("prices", online))
        for _ in 1...4 {
            office.change("price")
            office.wait(150)
        }
        #expect(office.starts.isEmpty)
        office.wait(50)
        #expect(office.causes(prices) == [.online])
        office.end(prices)
        office.wait(10 * minute)
        #expect(office.starts.count == 1)
    }

    @Test func aBurstThatDoesNotEndStartsAfterTheLongestWait() {
        var office = Office(job("prices", online))
        for _ in 1...8 {
            office.change("price")
            office.wait(100)
        }
        #expect(office.starts.isEmpty)
        office.change("price")
        office.wait(100)
        #expect(office.starts.count == 1)
    }

    @Test func onlyWatchedTablesStartAJob() {
        let watches = JobTriggers(online: OnlineTrigger(tables: ["assortment"]))
        var office = Office(job("prices", reads: ["price", "assortment"], watches))
        office.change("price")
        office.wait(minute)
        #expect(office.starts.isEmpty)
        office.change("assortment", "price")
        office.wait(minute)
        #expect(office.causes(prices) == [.online])
    }

    @Test func changesDuringARunAreOneRunAfterwards() {
        var office = Office(job("prices", online))
        office.change("price")
        office.wait(200)
        office.change("price")
        office.wait(minute)
        office.change("price")
        office.wait(minute)
        #expect(office.starts.count == 1)
        office.end(prices)
        #expect(office.starts.count == 2)
        office.end(prices)
        office.wait(minute)
        #expect(office.starts.count == 2)
    }

    @Test func aPublishedSessionTakesCareOfTheChangesBeforeIt() {
        var office = Office(job("prices", online))
        office.change("price")
        office.step(.published(prices, RunScope(), SessionID(number: 1, random: 1)))
        office.wait(minute)
        office.end(prices)
        office.wait(minute)
        #expect(office.starts.isEmpty)
    }

    @Test(arguments: [RunOutcome.failed("no disk"), .canceled])
    func changesOfASessionThatCameToNothingAreTakenUpAgainAlsoByAnotherHub(outcome: RunOutcome) {
        var office = Office(job("prices", online))
        office.change("price")
        office.step(.published(prices, RunScope(), SessionID(number: 1, random: 1)))
        office.end(prices, outcome)
        office.restart()
        #expect(office.memories[prices].map { $0.seen < office.head } ?? false, "it will be read again")
        office.step(.changed(["price": office.head], head: office.head))
        office.wait(minute)
        #expect(office.causes(prices) == [.online])
    }

    @Test func aChangeLogFromABackupStartsTheJob() {
        var office = Office(job("prices", online))
        office.change("price")
        office.wait(200)
        office.end(prices)
        office.head = 40
        office.step(.logRestarted(head: 40))
        office.wait(200)
        office.end(prices)
        office.change("price")
        office.wait(200)
        #expect(office.causes(prices) == [.online, .online, .online])
    }

    // MARK: stores that enrol

    @Test func aStoreThatEnrolsGetsEveryInitialJobInFull() {
        var office = Office(job("modes"), job("prices", JobTriggers(isInitial: false)))
        office.step(.enrolled(shops))
        #expect(office.starts.map(\.job) == [modes])
        #expect(office.starts.map(\.scope) == [RunScope(isFull: true, stores: shops)])
        #expect(office.causes(modes) == [.initial])
    }

    @Test func nothingStartsByItselfWhenThatIsSwitchedOff() {
        let all = JobTriggers(schedules: hourly.schedules, online: OnlineTrigger())
        var office = Office([job("prices", all)], isAutomatic: false)
        office.step(.enrolled(shops))
        office.change("price")
        office.wait(600 * minute)
        #expect(office.starts.isEmpty)
        office.step(.requested(prices, RunScope()))
        #expect(office.causes(prices) == [.manual])
    }

    // MARK: failures

    @Test func aFailedRunIsTriedAgainLaterAndLater() {
        var office = Office(
            job("prices", online, policy: RunPolicy(attempts: 0, waitSeconds: 10, longestWaitSeconds: 60)))
        office.change("price")
        office.wait(200)
        for pause in [10, 20, 40, 60, 60, 60] as [Int64] {
            office.end(prices, .failed("no disk"), jitter: 1)
            let count = office.starts.count
            office.wait(pause * 1000 - 1)
            #expect(office.starts.count == count)
            office.wait(1)
            #expect(office.starts.count == count + 1)
        }
        office.end(prices)
        office.wait(600 * minute)
        #expect(office.causes(prices) == [.online] + Array(repeating: .retry, count: 6))
        #expect(office.starts.map(\.attempt) == Array(1...7))
    }

    @Test(arguments: [(0.0, 5_000), (0.5, 7_500), (1.0, 10_000), (9.0, 10_000)])
    func jitterLiesBetweenHalfAndAllOfTheWait(jitter: Double, wait: Int64) {
        #expect(JobClock.pause(before: 2, RunPolicy(waitSeconds: 10), jitter) == wait)
    }

    @Test func afterTheLastAttemptTheJobIsOnHoldWithTheReasonUntilSomebodyResumesIt() {
        var office = Office(job("prices", hourly, policy: RunPolicy(attempts: 2, waitSeconds: 1)))
        office.wait(60 * minute)
        office.end(prices, .failed("no disk"))
        office.wait(1000)
        office.end(prices, .failed("disk is full"))
        #expect(office.hold(of: prices) == "2 attempts failed, the last one: disk is full")
        #expect(office.states(prices) == [.failed, .failed, .onHold])
        office.wait(500 * minute)
        office.restart()
        #expect(office.starts.count == 2)
        office.step(.resume(prices))
        #expect(office.causes(prices) == [.schedule, .retry, .retry])
        #expect(office.running(prices)?.attempt == 1, "it has all attempts again")
        office.end(prices)
        #expect(office.hold(of: prices) == nil)
        #expect(office.open(prices).isEmpty)
    }

    @Test func aRunThatSucceedsMeanwhileMakesTheRetryUnnecessary() {
        var office = Office(job("prices", online))
        office.change("price")
        office.wait(200)
        office.end(prices, .failed("no disk"))
        office.step(.requested(prices, RunScope()))
        office.end(prices)
        #expect(office.states(prices) == [.failed, .canceled, .finished])
        office.wait(600 * minute)
        #expect(office.starts.count == 2)
    }

    @Test func theRetryOfOneStoreIsNotThatOfAll() {
        var office = Office(job("prices"))
        office.step(.enrolled(shops))
        office.end(prices, .failed("no disk"))
        office.step(.requested(prices, RunScope()))
        office.end(prices)
        office.wait(minute)
        #expect(office.running(prices)?.scope == RunScope(isFull: true, stores: shops))
    }

    // MARK: hold and resume

    @Test func aJobOnHoldStartsNothingByItselfAndMakesUpForItWhenResumed() {
        var office = Office(job("prices", JobTriggers(schedules: hourly.schedules, online: OnlineTrigger())))
        office.step(.hold(prices, reason: "stocktaking"))
        office.change("price")
        office.step(.enrolled(shops))
        office.wait(300 * minute)
        office.restart()
        #expect(office.starts.isEmpty)
        #expect(office.clock.status(of: prices)?.state == .onHold)
        #expect(office.clock.status(of: prices)?.nextRunAt == nil)
        office.step(.resume(prices))
        #expect(office.causes(prices) == [.initial])
        office.end(prices)
        #expect(office.causes(prices).count == 2)
        office.end(prices)
        office.wait(minute)
        #expect(office.starts.count == 2, "the due times and the change are one run")
    }

    @Test func whatIsAskedForIsDoneAlsoOnHold() {
        var office = Office(job("prices"))
        office.step(.hold(prices, reason: "stocktaking"))
        office.step(.requested(prices, RunScope()))
        #expect(office.causes(prices) == [.manual])
        office.end(prices)
        #expect(office.hold(of: prices) == "stocktaking")
    }

    // MARK: the catalogue

    @Test func aJobThatDisappearsStartsNothingAndKeepsItsHold() {
        var office = Office(job("prices", hourly), job("modes", hourly))
        office.step(.hold(prices, reason: "stocktaking"))
        office.step(.enrolled(shops))
        office.step(.catalogue([job("modes", hourly)]))
        #expect(office.states(prices) == [.canceled])
        office.wait(60 * minute)
        office.end(modes)
        office.step(.catalogue([job("modes", hourly), job("prices", hourly)]))
        #expect(office.clock.status(of: prices)?.hold == "stocktaking")
        office.step(.resume(prices))
        #expect(office.causes(prices).isEmpty, "it has missed nothing while it was not there")
    }

    @Test func aJobThatGetsAnOnlineTriggerIsNotStartedByOldChanges() {
        var office = Office(job("prices"))
        office.change("price")
        office.restart(jobs: [job("prices", online), job("modes", online)])
        office.step(.changed(["price": office.head], head: office.head))
        office.wait(minute)
        office.end(prices)
        office.wait(minute)
        #expect(office.causes(prices) == [.online], "it has not sent that change")
    }

    @Test func anOnlineJobThatIsNewRunsOnceForWhatIsThereAlready() {
        var office = Office(job("prices", online))
        office.wait(minute)
        #expect(office.starts.isEmpty, "everything is new to a hub that starts for the first time")
        let more = [job("prices", online), job("modes", online), job("sizes")]
        office.step(.catalogue(more))
        // Dies before it has run.
        office.restart(jobs: more)
        office.step(.changed(["price": office.head], head: office.head))
        office.wait(minute)
        #expect(office.starts.map(\.job) == [modes], "nobody has asked for sizes, and prices was there")
        office.end(modes)
        office.restart()
        office.wait(minute)
        #expect(office.starts.count == 1)
    }

    @Test func anOnlineJobThatIsNewWaitsUntilItsQueriesFitTheTables() {
        var office = Office(job("prices"))
        let watching = JobTriggers(online: OnlineTrigger(tables: ["price"]))
        office.step(.catalogue([job("prices"), job("modes", reads: [], online), job("sizes", reads: [], watching)]))
        office.wait(minute)
        #expect(office.starts.isEmpty)
        office.step(.catalogue([job("prices"), job("modes", online)]))
        office.wait(200)
        #expect(office.causes(modes) == [.online])
    }
}
