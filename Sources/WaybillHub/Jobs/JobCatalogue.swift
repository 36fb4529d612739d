import Foundation
import Synchronization
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillPlan

/// The jobs of a hub, read again when a file in `HOME/jobs` has changed. For any of our own threads.
final class JobCatalogue: Sendable {
    /// Files in the folder: more is no folder of jobs.
    static let filesMax = 1000

    private let folder: String
    private let hqPath: String
    private let state: Mutex<State>
    private let looking = Mutex(())

    private struct State {
        var set: JobSet
        var stamps: [String: Stamp]
        var observers: [@Sendable (JobSet) -> Void] = []
    }

    /// Tells a changed file without reading it.
    private struct Stamp: Equatable {
        var inode: UInt64
        var bytes: Int64
        var changedAt: Int64
        var changedNanoseconds: Int64
    }

    /// - Throws: when the folder cannot be read.
    init(folder: String, hqPath: String) throws {
        self.folder = folder
        self.hqPath = hqPath
        let stamps = try JobCatalogue.stamps(folder)
        state = Mutex(State(set: try JobCatalogue.read(folder, stamps, hqPath), stamps: stamps))
    }

    /// The jobs as their files now say. When the folder cannot be read, those of before.
    var current: JobSet {
        // One looks at a time; nobody who asks for what is known waits for the disk or for HQ's database.
        looking.withLock { _ in
            let before = state.withLock { ($0.set, $0.stamps) }
            guard let stamps = try? JobCatalogue.stamps(folder),
                // A job whose queries did not fit HQ's tables is looked at again: they may be there by now.
                stamps != before.1 || before.0.jobs.contains(where: { $0.inputs.isEmpty }),
                let set = try? JobCatalogue.read(folder, stamps, hqPath)
            else { return before.0 }
            guard set != before.0 || stamps != before.1 else { return set }
            let observers = state.withLock { state in
                state.set = set
                state.stamps = stamps
                return state.observers
            }
            for observer in observers { observer(set) }
            return set
        }
    }

    /// Has somebody told when the files have changed, by the thread that finds it.
    func observe(_ observer: @escaping @Sendable (JobSet) -> Void) { state.withLock { $0.observers.append(observer) } }

    /// Those of the last look, without another: for the wire's thread, which must not wait for a disk.
    var known: JobSet { state.withLock { $0.set } }

    private static func stamps(_ folder: String) throws -> [String: Stamp] {
        guard FileManager.default.fileExists(atPath: folder) else { return [:] }
        var stamps: [String: Stamp] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: folder)
        where name.hasSuffix(".yaml") && !name.hasPrefix(".") {
            var status = stat()
            guard stat(folder + "/" + name, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            stamps[name] = Stamp(
                inode: UInt64(status.st_ino), bytes: Int64(status.st_size), changedAt: Int64(status.st_mtim.tv_sec),
                changedNanoseconds: Int64(status.st_mtim.tv_nsec))
        }
        guard stamps.count <= filesMax else { throw HomeFault("\(folder) holds more than \(filesMax) job files") }
        return stamps
    }

    private static func read(_ folder: String, _ stamps: [String: Stamp], _ hqPath: String) throws -> JobSet {
        let files = try stamps.keys.sorted().map { name in
            (name: name, text: try text(of: folder + "/" + name, bytes: stamps[name]?.bytes ?? 0))
        }
        var set = JobSet(files: files)
        // Whatever stands in the way is told by the job list, and by the job's next run.
        set.findInputs { try? Rows.captureInputs(of: $0, hqPath: hqPath) }
        return set
    }

    private static func text(of path: String, bytes: Int64) throws -> String {
        // Beyond the bound the text is refused for its length; the rest of it is of no use.
        if bytes > Int64(JobFile.bytesMax) { return String(repeating: " ", count: JobFile.bytesMax + 1) }
        return String(decoding: try DurableFile.read(path), as: UTF8.self)
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
