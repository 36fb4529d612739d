import WaybillAdmin
import WaybillModel

/// A file that an administrator has uploaded, complete and on this machine.
public struct UploadedFile: Hashable, Sendable {
    /// As the administrator calls it: `product.csv`. A plain file name, unique within an import.
    public var name: String
    public var path: String

    public init(name: String, path: String) {
        self.name = name
        self.path = path
    }
}

/// What the hub does for an administrator. The server in this folder turns it into HTTP; the hub implements it.
///
/// A function throws ``WaybillAdmin/AdminError`` for what the administrator can understand; any other error is
/// answered as `failed`, with its description. Ids are well-formed here, but may be unknown: that is `notFound`.
public protocol AdminBackend: Sendable {
    func status() async throws -> HubStatus

    /// Newest first, at most `filter.limit`.
    func sessions(_ filter: SessionFilter) async throws -> [SessionSummary]
    func session(_ session: SessionReference) async throws -> SessionDetail
    /// The same without the deliveries: asked for several times a second by those who wait.
    func sessionSummary(_ session: SessionReference) async throws -> SessionSummary
    /// Calls deliveries off and returns without waiting for the stores' answers.
    func cancel(_ session: SessionReference, _ request: CancelRequest) async throws -> CancelReply
    func rerun(_ session: SessionReference, _ request: RerunRequest) async throws -> RerunReply
    /// Gives suspended deliveries their tries anew.
    func retry(_ session: SessionReference, _ request: RetryRequest) async throws -> RetryReply
    func purge(_ request: PurgeRequest) async throws -> PurgeReply
    /// Forgets whatever is old enough, of every kind; returns when that is done.
    func forget(_ request: RetentionRequest) async throws -> RetentionReply
    /// Creates the sessions and returns; they may still be `Started`.
    func publish(_ request: PublishRequest) async throws -> PublishReply
    /// Says what publishing would do, and does nothing of it.
    func plan(_ request: PlanRequest) async throws -> PlanReply
    /// Offers a session that awaits approval to its stores.
    func approve(_ session: SessionReference) async throws -> ApproveReply
    /// Begins to verify that stores have what jobs define for them, and returns.
    func verify(_ request: VerifyRequest) async throws -> VerifyReply
    /// Newest first.
    func verifications(_ filter: VerificationFilter) async throws -> [VerificationSummary]

    /// By store, all of them.
    func stores() async throws -> [StoreSummary]
    func store(_ store: StoreID) async throws -> StoreDetail
    /// Makes a new enrolment code; for a store that is known already, one that replaces its agent.
    func addStore(_ request: StoreAddRequest) async throws -> StoreAdded
    func retireStore(_ store: StoreID) async throws -> StoreSummary

    /// Rows that stores could not take, by store.
    func quarantine(_ filter: QuarantineFilter) async throws -> [StoreQuarantine]
    /// Orders stores to try such rows again or to forget them, and returns without waiting for them.
    func orderQuarantine(_ request: QuarantineRequest) async throws -> QuarantineReply
    func keyStatus() async throws -> KeyStatus
    /// Makes the hub's next keys and tells every store of them; changes nothing when they are made already.
    func announceKeys() async throws -> KeyStatus
    /// Takes the next keys in place of the present ones.
    func switchKeys(_ request: KeySwitchRequest) async throws -> KeySwitchReply
    /// Has stores make new keys when they are heard next.
    func renewStoreKeys(_ request: StoreKeyRequest) async throws -> StoreKeyReply

    /// HQ's tables, that is the names of files that can be imported.
    func tables() async throws -> [String]
    func jobs() async throws -> [JobSummary]
    func job(_ job: JobID) async throws -> JobDetail
    /// Whether a job file could be used; nothing is changed.
    func checkJob(_ request: JobCheckRequest) async throws -> JobCheckReply
    /// Asks for a run and returns; it may have to wait for its turn.
    func run(_ job: JobID, _ request: JobRunRequest) async throws -> JobRunLine
    func jobRun(_ job: JobID, _ number: Int64) async throws -> JobRunLine
    /// Newest first.
    func jobRuns(_ job: JobID, limit: Int) async throws -> [JobRunLine]
    /// Keeps the job from starting by itself.
    func hold(_ job: JobID, _ request: JobHoldRequest) async throws -> JobSummary
    func resume(_ job: JobID) async throws -> JobSummary
    /// Why a store has rows of a table, or has not.
    func why(_ request: WhyRequest) async throws -> WhyReply

    /// Imports all the files or nothing. Its task is cancelled when a progress line finds that the administrator has
    /// hung up.
    ///
    /// - Parameter progress: may be called from any thread and as often as one likes; calls are thinned out.
    /// - Throws: ``WaybillAdmin/ImportFaults`` when the files are at fault.
    func importFiles(
        _ files: [UploadedFile], _ request: ImportRequest, progress: @escaping @Sendable (ImportProgressLine) -> Void
    ) async throws -> ImportReply
    /// What an import would do. Files that would be refused are no error, but part of the answer.
    func previewImport(
        _ files: [UploadedFile], _ request: ImportRequest, progress: @escaping @Sendable (ImportProgressLine) -> Void
    ) async throws -> ImportPreviewReply
    /// By name, those that cannot be used as well.
    func mappings() async throws -> [MappingSummary]

    /// Newest first.
    func stagedImports(limit: Int) async throws -> [StagedImportSummary]
    func stagedImport(_ id: Int64, _ filter: StagedRowFilter) async throws -> StagedImportDetail
    func cleanStaging(_ request: StagingCleanRequest) async throws -> StagingCleanReply
    /// Imported files of a watched folder that may still lie in it.
    func unfiledFiles(watch: String) async throws -> [UnfiledFile]
    func markFiled(_ id: Int64, _ request: FiledRequest) async throws

    /// Newest first.
    func audit(_ filter: AuditFilter) async throws -> [AuditLine]
    /// Whether the audit log's chain holds, and ends no earlier than at what the witness has seen.
    func verifyAudit(_ witness: AuditWitness?) async throws -> AuditVerification
}

extension AdminBackend {
    public func sessionSummary(_ session: SessionReference) async throws -> SessionSummary {
        try await self.session(session).summary
    }
}
