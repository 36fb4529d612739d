import WaybillModel

/// The jobs of a hub: those that come with it and those of its job files, as far as they can be used together.
public struct JobSet: Sendable, Equatable {
    /// A job file that cannot be used, and the job that is therefore missing.
    public struct BadFile: Sendable, Equatable {
        public var file: String
        /// What the file says, or else its name.
        public var job: JobID?
        public var faults: [JobFault]
    }

    /// What comes with the hub first, then by file name; a job that others follow stands before them.
    public private(set) var jobs: [Job] = []
    public private(set) var badFiles: [BadFile] = []

    /// Reads job files. A bad one never stops the others; but a job whose file is bad is missing, also when one of the
    /// same name comes with the hub: what is sent must not depend on a slip of the pen.
    ///
    /// - Parameters:
    ///   - files: names and texts, by name.
    ///   - unreadable: names of files whose text cannot be had, and why.
    public init(
        builtIn: [Job] = RetailJobs.all, files: [(name: String, text: String)], unreadable: [String: String] = [:]
    ) {
        var replaced: Set<JobID> = []
        var own: [Job] = []
        for (name, reason) in unreadable.sorted(by: { $0.key < $1.key }) {
            let job = JobID(String(name.split(separator: ".").first ?? ""))
            let fault = JobFault(file: name, line: 0, message: "cannot be read: \(reason)")
            badFiles.append(BadFile(file: name, job: job, faults: [fault]))
            if let job { replaced.insert(job) }
        }
        for (name, text) in files {
            guard name.hasSuffix(".yaml") else {
                let fault = JobFault(
                    file: name, line: 0, message: "is not read", hint: "names of job files end in .yaml")
                badFiles.append(BadFile(file: name, job: nil, faults: [fault]))
                continue
            }
            do {
                let job = try JobFile.read(text, file: name)
                if let other = own.first(where: { $0.id == job.id }) {
                    let message = "job \(job.id) is defined in \(other.file ?? "the hub") already"
                    badFiles.append(
                        BadFile(file: name, job: nil, faults: [JobFault(file: name, line: 0, message: message)]))
                } else {
                    own.append(job)
                    replaced.insert(job.id)
                }
            } catch {
                let job = JobFile.name(in: text) ?? JobID(String(name.split(separator: ".").first ?? ""))
                badFiles.append(BadFile(file: name, job: job, faults: error.faults))
                if let job { replaced.insert(job) }
            }
        }
        jobs = builtIn.filter { !replaced.contains($0.id) }
        // A file that stands for a job of the hub takes its place in the list.
        let order = builtIn.map(\.id)
        jobs += own
        jobs.sort { (order.firstIndex(of: $0.id) ?? order.count) < (order.firstIndex(of: $1.id) ?? order.count) }
        refuseSharedTables()
        refuseBadOrder()
    }

    public func job(_ id: JobID) -> Job? { jobs.first { $0.id == id } }

    /// Notes which HQ tables the jobs read, beside those that their files name.
    ///
    /// - Parameter find: nil for a job whose queries do not fit HQ's tables at present.
    public mutating func findInputs(_ find: (Job) -> Set<String>?) {
        for index in jobs.indices {
            guard let found = find(jobs[index]) else { continue }
            jobs[index].inputs = found.union(jobs[index].inputs).sorted()
        }
    }

    /// Two jobs that filled one table would take it from each other for ever.
    private mutating func refuseSharedTables() {
        var owners: [String: Job] = [:]
        for job in jobs {
            let taken = job.subjobs.compactMap { subjob in
                owners[subjob.table.name.lowercased()].map { (subjob, $0) }
            }
            guard let (subjob, owner) = taken.first else {
                for subjob in job.subjobs { owners[subjob.table.name.lowercased()] = job }
                continue
            }
            refuse(
                job, line: subjob.line, "table \(subjob.table.name) is filled by job \(owner.id) already",
                hint: "a store table belongs to one job")
        }
    }

    /// Jobs in an order in which each stands after those it follows.
    private mutating func refuseBadOrder() {
        var changed = true
        while changed {
            changed = false
            let known = Set(jobs.map(\.id))
            for job in jobs {
                guard let missing = job.follows.first(where: { !known.contains($0) }) else { continue }
                let near = nearestName(to: missing.rawValue, among: known.map(\.rawValue).sorted())
                refuse(
                    job, line: 0, "there is no job '\(missing)' to follow", hint: near.map { "did you mean '\($0)'?" })
                changed = true
                break
            }
        }
        var ordered: [Job] = []
        var left = jobs
        while let next = left.firstIndex(where: { Set(ordered.map(\.id)).isSuperset(of: $0.follows) }) {
            ordered.append(left.remove(at: next))
        }
        for job in left {
            refuse(job, line: 0, "'follows' goes in a circle: \(left.map(\.id.rawValue).joined(separator: ", "))")
        }
        jobs = ordered
    }

    private mutating func refuse(_ job: Job, line: Int, _ message: String, hint: String? = nil) {
        jobs.removeAll { $0.id == job.id }
        let file = job.file ?? "\(job.id)"
        badFiles.append(
            BadFile(file: file, job: job.id, faults: [JobFault(file: file, line: line, message: message, hint: hint)]))
    }
}
