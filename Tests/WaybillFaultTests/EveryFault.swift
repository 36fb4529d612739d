import Foundation
import GRDB
import Testing
import WaybillDatabase
import WaybillFaultDisk

/// One thing the product does to its databases, from a state that is known to another one.
protocol FaultScene {
    /// What somebody calls it in a failure.
    var name: String { get }
    /// The databases, as the product opens them.
    var paths: [String] { get }
    /// Makes the state from which it begins. No fault strikes here.
    func prepare() throws
    /// Opens what it needs, does it and closes again. What it throws must be a sentence for a person.
    func act() throws
    /// Everything that must change together, as text. Opens and closes on its own.
    func state() throws -> String
}

/// A fault to strike in the n-th operation, for every n.
enum Strike: String, CaseIterable, Sendable {
    case ioErrorOnce, ioErrorForEver, full, powerCut, kill

    var operations: DiskOperations {
        switch self {
        case .ioErrorOnce, .ioErrorForEver: [.read, .write, .sync, .truncate, .open]
        case .full: .write
        case .powerCut, .kill: .changes
        }
    }

    func order(at nth: Int, on disk: FaultDisk) throws {
        switch self {
        case .ioErrorOnce: try disk.fail(operations, at: nth)
        case .ioErrorForEver: try disk.fail(operations, at: nth, forEver: true)
        case .full: try disk.fail(operations, at: nth, forEver: true, with: .full)
        case .powerCut: disk.crash(at: nth, of: operations, .powerCut)
        case .kill: disk.crash(at: nth, of: operations, .killed)
        }
    }
}

/// Runs a scene once for every operation it makes, with the fault in that one, until it gets through untouched.
///
/// After each: the database is sound; its state is the old one or the new one, never one between; a scene that said
/// "done" is done; and done once more, without a fault, it comes to the same end as if nothing had happened.
struct EveryFault {
    let scene: any FaultScene
    private let disk: FaultDisk
    private var templates: [String: DiskImage] = [:]
    private let before: String
    private let after: String
    /// Faults that struck.
    private(set) var struck = 0

    init(_ scene: any FaultScene, seed: UInt64 = 1) throws {
        try FaultDisk.install()
        self.scene = scene
        disk = FaultDisk(seed: seed)
        for path in scene.paths { try disk.claim(path) }
        try scene.prepare()
        for path in scene.paths { templates[path] = disk.image(of: path) }
        before = try scene.state()
        try scene.act()
        after = try scene.state()
        #expect(before != after, "\(scene.name) changes nothing: no fault could show")
    }

    /// How many operations of these kinds an undisturbed run makes: what an exhaustive loop has to get beyond.
    func count(of operations: DiskOperations) throws -> Int {
        try rewind()
        disk.resetCounts()
        try scene.act()
        return disk.count(of: operations)
    }

    private func rewind() throws {
        disk.heal()
        disk.restart()
        for (path, image) in templates { try disk.install(image, at: path) }
    }

    mutating func run(_ strike: Strike, stride step: Int = 1) throws {
        var nth = 1
        while true {
            try rewind()
            let struckBefore = disk.timesStruck
            try strike.order(at: nth, on: disk)
            let failure = attempt()
            let hasStruck = disk.timesStruck > struckBefore
            disk.heal()
            if disk.isDown { disk.restart() }
            try examine("\(scene.name), \(strike) at \(nth)", failure)
            guard hasStruck else { return }
            struck += 1
            nth += step
        }
    }

    /// The disk has room for so many bytes more than there are, and then for more and more.
    mutating func runFull(stepBytes: Int64 = 4096) throws {
        var room: Int64 = 0
        while true {
            try rewind()
            let struckBefore = disk.timesStruck
            disk.limit(toBytes: disk.usedBytes + room)
            let failure = attempt()
            let hasStruck = disk.timesStruck > struckBefore
            disk.heal()
            try examine("\(scene.name), room for \(room) bytes", failure)
            guard hasStruck else { return }
            struck += 1
            room += stepBytes
        }
    }

    private func attempt() -> (any Error)? {
        do {
            try scene.act()
            return nil
        } catch {
            return error
        }
    }

    private func examine(_ place: String, _ failure: (any Error)?) throws {
        if let failure { expectSentence(failure, place) }
        for path in scene.paths {
            let queue = try DatabaseQueue(path: path)
            let check = try queue.read { try String.fetchAll($0, sql: "PRAGMA integrity_check") }
            #expect(check == ["ok"], "\(place)")
            try queue.close()
        }
        let now = try scene.state()
        #expect(now == before || now == after, "\(place): neither the old state nor the new one\n\(now)")
        if failure == nil { #expect(now == after, "\(place): said to be done, and is not") }
        // Whoever could not do it does it again, and nothing is lost or doubled by that.
        try scene.act()
        let end = try scene.state()
        #expect(end == after, "\(place): done again")
        #expect(disk.openHandles == 0, "\(place): left open")
    }

    private func expectSentence(_ error: any Error, _ place: String) {
        let text = "\(error)"
        let isPlain = !text.isEmpty && !text.contains("\n") && !text.contains("executing") && !text.contains("Domain")
        #expect(isPlain, "\(place): \(text)")
    }
}

/// What a test asks several times: all rows of a query, one a line.
func listing(_ path: String, _ queries: [String]) throws -> String {
    var configuration = Configuration()
    configuration.readonly = true
    let queue = try DatabaseQueue(path: path, configuration: configuration)
    defer { try? queue.close() }
    return try queue.read { db in
        queries.map { sql in
            guard let rows = try? Row.fetchAll(db, sql: sql) else { return "none" }
            return rows.map { row in
                row.databaseValues.map { $0.isNull ? "NULL" : "\($0.storage.value ?? "")" }.joined(separator: "|")
            }.joined(separator: "\n")
        }.joined(separator: "\n--\n")
    }
}

/// A folder of its own for one scene; databases in it are claimed, package files are real.
final class SceneFolder {
    let path: String
    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/waybill-faults-\(UInt64.random(in: .min ... .max))"
        try DurableFile.createFolder(path)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }
}
