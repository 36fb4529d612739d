import Foundation
import WaybillAdmin
import WaybillHub
import WaybillModel

/// A hub of a few values. Each cancel and publish shows in the sessions; nothing else happens by itself.
actor FakeBackend: AdminBackend {
    static let first = SessionID(number: 1, random: 0xa)
    static let second = SessionID(number: 2, random: 0xb)
    static let time = UTCTime(Timestamp(milliseconds: 1_795_258_380_123))

    struct Imported: Sendable, Equatable {
        var names: [String]
        var bytes: [Int]
        var replace: Bool
    }

    private(set) var imported: [Imported] = []
    private(set) var published: [PublishRequest] = []
    private(set) var canceled: [CancelRequest] = []
    private(set) var filters: [SessionFilter] = []
    private(set) var retried: [RetryRequest] = []
    private(set) var purged: [Int64] = []
    var quarantineOrders: [QuarantineRequest] = []
    var leavesOrdersOpen = false
    private(set) var asked: [WhyRequest] = []
    /// Asked for how often; the second look finds the cancel answered.
    private var looksAtFirst = 0
    private var importAnswer: Result<ImportReply, any Error> = .success(FakeBackend.reply)

    static let reply = ImportReply(
        tables: [
            .init(table: "product", file: "product.csv", rows: 3, inserted: 1, updated: 1, unchanged: 1, removed: 0)
        ],
        warnings: [], warningsTotal: 0, version: 17)

    static let plan = PlanReply(jobs: [
        JobPlan(
            job: JobID("prices").unsafelyUnwrapped, version: Version(epoch: 1, number: 280),
            audiences: [
                AudiencePlan(
                    stores: ["S1", "S2", "S3", "S4"].compactMap(StoreID.init), kind: .delta, isFirstLoad: false,
                    bytesEstimate: 764,
                    tables: [
                        TablePlan(
                            table: "price_base", added: 0, changed: 2, removed: 412, had: 500,
                            priceMoves: [
                                PriceMovePlan(
                                    key: ["COF-HAUS"], column: "base_price_e4", before: 18.9, after: 189, percent: 900),
                                PriceMovePlan(
                                    key: ["TEA"], column: "base_price_e4", before: 0, after: 2.5, percent: nil),
                            ],
                            disappearing: ["BAK-1", "BAK-2"]),
                        TablePlan(
                            table: "exchange_rate", added: 0, changed: 0, removed: 0, had: nil, priceMoves: [],
                            disappearing: []),
                    ],
                    exceeds: ["lose 412 of 500 rows of price_base (82.4 %, limit 30 %)"])
            ],
            noData: 2, covered: 1, waitsFor: [FakeBackend.first], needsApproval: true)
    ])

    private var runsUntilCancelled = false
    private(set) var wasCancelled = false

    func runImportsUntilCancelled() { runsUntilCancelled = true }

    func answerImports(_ answer: Result<ImportReply, any Error>) { importAnswer = answer }

    func status() async throws -> HubStatus {
        HubStatus(
            hub: .init(version: "0.1.0", startedAt: FakeBackend.time, home: "/srv/waybill"),
            stores: .init(active: 3, online: 2, offline: 1, behind: 1, pending: 1, retired: 0),
            sessions: .init(running: 1, failedStores: 1),
            jobs: .init(usable: 3, onHold: 1, unusable: 0),
            disk: .init(
                hqBytes: 1_200_000, rowsBytes: 0, hubBytes: 40_960, packagesBytes: 5, freeBytes: 80_000_000_000),
            slowest: .init(
                store: try storeS2(), job: prices.job, behindSince: FakeBackend.time, fullLoadAfter: FakeBackend.time),
            errors: [
                .init(
                    at: FakeBackend.time, store: StoreID("S3"), session: FakeBackend.first,
                    message: "disk \u{1b}[31mfull")
            ])
    }

    func sessions(_ filter: SessionFilter) async throws -> [SessionSummary] {
        filters.append(filter)
        return [detail(FakeBackend.second).summary, detail(FakeBackend.first).summary]
    }

    func session(_ session: SessionReference) async throws -> SessionDetail { detail(try id(session)) }

    func cancel(_ session: SessionReference, _ request: CancelRequest) async throws -> CancelReply {
        canceled.append(request)
        let stores = [("S1", CancelReply.Answer.tooLate), ("S2", .pending)].compactMap { name, answer in
            StoreID(name).map {
                CancelReply.Store(store: $0, answer: answer, at: answer == .tooLate ? FakeBackend.time : nil)
            }
        }
        return CancelReply(
            session: try id(session),
            stores: request.stores.isEmpty ? stores : stores.filter { request.stores.contains($0.store) })
    }

    func rerun(_ session: SessionReference, _ request: RerunRequest) async throws -> RerunReply {
        throw AdminError.conflict("session \(try id(session)) is applied at every store")
    }

    /// The second session is suspended at S2, the first nowhere.
    func retry(_ session: SessionReference, _ request: RetryRequest) async throws -> RetryReply {
        retried.append(request)
        let id = try id(session)
        let stores = ["S1", "S2"].compactMap(StoreID.init).filter {
            request.stores.isEmpty || request.stores.contains($0)
        }
        return RetryReply(
            session: id,
            stores: stores.map { store in
                let isSuspended = id == FakeBackend.second && store.rawValue == "S2"
                return .init(
                    store: store, accepted: isSuspended, message: isSuspended ? "offered again" : "it is Applied")
            })
    }

    func purge(_ request: PurgeRequest) async throws -> PurgeReply {
        purged.append(request.olderThanSeconds)
        return PurgeReply(sessions: 3, packages: 2, bytesFreed: 1_500_000)
    }

    private(set) var forgotten: [RetentionRequest] = []
    private var forgetsWithProblems = false

    func failToForget() { forgetsWithProblems = true }

    func forget(_ request: RetentionRequest) async throws -> RetentionReply {
        forgotten.append(request)
        return RetentionReply(
            dryRun: request.dryRun,
            kinds: [
                .init(kind: "changes", rows: 12_000, bytes: 500_000), .init(kind: "packages", rows: 3, bytes: 70_000),
            ],
            fullLoads: [.init(store: try storeS2(), job: prices.job)], tookMs: 120,
            problems: forgetsWithProblems ? ["the history could not be shortened: hq.db is locked"] : [])
    }

    private func storeS2() throws -> StoreID {
        guard let store = StoreID("S2") else { throw AdminError.notFound("no store S2") }
        return store
    }

    func publish(_ request: PublishRequest) async throws -> PublishReply {
        published.append(request)
        return PublishReply(sessions: [
            .init(id: FakeBackend.second, job: detail(FakeBackend.second).summary.job, status: "Started")
        ])
    }

    private(set) var planned: [PlanRequest] = []

    func plan(_ request: PlanRequest) async throws -> PlanReply {
        planned.append(request)
        return FakeBackend.plan
    }

    func approve(_ session: SessionReference) async throws -> ApproveReply {
        let id = try id(session)
        guard id == FakeBackend.first else {
            throw AdminError.conflict("session \(id) does not await approval: it was canceled")
        }
        return ApproveReply(session: id, stores: ["S1", "S2"].compactMap(StoreID.init))
    }

    func verify(_ request: VerifyRequest) async throws -> VerifyReply {
        if let store = request.stores.first(where: { $0.rawValue == "S404" }) {
            throw AdminError.notFound("there is no store \(store); add it with: waybill store add \(store)")
        }
        let stores = request.stores.isEmpty ? ["S1", "S2"].compactMap(StoreID.init) : request.stores
        return VerifyReply(verifications: stores.map { FakeBackend.verification($0, "running") })
    }

    func verifications(_ filter: VerificationFilter) async throws -> [VerificationSummary] {
        let stores = filter.stores.isEmpty ? ["S2", "S1"].compactMap(StoreID.init) : filter.stores
        return stores.map { FakeBackend.verification($0, $0.rawValue == "S2" ? "diverged" : "ok") }
    }

    private static func verification(_ store: StoreID, _ outcome: String) -> VerificationSummary {
        let isDiverged = outcome == "diverged"
        let isOver = outcome != "running"
        let finding = VerificationFinding(
            table: "price", difference: "changed", key: ["item_id": "A"], row: "item_id = 'A'",
            columns: [VerificationFinding.Column(column: "price", hq: "12", store: nil)])
        return VerificationSummary(
            id: store.rawValue == "S1" ? 1 : 2, store: store, job: JobID("prices").unsafelyUnwrapped, outcome: outcome,
            repairing: false, cause: "asked", begunAt: UTCTime(Timestamp(milliseconds: 1_700_000_000_000)),
            endedAt: isOver ? UTCTime(Timestamp(milliseconds: 1_700_000_001_000)) : nil, version: isOver ? 17 : nil,
            session: isOver ? FakeBackend.first : nil, changed: isDiverged ? 1 : 0, missing: 0, extra: 0,
            partial: false, repairSession: nil, message: nil, goodBefore: nil, findings: isDiverged ? [finding] : [])
    }

    func stores() async throws -> [StoreSummary] {
        ["S1", "S2"].compactMap(StoreID.init).map(summary)
    }

    func store(_ store: StoreID) async throws -> StoreDetail {
        guard store.rawValue != "unknown" else { throw AdminError.notFound("there is no store unknown") }
        return StoreDetail(summary: summary(store), deliveries: [])
    }

    func addStore(_ request: StoreAddRequest) async throws -> StoreAdded {
        StoreAdded(store: request.store, code: "waybill1.abc", expiresAt: FakeBackend.time)
    }

    func retireStore(_ store: StoreID) async throws -> StoreSummary { throw CocoaError(.fileNoSuchFile) }

    func tables() async throws -> [String] { ["category", "product", "store", "price_adjustment"] }

    func jobs() async throws -> [JobSummary] { [prices] }

    func job(_ job: JobID) async throws -> JobDetail {
        JobDetail(
            summary: prices, inputs: ["trade_agreement"], prepare: [],
            subjobs: [
                .init(
                    table: TableShape(name: "price", columns: [ColumnShape("id", .integer)], key: ["id"]),
                    rows: "SELECT 1", members: "SELECT 2")
            ])
    }

    func checkJob(_ request: JobCheckRequest) async throws -> JobCheckReply {
        JobCheckReply(
            file: request.file, job: nil,
            faults: [
                .init(line: 3, message: "there is no 'subjobs'", hint: "a list"),
                .init(line: 0, message: "x", hint: nil),
            ],
            inputs: ["product"], tables: [.init(table: "price", rows: 1, stores: 2)])
    }

    private var waitingRun: JobRunLine {
        JobRunLine(
            run: 7, job: prices.job, cause: "retry", full: false, stores: StoreID("S1").map { [$0] }, state: "Waiting",
            attempt: 2, askedAt: FakeBackend.time, startAfter: FakeBackend.time, session: FakeBackend.first,
            message: "no disk")
    }
    private(set) var runRequests: [JobRunRequest] = []
    private(set) var holds: [String?] = []

    func run(_ job: JobID, _ request: JobRunRequest) async throws -> JobRunLine {
        runRequests.append(request)
        return waitingRun
    }

    func jobRun(_ job: JobID, _ number: Int64) async throws -> JobRunLine {
        guard number == 7 else { throw AdminError.notFound("job \(job) has no run \(number)") }
        return waitingRun
    }

    func jobRuns(_ job: JobID, limit: Int) async throws -> [JobRunLine] {
        Array(repeating: waitingRun, count: min(limit, 2))
    }

    func hold(_ job: JobID, _ request: JobHoldRequest) async throws -> JobSummary {
        holds.append(request.reason)
        return prices
    }

    func resume(_ job: JobID) async throws -> JobSummary { prices }

    /// A row that is there, or none.
    func why(_ request: WhyRequest) async throws -> WhyReply {
        asked.append(request)
        guard request.table == "price" else {
            throw AdminError.notFound("no job fills a store table '\(request.table)'")
        }
        let reason = WhyReason(
            reason: "it costs 1", source: "trade_agreement L1", table: "trade_agreement", key: [.text("L1")],
            changedVersion: 12, changedBeforeSession: FakeBackend.first, changedBefore: FakeBackend.time)
        let brought = WhyDelivery(
            session: FakeBackend.first, status: "Applied", run: 2, createdAt: FakeBackend.time,
            appliedAt: FakeBackend.time)
        let row = WhyRow(
            state: .present, answer: "store S1 has price (1): it costs 1", key: [.integer(1)],
            values: [.integer(1), .real(1.5), .null], coming: nil, scope: "LE", scopeColumn: "scope", sinceVersion: 17,
            broughtBy: brought, pending: brought, removedBy: brought, reasons: [reason])
        return WhyReply(
            answer: row.answer, store: request.store, job: prices.job, table: "price",
            columns: ["id", "amount", "note"],
            keyColumns: ["id"], atSession: FakeBackend.first, atVersion: 17, lastRunVersion: 17, changedSince: false,
            rows: [row], reasons: [reason])
    }

    func importFiles(
        _ files: [UploadedFile], _ request: ImportRequest, progress: @escaping @Sendable (ImportProgressLine) -> Void
    ) async throws -> ImportReply {
        imported.append(
            Imported(
                names: files.map(\.name),
                bytes: files.map { FileManager.default.contents(atPath: $0.path)?.count ?? -1 },
                replace: request.replace))
        progress(ImportProgressLine(phase: "reading", file: "product.csv", rows: 1, bytesDone: 1, bytes: 2))
        while runsUntilCancelled {
            progress(ImportProgressLine(phase: "checking", file: "product.csv", rows: 1, bytesDone: 1, bytes: 2))
            if Task.isCancelled {
                wasCancelled = true
                throw CancellationError()
            }
            await Task.yield()
        }
        return try importAnswer.get()
    }

    private func id(_ reference: SessionReference) throws -> SessionID {
        for id in [FakeBackend.first, FakeBackend.second]
        where reference == .id(id) || reference == .number(id.number) {
            return id
        }
        throw AdminError.notFound("there is no session \(reference)")
    }

    /// The first session waits for a store; the second is applied everywhere.
    private func detail(_ id: SessionID) -> SessionDetail {
        let isFirst = id == FakeBackend.first
        if isFirst { looksAtFirst += 1 }
        let statuses: [(String, DeliveryStatus)] =
            isFirst ? [("S1", .applied), ("S2", looksAtFirst > 2 ? .canceled : .available)] : [("S1", .applied)]
        let deliveries = statuses.compactMap { name, status in
            StoreID(name).map {
                DeliveryDetail(
                    store: $0, status: status, kind: .delta, rows: 10, bytes: 1000, bytesDone: 1000,
                    requestedAt: FakeBackend.time, downloadedAt: nil,
                    appliedAt: status == .applied ? FakeBackend.time : nil,
                    attempts: 1, longestLockMs: 12, message: nil, run: 1, cancelRequested: false)
            }
        }
        return SessionDetail(
            summary: SessionSummary(
                id: id, job: prices.job, status: isFirst ? "Available" : "Applied", kind: .delta,
                version: Version(epoch: 1, number: 17), createdAt: FakeBackend.time, rows: 20, bytes: 2000,
                bytesDone: 2000,
                deliveries: [:], message: nil),
            deliveries: deliveries)
    }

    private func summary(_ store: StoreID) -> StoreSummary {
        StoreSummary(
            store: store, state: .active, online: true, lastSeen: FakeBackend.time, agentVersion: "0.1.0",
            watermarks: [
                prices.job: Watermark(version: Version(epoch: 1, number: 17), session: FakeBackend.first)
            ], behind: [], freeBytes: nil, message: nil)
    }

    private let prices = JobSummary(
        job: JobID("delivery-modes") ?? SampleNames.job, title: "Prices", lastSession: FakeBackend.first,
        lastStatus: "Applied", tables: ["price"])
}

enum SampleNames {
    /// A name that is surely one.
    static var job: JobID {
        guard let job = JobID("job") else { preconditionFailure("'job' is a job's name") }
        return job
    }
}
