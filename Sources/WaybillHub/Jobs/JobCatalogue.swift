import Foundation
import GRDB
import Logging
import Synchronization
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillPlan

/// The jobs of a hub, read again when a file in `HOME/jobs` or the schema of HQ's database has changed: then views may
/// say something else, and tables may have been made anew, whose changes nobody notes yet. For any of our own threads.
final class JobCatalogue: Sendable {
    /// Files in the folder: more is no folder of jobs.
    static let filesMax = 1000

    private let folder: String
    private let hqPath: String
    private let logger: Logger
    private let state: Mutex<State>
    private let looking = Mutex(())
    private let schema: SchemaCount

    private struct State {
        var set: JobSet
        /// What is wrong with jobs, in words.
        var faults: [String]
        /// Jobs that cannot be used, and files that are none.
        var unusable: Int
        var stamps: Stamps
        /// false when HQ's database was locked, so that something about a job could not be found out.
        var isComplete: Bool
        var observers: [@Sendable (JobSet) -> Void] = []
    }

    /// What tells whether anything has changed since a look.
    private struct Stamps: Equatable {
        var files: [String: Stamp]
        /// SQLite's count of changes to the schema; nil when it could not be read.
        var schema: Int64?
    }

    /// Tells a changed file without reading it.
    private struct Stamp: Equatable {
        var inode: UInt64
        var bytes: Int64
        var changedAt: Int64
        var changedNanoseconds: Int64
    }

    /// - Throws: when the folder cannot be read.
    init(folder: String, hqPath: String, logger: Logger) throws {
        self.logger = logger
        self.folder = folder
        self.hqPath = hqPath
        schema = SchemaCount(path: hqPath)
        let stamps = Stamps(files: try JobCatalogue.stamps(folder), schema: schema.now)
        state = Mutex(JobCatalogue.read(folder, stamps, hqPath))
        log(state.withLock { $0.faults }, since: [])
    }

    /// Jobs that are given and stay as they are; no folder is looked at.
    init(fixed jobs: [Job], hqPath: String, logger: Logger) {
        self.logger = logger
        self.hqPath = hqPath
        folder = ""
        schema = SchemaCount(path: hqPath)
        let set = JobSet(builtIn: jobs, files: [])
        state = Mutex(State(set: set, faults: [], unusable: 0, stamps: Stamps(files: [:]), isComplete: true))
    }

    /// The jobs as their files now say. When the folder cannot be read, those of before.
    var current: JobSet {
        if folder.isEmpty { return known }
        // One looks at a time; nobody who asks for what is known waits for the disk or for HQ's database.
        return looking.withLock { _ in
            let before = state.withLock { $0 }
            // The schema before the files: what changes while they are read is seen the next time.
            let schema = schema.now
            guard let files = try? JobCatalogue.stamps(folder), case let stamps = Stamps(files: files, schema: schema),
                stamps != before.stamps || !before.isComplete
            else { return before.set }
            var now = JobCatalogue.read(folder, stamps, hqPath)
            let observers = state.withLock { state in
                now.observers = state.observers
                state = now
                return now.observers
            }
            log(now.faults, since: before.faults)
            guard now.set != before.set else { return now.set }
            for observer in observers { observer(now.set) }
            return now.set
        }
    }

    /// Tells once what is wrong, and that it is no longer.
    private func log(_ faults: [String], since before: [String]) {
        for fault in faults where !before.contains(fault) { logger.error("\(fault)") }
        if faults.isEmpty, !before.isEmpty { logger.info("all job files can be used again") }
    }

    /// Jobs that cannot be used, and files that are none, as of the last look.
    var unusable: Int { state.withLock { $0.unusable } }

    /// Has somebody told when the files have changed, by the thread that finds it.
    func observe(_ observer: @escaping @Sendable (JobSet) -> Void) { state.withLock { $0.observers.append(observer) } }

    /// Those of the last look, without another: for the wire's thread, which must not wait for a disk.
    var known: JobSet { state.withLock { $0.set } }

    private static func stamps(_ folder: String) throws -> [String: Stamp] {
        guard FileManager.default.fileExists(atPath: folder) else { return [:] }
        var stamps: [String: Stamp] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: folder)
        where [".yaml", ".yml"].contains(where: name.lowercased().hasSuffix) && !name.hasPrefix(".") {
            var status = stat()
            guard stat(folder + "/" + name, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            stamps[name] = Stamp(
                inode: UInt64(status.st_ino), bytes: Int64(status.st_size), changedAt: Int64(status.st_mtim.tv_sec),
                changedNanoseconds: Int64(status.st_mtim.tv_nsec))
        }
        guard stamps.count <= filesMax else { throw HomeFault("\(folder) holds more than \(filesMax) job files") }
        return stamps
    }

    private static func read(_ folder: String, _ stamps: Stamps, _ hqPath: String) -> State {
        var files: [(name: String, text: String)] = []
        var unreadable: [String: String] = [:]
        for (name, stamp) in stamps.files.sorted(by: { $0.key < $1.key }) {
            do {
                files.append((name, try text(of: folder + "/" + name, bytes: stamp.bytes)))
            } catch {
                unreadable[name] = "\(error)"
            }
        }
        var set = JobSet(files: files, unreadable: unreadable)
        var faults = set.badFiles.flatMap { $0.faults.map(\.description) }
        var unusable = set.badFiles.count
        var isComplete = true
        set.findInputs { job in
            do {
                return try Rows.capture(job, hqPath: hqPath, busyMilliseconds: 200).inputs
            } catch let misfit as JobFaults {
                // Its queries do not fit HQ's tables; nothing but another schema or another file helps.
                faults += misfit.faults.map(\.description)
                unusable += 1
                return nil
            } catch {
                isComplete = false
                return nil
            }
        }
        return State(set: set, faults: faults, unusable: unusable, stamps: stamps, isComplete: isComplete)
    }

    private static func text(of path: String, bytes: Int64) throws -> String {
        // Beyond the bound the text is refused for its length; the rest of it is of no use.
        if bytes > Int64(JobFile.bytesMax) { return String(repeating: " ", count: JobFile.bytesMax + 1) }
        return String(decoding: try DurableFile.read(path), as: UTF8.self)
    }
}

/// SQLite's count of changes to a database's schema.
///
/// The database stays open, for opening it takes a hundred times as long as the question, which is asked each second.
private final class SchemaCount: Sendable {
    private let path: String
    private let queue = Mutex<DatabaseQueue?>(nil)

    init(path: String) { self.path = path }

    /// nil when it could not be read.
    var now: Int64? {
        queue.withLock { queue in
            do {
                let open =
                    try queue
                    ?? OpenDatabase.queue(at: path, label: "hq-schema", busyMilliseconds: 50, isReadOnly: true)
                queue = open
                return try open.read { try Int64.fetchOne($0, sql: "PRAGMA schema_version") }
            } catch {
                queue = nil
                return nil
            }
        }
    }
}

extension HubHome {
    /// Writes the job files that come with the hub where people can read and copy them. They are not read from there.
    func writeRetailJobs() throws {
        try DurableFile.createFolder(jobs, mode: 0o750)
        try DurableFile.createFolder(retailJobs, mode: 0o750)
        for (name, text) in RetailJobs.files {
            let path = retailJobs + "/" + name
            let isThere = try FileManager.default.fileExists(atPath: path) && DurableFile.read(path) == Array(text.utf8)
            if !isThere { try DurableFile.write(Array(text.utf8), to: path) }
        }
    }
}
