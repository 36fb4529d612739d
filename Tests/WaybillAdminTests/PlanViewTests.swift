import Testing
import WaybillAdmin
import WaybillConsole
import WaybillModel

/// What a dry run and a held session look like.
@Suite struct PlanViewTests {
    private let pipe = Screen(columns: nil, hasColour: false)

    private func stores(_ count: Int) -> [StoreID] { (1...count).compactMap { StoreID("S\($0)") } }

    private func job(_ name: String) throws -> JobID { try #require(JobID(name)) }

    private func audience(
        stores count: Int, tables: [TablePlan], exceeds: [String] = [], isFirstLoad: Bool = false
    ) -> AudiencePlan {
        AudiencePlan(
            stores: stores(count), kind: isFirstLoad ? .full : .delta, isFirstLoad: isFirstLoad, bytesEstimate: 1200,
            tables: tables, exceeds: exceeds)
    }

    private var product: TablePlan {
        TablePlan(
            table: "product", added: 1, changed: 2, removed: 412, had: 500, priceMoves: [],
            disappearing: (1...20).map { "P\($0)" })
    }

    private var price: TablePlan {
        TablePlan(
            table: "price_base", added: 0, changed: 2, removed: 0, had: nil,
            priceMoves: [
                PriceMovePlan(key: ["COF", "L3"], column: "amount_e4", before: 18.9, after: 1.89, percent: -90),
                PriceMovePlan(key: ["TEA", "L4"], column: "amount_e4", before: 0, after: 2.5, percent: nil),
            ], disappearing: [])
    }

    private var still: TablePlan {
        TablePlan(
            table: "category", added: 0, changed: 0, removed: 0, had: nil, priceMoves: [], disappearing: [])
    }

    @Test func anAudienceShowsWhatChangesAndWhichLimitItBreaks() throws {
        let plan = JobPlan(
            job: try job("prices"), version: Version(epoch: 1, number: 3),
            audiences: [
                audience(
                    stores: 5, tables: [product, still, price],
                    exceeds: ["lose 412 of 500 rows of product (82.4 %, limit 30 %)"])
            ], noData: 2, covered: 1, waitsFor: [Sample.session], needsApproval: true)
        #expect(
            PlanViews.plan(PlanReply(jobs: [plan]), allStores: false, pipe) == [
                "prices: 5 stores in 1 audience, about 6.0 kB to send; would await approval",
                "  2 stores have nothing to get",
                "  for 1 store the same is in session 7 already",
                "  5 stores, delta, about 1.2 kB each: S1, S2, S3 and 2 more",
                "    would lose 412 of 500 rows of product (82.4 %, limit 30 %)",
                "    TABLE       ADDED  CHANGED  REMOVED",
                "    product         1        2      412  of 500",
                "    price_base      0        2        0",
                "    products that disappear from product: P1, P2, P3, P4, P5 and 407 more",
                "    BIGGEST MOVES OF amount_e4  BEFORE  AFTER  CHANGE",
                "    COF, L3                      18.90   1.89   -90 %",
                "    TEA, L4                       0.00   2.50       -",
            ])
    }

    @Test func everyStoreIsNamedOnRequest() throws {
        let plan = PlanReply(jobs: [
            JobPlan(job: try job("prices"), audiences: [audience(stores: 5, tables: [still], isFirstLoad: true)])
        ])
        #expect(
            PlanViews.plan(plan, allStores: true, pipe) == [
                "prices: 5 stores in 1 audience, about 6.0 kB to send",
                "  5 stores, first load, about 1.2 kB each: S1, S2, S3, S4, S5",
                "    changes nothing there",
            ])
    }

    @Test func ofManyAudiencesThoseThatBreakALimitComeFirst() throws {
        let quiet = (0..<30).map { _ in audience(stores: 1, tables: [price]) }
        let loud = audience(stores: 2, tables: [price], exceeds: ["have 9 rows added, changed or removed (limit 8)"])
        let plan = PlanReply(jobs: [JobPlan(job: try job("prices"), audiences: quiet + [loud])])
        let lines = PlanViews.plan(plan, allStores: false, pipe)
        #expect(lines[1].hasPrefix("  2 stores"))
        #expect(lines.filter { $0.contains("BIGGEST") }.count == 10)
        #expect(lines.last == "  … and 21 audiences more; see all with --stores or --json")
        #expect(PlanViews.plan(plan, allStores: true, pipe).filter { $0.contains("BIGGEST") }.count == 31)
    }

    @Test func aJobWithoutWorkAndOneThatCannotBePlannedSaySo() throws {
        let plan = PlanReply(jobs: [
            JobPlan(job: try job("prices"), noData: 3),
            JobPlan(job: try job("mine"), error: "job mine: table t: no such column: \u{1b}[31mx"),
        ])
        #expect(
            PlanViews.plan(plan, allStores: false, pipe) == [
                "prices: nothing to send", "  3 stores have nothing to get", "", "mine: cannot be planned",
                "  job mine: table t: no such column: [31mx",
            ])
    }

    @Test func nothingIsCutOffThatSaysWhyAndNoLineIsTooLong() throws {
        let reason =
            "lose 412 of 500 rows of a_table_with_a_rather_long_name_that_says_what_it_holds (82.4 %, limit 30 %)"
        let plan = PlanReply(jobs: [
            JobPlan(job: try job("prices"), audiences: [audience(stores: 60, tables: [product], exceeds: [reason])])
        ])
        let lines = PlanViews.plan(plan, allStores: true, Screen(columns: 80, hasColour: false))
        #expect(lines.allSatisfy { $0.count <= 80 })
        let text = lines.map { $0.drop { $0 == " " } }.joined(separator: " ")
        #expect(text.contains(reason) && text.contains("S59, S60"))
    }

    @Test func whoWaitsIsToldThatASessionAwaitsApprovalAndWhatToDo() throws {
        let held = Sample.summary("AwaitingApproval", message: "store S7 would lose 412 of 500 rows of product")
        #expect(
            Waiting.heldLines([Sample.summary("Applied", message: nil), held]) == [
                "session 7-000000000001 of job prices awaits approval: store S7 would lose 412 of 500 rows of product",
                "let it go with: waybill session approve 7, or: waybill session cancel 7",
            ])
        let detail = SessionDetail(summary: held, deliveries: [])
        #expect(Waiting(givesUpOffline: false).verdict([detail], online: nil) == .over(missing: [], failed: []))
    }

    @Test func aHeldSessionSaysWhyAndAnApprovedOneRemembers() throws {
        let reason = "store S7 would lose 412 of 500 rows of product (82.4 %, limit 30 %)"
        var approval = ApprovalDetail(reason: reason, heldAt: Sample.time, approvedAt: nil, stores: stores(2))
        let held = SessionDetail(
            summary: Sample.summary("AwaitingApproval", message: reason), deliveries: [], approval: approval)
        let lines = SessionViews.detail(held, now: Sample.time.timestamp, pipe)
        #expect(lines.filter { $0.contains(reason) }.count == 1)
        #expect(lines.contains { $0.contains("2 stores would get it; let it go with: waybill session approve 7") })
        approval.approvedAt = Sample.time
        let approved = SessionDetail(
            summary: Sample.summary("Applied", message: nil), deliveries: [], approval: approval)
        #expect(
            SessionViews.detail(approved, now: Sample.time.timestamp, pipe).contains(
                "  approved  2026-11-21 10:53:00Z"))
    }
}

extension Sample {
    fileprivate static let session = SessionID(number: 7, random: 1)
    fileprivate static let time = UTCTime(Timestamp(milliseconds: 1_795_258_380_123))

    fileprivate static func summary(_ status: String, message: String?) -> SessionSummary {
        SessionSummary(
            id: session, job: JobID("prices").unsafelyUnwrapped, status: status, kind: .delta,
            version: Version(epoch: 1, number: 1), createdAt: time, rows: 1, bytes: 1, bytesDone: 0, deliveries: [:],
            message: message)
    }
}
