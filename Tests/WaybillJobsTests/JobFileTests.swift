import Testing
import WaybillJobs
import WaybillModel

/// What people write into job files, right and wrong.
@Suite struct JobFileTests {
    static let promotions = """
        job: promotions
        title: Promotions by store
        follows: [assortments]
        triggers:
          online: {watch: [promotion], settle_ms: 50}
          schedule:
            - every: day
              at: ["22:00", "05:30"]
              time_zone: Europe/Vienna
            - every: 15 minutes
              between: 08:00-20:00
              on: [mon-fri]
          initial: false
        retry: {attempts: 0, wait_seconds: 10}
        limits: {max_removed_percent: none, max_rows: 1000}
        delivery: {between: "22:00-06:00", clock: hub, try_count: 5}
        subjobs:
          - table: promotion
            key: [promotion_id]
            columns:
              promotion_id: text
              price_cents: integer
              note: {type: text, null: true, was: remark}
              last_day: text null
            price: price_cents
            rows: |
              SELECT promotion_id, price_cents, note, last_day, region
              FROM promotion;
            where: price_cents > 0
            stores: {column: region, members: "SELECT store_id, region FROM store"}
            policy: full
            removal: keep
            lock_budget_ms: 20
            drop_expired_after_days: 7
            expires_by: last_day
        """

    @Test func everySettingIsRead() throws {
        let job = try JobFile.read(JobFileTests.promotions, file: "promotions.yaml")
        #expect(job.id.rawValue == "promotions" && job.title == "Promotions by store")
        #expect(job.follows.map(\.rawValue) == ["assortments"])
        #expect(job.triggers.online == OnlineTrigger(tables: ["promotion"], settleMilliseconds: 50))
        #expect(!job.triggers.isInitial)
        let daily = job.triggers.schedules[0]
        #expect(daily.unit == .day && daily.timeZone == "Europe/Vienna")
        #expect(daily.times == [.init(hour: 5, minute: 30), .init(hour: 22, minute: 0)])
        let often = job.triggers.schedules[1]
        #expect(often.unit == .minute && often.interval == 15)
        #expect(often.window?.weekdays == [.monday, .tuesday, .wednesday, .thursday, .friday])
        #expect(job.runPolicy.attempts == 0 && job.runPolicy.waitSeconds == 10)
        #expect(job.limits.maxRemovedPercent == nil && job.limits.maxRows == 1000)
        #expect(job.limits.maxPriceChangePercent == ChangeLimits().maxPriceChangePercent)
        #expect(job.deliveryWindow?.clock == .hub && job.tryCount == 5)
        let subjob = job.subjobs[0]
        #expect(subjob.table.columns.map(\.isNullable) == [false, false, true, true])
        #expect(subjob.formerNames == ["note": "remark"])
        #expect(subjob.policy == .full && subjob.removal == .keep && subjob.lockBudgetMilliseconds == 20)
        #expect(subjob.priceColumn == "price_cents")
        #expect(subjob.query.line == 27)
        #expect(!subjob.query.text.contains(";"), "a query becomes a part of larger ones")
    }

    @Test func rowsThatHaveExpiredAreLeftOutByTheDayOfTheRun() throws {
        let job = try JobFile.read(JobFileTests.promotions, file: "promotions.yaml")
        let day = Timestamp(milliseconds: 1_793_232_000_000)  // 2026-10-29 00:00 UTC
        #expect(job.at(day).subjobs[0].rows.contains("\"last_day\" >= '2026-10-22'"))
        #expect(job.at(day + 86_399_999) == job.at(day))
        #expect(!job.subjobs[0].rows.contains("last_day\" >="))
    }

    @Test(
        arguments: [
            ("title: Promotions by store", "titel: Promotions", 2, "did you mean 'title'?"),
            ("job: promotions", "job: 'no good/name'", 1, "cannot name a job"),
            ("time_zone: Europe/Vienna", "time_zone: Europe/Wien", 9, "there is no time zone"),
            ("every: day", "every: fortnight", 7, "is no recurrence"),
            ("\"05:30\"", "\"25:30\"", 8, "is no time of day"),
            ("between: 08:00-20:00", "between: 08:00", 11, "is no part of a day"),
            ("max_rows: 1000", "max_rows: many", 15, "must be a whole number"),
            ("max_rows: 1000", "max_rows: 1e30", 15, "must be a whole number"),
            ("max_removed_percent: none", "max_removed_percent: some", 15, "must be a number"),
            ("every: 15 minutes", "every: 15 minutes\n      count: 500000", 11, "'count' must be"),
            (
                "every: 15 minutes", "every: 15 minutes\n      start: 2026-05-02\n      end: 2026-05-01", 12,
                "before 'start'"
            ),
            ("drop_expired_after_days: 7", "index: [last_day]", 35, "does nothing without"),
            ("key: [promotion_id]", "key: [promo]", 19, "key column promo is not a column"),
            ("price_cents: integer", "price_cents: money", 22, "has no type that we know"),
            ("price: price_cents", "price: note", 25, "must name a column of numbers"),
            ("last_day: text null", "_Born: text null", 18, "a column cannot be called _Born"),
            ("- table: promotion", "- table: promotion__removed", 18, "a table cannot be called"),
            ("policy: full", "policy: always", 31, "must be one of delta, full"),
            ("lock_budget_ms: 20", "lock_budget_ms: 0", 33, "whole number from 1"),
            ("expires_by: last_day", "expires_by: day", 34, "rows cannot expire without"),
            ("subjobs:", "subjobs: none\nothers:", 17, "must be a list"),
            ("job: promotions", "job: a\njob: b", 0, "the same setting stands there twice"),
            ("title: Promotions by store", "title: [", 0, "this is no YAML"),
            ("initial: false", "initial: maybe", 13, "must be true or false"),
        ])
    func aFaultIsToldAtItsLine(right: String, wrong: String, line: Int, words: String) {
        let text = JobFileTests.promotions.replacing(right, with: wrong)
        do {
            _ = try JobFile.read(text, file: "promotions.yaml")
            Issue.record("was taken for good")
        } catch {
            let fault = error.faults.first { "\($0)".contains(words) }
            #expect(fault != nil, "\(error)")
            if line > 0 { #expect(fault?.line == line, "\(error)") }
        }
    }

    @Test func allFaultsOfAFileAreToldAtOnce() {
        let text = JobFileTests.promotions.replacing("policy: full", with: "policy: x").replacing(
            "initial:", with: "int:")
        #expect(throws: JobFaults.self) { try JobFile.read(text, file: "p.yaml") }
        do { _ = try JobFile.read(text, file: "p.yaml") } catch { #expect(error.faults.count == 2) }
    }

    @Test func anEmptyFileAndOneThatIsTooLongAreRefused() {
        #expect(throws: JobFaults.self) { try JobFile.read("", file: "p.yaml") }
        #expect(throws: JobFaults.self) { try JobFile.read(String(repeating: " ", count: 1_048_577), file: "p.yaml") }
        #expect(throws: JobFaults.self) { try JobFile.read("- a\n- b\n", file: "p.yaml") }
    }

    // MARK: several files

    private func file(_ name: String, _ edits: (String, String)...) -> (name: String, text: String) {
        let text = edits.reduce(JobFileTests.promotions) { $0.replacing($1.0, with: $1.1) }
        return (name, text)
    }

    @Test func aBadFileNeverStopsTheOthers() {
        let set = JobSet(files: [("bad.yaml", "job: bad\n"), file("promotions.yaml")])
        #expect(set.jobs.map(\.id.rawValue) == ["assortments", "delivery-modes", "prices", "promotions"])
        #expect(set.badFiles.map(\.file) == ["bad.yaml"])
        #expect(set.badFiles[0].job?.rawValue == "bad")
    }

    @Test func aFileStandsBeforeTheJobOfTheSameNameThatComesWithTheHub() {
        let set = JobSet(files: [file("p.yaml", ("job: promotions", "job: prices"))])
        #expect(set.jobs.map(\.id.rawValue) == ["assortments", "delivery-modes", "prices"])
        #expect(set.jobs.last?.file == "p.yaml")
    }

    @Test func aBadFileForAJobOfTheHubLeavesThatJobOut() {
        let set = JobSet(files: [file("p.yaml", ("job: promotions", "job: prices"), ("policy: full", "policy: x"))])
        #expect(set.jobs.map(\.id.rawValue) == ["assortments", "delivery-modes"])
        #expect(set.badFiles[0].job?.rawValue == "prices")
    }

    @Test func oneTableHasOneJob() {
        let set = JobSet(files: [file("p.yaml", ("table: promotion", "table: product"))])
        #expect(set.job(JobID("promotions").unsafelyUnwrapped) == nil)
        #expect(set.badFiles[0].faults[0].message == "table product is filled by job assortments already")
        #expect(set.badFiles[0].faults[0].line == 18)
    }

    @Test func jobsStandAfterThoseTheyFollowAndCirclesAreRefused() {
        let a = file(
            "a.yaml", ("job: promotions", "job: a"), ("[assortments]", "[b]"), ("table: promotion", "table: pa"))
        let b = file("b.yaml", ("job: promotions", "job: b"), ("table: promotion", "table: pb"))
        #expect(JobSet(files: [a, b]).jobs.map(\.id.rawValue).suffix(2) == ["b", "a"])
        let circle = file(
            "b.yaml", ("job: promotions", "job: b"), ("[assortments]", "[a]"), ("table: promotion", "table: pb"))
        let set = JobSet(files: [a, circle])
        #expect(set.jobs.count == 3 && set.badFiles.count == 2)
        let lost = JobSet(files: [a])
        #expect(lost.badFiles[0].faults[0].message == "there is no job 'b' to follow")
    }
}
