import Foundation
import GRDB
import WaybillAdmin
import WaybillJobs
import WaybillModel
import WaybillPlan
import WaybillSchedule
import WaybillSessions
import WaybillSocket

/// Jobs as administrators see and check them.
extension HubBackend {
    func jobs() async throws -> [JobSummary] {
        let set = try await jobSet()
        let hqPath = home.hqDatabase
        let standings = try await standings()
        let found = try await onOwnThread {
            try set.jobs.reduce(into: [JobID: [String]]()) { $0[$1.id] = try faults(of: $1, hqPath: hqPath) }
        }
        return try await operations.reading { db in
            var jobs = try set.jobs.map { try summary($0, found[$0.id] ?? [], standings[$0.id], in: db) }
            for file in set.badFiles {
                jobs.append(
                    JobSummary(
                        job: file.job ?? JobID("unknown").unsafelyUnwrapped, title: "", lastSession: nil,
                        lastStatus: nil, tables: [], file: file.file, faults: file.faults.map(\.description)))
            }
            return jobs
        }
    }

    func job(_ id: JobID) async throws -> JobDetail {
        let set = try await jobSet()
        guard let job = set.job(id) else { throw unknownJob(id, in: set) }
        let hqPath = home.hqDatabase
        let (inputs, faults) = try await onOwnThread {
            do {
                return (try Rows.check(job, hqPath: hqPath).inputs.sorted(), [String]())
            } catch let faults as JobFaults {
                return (job.inputs, faults.faults.map(\.description))
            }
        }
        let standing = try await standings()[id]
        return try await operations.reading { db in
            JobDetail(
                summary: try summary(job, faults, standing, in: db), inputs: inputs,
                prepare: job.prepare.flatMap(\.statements),
                subjobs: job.subjobs.map { JobDetail.Subjob(table: $0.table, rows: $0.rows, members: $0.members) })
        }
    }

    /// The jobs as their files now say; looks at the disk.
    func jobSet() async throws -> JobSet {
        let catalogue = catalogue
        return try await onOwnThread { catalogue.current }
    }

    private func faults(of job: Job, hqPath: String) throws -> [String] {
        do {
            _ = try Rows.check(job, hqPath: hqPath)
            return []
        } catch let faults as JobFaults {
            return faults.faults.map(\.description)
        }
    }

    func summary(
        _ job: Job, _ faults: [String], _ standing: JobStanding?, in db: Database
    ) throws -> JobSummary {
        let query = SessionQuery(job: job.id.rawValue, includesNoData: true, limit: 1)
        let last = try SessionList.lines(query, in: db).first
        return JobSummary(
            job: job.id, title: job.title, lastSession: last?.session.id,
            lastStatus: last.map { RollUp.status($0.session.status, $0.deliveries) },
            tables: job.subjobs.map(\.table.name), file: job.file, faults: faults, state: standing?.state.rawValue,
            holdReason: standing?.hold, nextRunAt: standing?.nextRunAt.map(UTCTime.init),
            lastRun: try JobRun.history(of: job.id, limit: 1, in: db).first.map(JobRunLine.init))
    }

    func unknownJob(_ job: JobID, in set: JobSet) -> AdminError {
        if let file = set.badFiles.first(where: { $0.job == job }), let fault = file.faults.first {
            let more = file.faults.count > 1 ? "; see: waybill job list" : ""
            return .conflict("job \(job) cannot be used: \(fault)\(more)")
        }
        return .notFound(
            "there is no job '\(job)'; there are: \(set.jobs.map(\.id.rawValue).joined(separator: ", "))")
    }

    // MARK: check

    func checkJob(_ request: JobCheckRequest) async throws -> JobCheckReply {
        let set = try await jobSet()
        let home = home
        let now = clock.now()
        return try await onOwnThread {
            var reply = JobCheckReply(file: request.file, job: nil, faults: [], inputs: [], tables: [])
            do {
                let job = try JobFile.read(request.text, file: request.file)
                reply.job = job.id
                try checkBeside(set, job)
                reply.inputs = try Rows.check(job, hqPath: home.hqDatabase).inputs.sorted()
                let scratch = home.incoming + "/check-\(UInt64.random(in: .min ... .max)).db"
                let trial = try Rows.trial(job.at(now), hqPath: home.hqDatabase, scratchPath: scratch)
                reply.tables = trial.map { JobCheckReply.Table(table: $0.table, rows: $0.rows, stores: $0.stores) }
            } catch let faults as JobFaults {
                reply.faults = faults.faults.map {
                    JobCheckReply.Fault(line: $0.line, message: $0.message, hint: $0.hint)
                }
            } catch let fault as DerivationFault {
                reply.faults = [JobCheckReply.Fault(line: 0, message: fault.detail, hint: nil)]
            }
            return reply
        }
    }

    /// What would be wrong with the job among the others.
    private func checkBeside(_ set: JobSet, _ job: Job) throws {
        let others = set.jobs.filter { $0.id != job.id }
        let together = JobSet(builtIn: others + [job], files: [])
        if let bad = together.badFiles.first(where: { $0.job == job.id }) { throw JobFaults(bad.faults) }
    }
}
