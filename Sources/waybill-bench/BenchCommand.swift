import ArgumentParser
import Foundation

@main
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "waybill-bench",
        abstract: "Measure parts of Waybill, each against something that anybody can check, in the same run.",
        discussion: """
            Each command prints one JSON object a line: what was measured, against what, and whether the goal was met. \
            Figures are medians of runs that alternate with those of the peer. Rows are those of deploy/BENCHMARKS.md. \
            Build with -c release: figures of a debug build say nothing.

            Examples:
              waybill-bench build --quick
              waybill-bench fold --runs 5
              waybill-bench fan-out --stores 5000 --bin /usr/local/bin

            Exit status: 0 measured, whether or not the goals were met; 1 it could not be measured; 64 wrong usage.
            """,
        subcommands: [
            BuildCommand.self, FanOutCommand.self, ConnectedCommand.self, FoldCommand.self, ListCommand.self,
            ServeHubCommand.self, AgentsCommand.self, BareRouterCommand.self, BareDealersCommand.self,
        ])
}

/// What all measurements are told.
struct BenchOptions: ParsableArguments {
    @Option(help: "Runs of which the median is taken.")
    var runs: Int?
    @Flag(help: "Small numbers: whether it works, in seconds.")
    var quick = false
    @Option(help: "Folder for homes and databases, on the disk to be measured. Default: the system's temporary one.")
    var folder: String?
    @Flag(help: "Leave the homes where they are, for a look at them.")
    var keep = false

    func validate() throws {
        guard runs.map({ $0 > 0 }) ?? true else { throw ValidationError("--runs must be above 0.") }
    }

    /// - Parameter usual: runs when nobody says otherwise.
    func runCount(usual: Int) -> Int { runs ?? (quick ? min(usual, 2) : usual) }

    /// Makes a folder, lets it be used, and takes it away.
    func inFolder(_ name: String, _ body: (String) async throws -> Void) async throws {
        let base = folder ?? FileManager.default.temporaryDirectory.path
        let path =
            (base as NSString).standardizingPath + "/waybill-bench-\(name)-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { if !keep { try? FileManager.default.removeItem(atPath: path) } }
        do { try await body(path) } catch {
            FileHandle.standardError.write(Data("waybill-bench: \(error)\n".utf8))
            throw ExitCode.failure
        }
    }
}

/// Something that keeps a measurement from being made, in one sentence.
struct BenchFault: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
