import Foundation

/// How a process ended.
enum Ending: Equatable {
    case status(Int32)
    case signal(Int32)
}

/// One started program, its output in two files.
final class RunningProcess {
    let name: String
    private let process = Process()
    private let outPath: String
    private let errPath: String

    /// - Parameter program: one of our own, by name.
    init(_ program: String, _ arguments: [String], environment: [String: String] = [:], folder: String, number: Int)
        throws
    {
        name = "\(program) \(arguments.joined(separator: " "))"
        outPath = "\(folder)/\(number)-\(program).out"
        errPath = "\(folder)/\(number)-\(program).err"
        process.executableURL = RunningProcess.built.appending(path: program)
        process.arguments = arguments
        var whole = ProcessInfo.processInfo.environment.filter {
            !$0.key.hasPrefix("WAYBILL_") && $0.key != "NOTIFY_SOCKET"
        }
        whole.merge(environment) { _, new in new }
        process.environment = whole
        process.standardInput = FileHandle.nullDevice
        let files = try [outPath, errPath].map(RunningProcess.emptyFile)
        (process.standardOutput, process.standardError) = (files[0], files[1])
        try process.run()
        // The program has its own. A test may start hundreds, and with more than a thousand open files Foundation's way of
        // listing them, at the next start, reads beyond its memory.
        for file in files { try file.close() }
    }

    /// Where the programs lie: beside the test bundle.
    private static let built = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()

    private static func emptyFile(_ path: String) throws -> FileHandle {
        guard FileManager.default.createFile(atPath: path, contents: nil), let file = FileHandle(forWritingAtPath: path)
        else { throw Trouble("\(path) cannot be made") }
        return file
    }

    var out: String { read(outPath) }
    var err: String { read(errPath) }
    var isRunning: Bool { process.isRunning }
    var identifier: Int32 { process.processIdentifier }

    private func read(_ path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }

    /// Waits for the end; a process that does not end is trouble, and is ended.
    @discardableResult
    func ending(within seconds: Double = 60) async throws -> Ending {
        do {
            try await eventually("the end of \(name)", within: seconds) { !process.isRunning }
        } catch {
            end()
            throw Trouble("\(error)\n\(err)")
        }
        return process.terminationReason == .uncaughtSignal
            ? .signal(process.terminationStatus) : .status(process.terminationStatus)
    }

    func send(_ signal: Int32) {
        if process.isRunning { kill(process.processIdentifier, signal) }
    }

    /// As a power cut would.
    func killAtOnce() async throws {
        send(SIGKILL)
        try await ending(within: 20)
    }

    /// As an administrator would.
    func stop() async throws -> Ending {
        send(SIGTERM)
        return try await ending(within: 20)
    }

    /// Whatever it does: ends it, without waiting on anybody's cooperation.
    func end() {
        guard process.isRunning else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

/// A folder of its own and every process started in it, all gone at the end of the test.
final class World {
    let folder: String
    private var processes: [RunningProcess] = []
    private var startedCount = 0

    private init() throws {
        folder =
            FileManager.default.temporaryDirectory.appending(path: "waybill-\(UInt32.random(in: .min ... .max))").path
        try FileManager.default.createDirectory(atPath: folder + "/output", withIntermediateDirectories: true)
    }

    /// Runs a test. When it throws, what the long-running processes said is printed: it tells why.
    static func with(_ body: (World) async throws -> Void) async throws {
        let world = try World()
        defer { world.close() }
        do {
            try await body(world)
        } catch {
            world.explain()
            throw error
        }
    }

    func start(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws -> RunningProcess {
        let process = try RunningProcess(
            program, arguments, environment: environment, folder: folder + "/output", number: startedCount)
        startedCount += 1
        processes.append(process)
        return process
    }

    /// Runs a program to its end.
    func run(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], within seconds: Double = 60
    ) async throws -> (ending: Ending, out: String, err: String) {
        let process = try start(program, arguments, environment: environment)
        let ending = try await process.ending(within: seconds)
        processes.removeAll { $0 === process }
        return (ending, process.out, process.err)
    }

    private func close() {
        for process in processes { process.end() }
        try? FileManager.default.removeItem(atPath: folder)
    }

    private func explain() {
        for process in processes where process.name.contains(" run ") {
            let lines = process.err.split(separator: "\n").suffix(40)
            print("--- \(process.name)\(process.isRunning ? "" : " (ended)")\n\(lines.joined(separator: "\n"))")
        }
    }
}
