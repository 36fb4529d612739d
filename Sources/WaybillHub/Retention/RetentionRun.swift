import Foundation
import GRDB
import WaybillAdmin
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillPlan
import WaybillSessions

/// Bounds of forgetting, each with its reason.
enum RetentionLimits {
    /// Rows of the change log taken in one transaction: under 2 ms of `hq.db`'s lock, which an ERP waits for.
    static let logSlice = 500
    /// Rows of `rows.db` taken between two tasks of the publisher: some 50 ms that a session begins later.
    static let pastSlice = 5_000
    /// Deliveries taken in one transaction of `hub.db`, in which the wire thread writes what stores report.
    static let deliverySlice = 1_000
    /// Packages dropped in one transaction.
    static let packageSlice = 200
    /// Milliseconds between two slices: who waits for a lock tries again meanwhile, and gets it.
    static let pauseMilliseconds = 10
}

/// Who lets others use `rows.db`: its thread, between two sessions.
protocol RowsKeeper {
    func onRows<T: Sendable>(_ body: @escaping @Sendable (Rows) throws -> T) throws -> T
}

/// The hub is stopping; what is left to be forgotten waits for the next run.
struct RetentionInterrupted: Error, CustomStringConvertible {
    var description: String { "the hub is stopping; the next run goes on" }
}

/// Something that keeps its own rows and files and forgets them by itself when told what is old.
struct RetentionHook: Sendable {
    /// As in the reply: `staging`, `runs`.
    var kind: String
    /// Forgets in slices what was over before the moment that concerns it, or only counts it.
    /// - Parameter pause: to be called between two slices; throws when the hub stops.
    var forget:
        @Sendable (_ cutoffs: RetentionCutoffs, _ isDryRun: Bool, _ pause: () throws -> Void) throws -> (
            rows: Int64, bytes: Int64
        )
}

/// One run of forgetting, over everything that a hub keeps.
///
/// What is of no use to anybody goes by age; what somebody may need goes when it is too old or too much. The parts know
/// nothing of each other: when one fails, the others are done all the same, and the failure is told.
struct RetentionRun {
    var home: HubHome
    var operations: Operations
    var jobs: [Job]
    var policy: RetentionPolicy
    var rows: any RowsKeeper
    var hooks: [RetentionHook] = []
    /// Waits so many milliseconds.
    var pause: (Int) -> Void
    var isStopping: () -> Bool

    func run(_ request: RetentionRequest, at now: Timestamp) -> RetentionReply {
        let cutoffs = policy.cutoffs(at: now, olderThanSeconds: request.olderThanSeconds)
        var reply = RetentionReply(dryRun: request.dryRun)
        part("the history could not be shortened", &reply) { try forgetPast(cutoffs, request.dryRun, &$0) }
        part("packages could not be removed", &reply) { try dropPackages(cutoffs, request.dryRun, &$0) }
        part("sessions could not be forgotten", &reply) { try forgetSessions(cutoffs, request.dryRun, &$0) }
        for hook in hooks {
            part("\(hook.kind) could not be forgotten", &reply) { reply in
                let gone = try hook.forget(cutoffs, request.dryRun) { try takeBreath() }
                reply.kinds.append(.init(kind: hook.kind, rows: gone.rows, bytes: gone.bytes))
            }
        }
        return reply
    }

    private func part(
        _ failure: String, _ reply: inout RetentionReply, _ body: (inout RetentionReply) throws -> Void
    ) {
        do { try body(&reply) } catch { reply.problems.append("\(failure): \(error)") }
    }

    private func takeBreath() throws {
        guard !isStopping() else { throw RetentionInterrupted() }
        pause(RetentionLimits.pauseMilliseconds)
    }

    // MARK: rows of the past and the change log

    private func forgetPast(_ cutoffs: RetentionCutoffs, _ isDryRun: Bool, _ reply: inout RetentionReply) throws {
        let jobs = jobs
        let holds = try operations.read { try Retention.needs(in: $0) }.map {
            HistoryHold(store: $0.store, job: $0.job, base: Base(version: $0.version, token: $0.token))
        }
        let decision = try rows.onRows { rows in
            if !isDryRun { try rows.notePast(of: jobs, at: cutoffs.now) }
            return try rows.decide(jobs, cutoffs, holds: holds)
        }
        var loads: [RetentionReply.FullLoad] = []
        for hold in decision.fullLoads where loads.last != .init(store: hold.store, job: hold.job) {
            loads.append(.init(store: hold.store, job: hold.job))
        }
        reply.fullLoads = loads
        let past = try rows.onRows { rows in (try rows.count(decision, jobs), try rows.pastRowBytes(jobs)) }
        let log = try HubUsage.readingHQ(home) { db in
            (try ChangeLog.count(upTo: decision.logUpTo, in: db), try ChangeLog.rowBytes(in: db))
        }
        if isDryRun {
            reply.kinds.append(.init(kind: "history", rows: past.0, bytes: past.0 * past.1))
            reply.kinds.append(.init(kind: "changes", rows: log.0, bytes: log.0 * log.1))
            return
        }
        try rows.onRows { try $0.raiseFloors(decision, cutoffs) }
        CrashPoint.purging.pass()
        try forgetRows { reply.add(.init(kind: "history", rows: $0, bytes: $0 * past.1)) }
        try forgetChanges(upTo: decision.logUpTo) { reply.add(.init(kind: "changes", rows: $0, bytes: $0 * log.1)) }
    }

    /// - Parameter tell: is told what each slice has taken, so that a run cut short tells what it did.
    private func forgetRows(tell: (Int64) -> Void) throws {
        for job in jobs {
            var isLast = false
            while !isLast {
                let slice = try rows.onRows { try $0.forgetSlice(of: job, limit: RetentionLimits.pastSlice) }
                CrashPoint.purging.pass()
                tell(slice.rows)
                isLast = slice.isLast
                if !isLast { try takeBreath() }
            }
        }
    }

    private func forgetChanges(upTo version: Int64, tell: (Int64) -> Void) throws {
        tell(0)
        guard version > 0 else { return }
        let purge = try ChangeLogPurge(hqPath: home.hqDatabase)
        defer { try? purge.close() }
        while true {
            let slice = try purge.forgetSlice(upTo: version, limit: RetentionLimits.logSlice)
            CrashPoint.purging.pass()
            tell(Int64(slice))
            guard slice == RetentionLimits.logSlice else { return }
            try takeBreath()
        }
    }

    // MARK: sessions and packages

    private func dropPackages(_ cutoffs: RetentionCutoffs, _ isDryRun: Bool, _ reply: inout RetentionReply) throws {
        var kind = RetentionReply.Kind(kind: "packages", rows: 0, bytes: 0)
        defer { reply.kinds.append(kind) }
        if isDryRun {
            let packages = try operations.read { db in
                // A package of a session that goes as well goes once.
                let dropped = try Retention.droppablePackages(before: cutoffs.packages, in: db)
                let forgotten = try Retention.countPurge(before: cutoffs.sessions, in: db).packages
                return Dictionary((dropped + forgotten).map { ($0.id, $0.bytes) }, uniquingKeysWith: { a, _ in a })
            }
            kind.rows = Int64(packages.count)
            kind.bytes = packages.values.reduce(0, +)
            return
        }
        while true {
            let packages = try operations.write { db in
                try Retention.dropPackagesSlice(
                    before: cutoffs.packages, limit: RetentionLimits.packageSlice, in: db)
            }
            CrashPoint.purging.pass()
            kind.bytes += try PackageFolder.remove(packages, from: home)
            kind.rows += Int64(packages.count)
            guard packages.count == RetentionLimits.packageSlice else { return }
            try takeBreath()
        }
    }

    private func forgetSessions(_ cutoffs: RetentionCutoffs, _ isDryRun: Bool, _ reply: inout RetentionReply) throws {
        let size = try operations.read { try HubUsage.deliveryBytes(in: $0) }
        var sessions: Int64 = 0
        var deliveries: Int64 = 0
        defer {
            reply.kinds.append(.init(kind: "sessions", rows: sessions, bytes: sessions * size.session))
            reply.kinds.append(.init(kind: "deliveries", rows: deliveries, bytes: deliveries * size.delivery))
        }
        if isDryRun {
            let purged = try operations.read { try Retention.countPurge(before: cutoffs.sessions, in: $0) }
            (sessions, deliveries) = (Int64(purged.sessions), Int64(purged.deliveries))
            return
        }
        while true {
            let slice = try operations.write { db in
                try Retention.purgeSlice(before: cutoffs.sessions, limit: RetentionLimits.deliverySlice, in: db)
            }
            CrashPoint.purging.pass()
            let freed = try PackageFolder.remove(slice.packages, from: home)
            reply.add(.init(kind: "packages", rows: Int64(slice.packages.count), bytes: freed))
            sessions += Int64(slice.sessions)
            deliveries += Int64(slice.deliveries)
            guard !slice.isLast else { return }
            try takeBreath()
        }
    }
}

extension RetentionReply {
    /// Adds to what the kind has come to already.
    fileprivate mutating func add(_ more: Kind) {
        guard let index = kinds.firstIndex(where: { $0.kind == more.kind }) else { return kinds.append(more) }
        kinds[index].rows += more.rows
        kinds[index].bytes += more.bytes
    }
}

/// Files of packages that `hub.db` has forgotten. What a crash leaves of them is swept at the next start.
enum PackageFolder {
    static func remove(_ packages: [(id: String, bytes: Int64)], from home: HubHome) throws -> Int64 {
        var freed: Int64 = 0
        for package in packages {
            let path = home.packages + "/" + package.id + ".zst"
            guard unlink(path) == 0 || errno == ENOENT else { throw FileFault("remove", path) }
            freed += package.bytes
        }
        return freed
    }
}
