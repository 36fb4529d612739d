import Foundation

/// How far a process full of agents has come; times are of ``sharedSeconds()``.
struct SwarmReport: Codable {
    var agents = 0
    var welcomed = 0
    var offered = 0
    var applied = 0
    var bytes: Int64 = 0
    var firstAt: Double?
    var lastChunkAt: Double?
    var lastAt: Double?
    var faults = 0
    var lastFault = ""

    /// Counting begins anew; who is welcome stays it.
    mutating func begin() {
        self = SwarmReport(agents: agents, welcomed: welcomed)
    }

    mutating func noteFault(_ text: String) {
        faults += 1
        lastFault = text
    }
}

/// A process full of agents, as the measurement sees it.
final class SwarmProcess {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    /// - Parameter arguments: of this very program.
    init(_ arguments: [String], log: String) throws {
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = arguments
        process.standardInput = input
        process.standardOutput = output
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        try process.run()
    }

    /// Says one line and waits for one.
    func ask(_ command: String) throws -> SwarmReport {
        guard process.isRunning else { throw BenchFault("a process with agents has ended before its time (--keep)") }
        try input.fileHandleForWriting.write(contentsOf: Data((command + "\n").utf8))
        var answer = Data()
        while answer.last != 0x0a {
            guard let more = try output.fileHandleForReading.read(upToCount: 1), !more.isEmpty else {
                throw BenchFault("a process with agents has ended before its time (--keep)")
            }
            answer += more
        }
        return try JSONDecoder().decode(SwarmReport.self, from: answer)
    }

    func stop() {
        try? input.fileHandleForWriting.close()
        if process.isRunning { process.waitUntilExit() }
    }

    deinit { stop() }
}

/// Several of them, as one: descriptors are counted for each process.
struct SwarmGroup {
    var processes: [SwarmProcess]

    func ask(_ command: String) throws -> SwarmReport {
        var sum = SwarmReport()
        for process in processes {
            let report = try process.ask(command)
            sum.agents += report.agents
            sum.welcomed += report.welcomed
            sum.offered += report.offered
            sum.applied += report.applied
            sum.bytes += report.bytes
            sum.faults += report.faults
            if !report.lastFault.isEmpty { sum.lastFault = report.lastFault }
            sum.firstAt = [sum.firstAt, report.firstAt].compactMap { $0 }.min()
            sum.lastChunkAt = [sum.lastChunkAt, report.lastChunkAt].compactMap { $0 }.max()
            sum.lastAt = [sum.lastAt, report.lastAt].compactMap { $0 }.max()
        }
        return sum
    }

    /// Asks again and again until the report is as wanted.
    func wait(_ what: String, seconds limit: Double, until isDone: (SwarmReport) -> Bool) throws -> SwarmReport {
        let begun = sharedSeconds()
        while true {
            let report = try ask("report")
            if isDone(report) { return report }
            guard sharedSeconds() - begun < limit else {
                throw BenchFault(
                    "\(what): not done after \(Int(limit)) s: \(report.welcomed) welcome, \(report.offered) offered, \(report.applied) applied of \(report.agents); \(report.faults) faults \(report.lastFault)"
                )
            }
            usleep(50_000)
        }
    }

    func stop() { processes.forEach { $0.stop() } }
}
