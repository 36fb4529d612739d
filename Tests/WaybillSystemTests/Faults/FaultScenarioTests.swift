import Foundation
import Testing

extension SystemTests {
    /// `deploy/faults` at a small length: the same processes and the same proof, a few times instead of hundreds.
    ///
    /// With `WAYBILL_FAULTS=full` each runs at the length whose figure is published.
    @Suite struct FaultScenarioTests {
        private static let isFull = ProcessInfo.processInfo.environment["WAYBILL_FAULTS"] == "full"

        @Test(arguments: [
            ["kill-loop", "--cycles", "4"], ["proxy", "--rounds", "1", "--lines", "3"], ["pause", "--seconds", "1"],
            ["locked", "--seconds", "1"], ["disk-full", "--fills", "1"], ["power-cuts", "--cuts", "2"],
            ["damage", "--pages", "5"],
        ])
        func nothingIsLostAndNothingDoubled(_ scenario: [String]) async throws {
            let arguments = Self.isFull ? [scenario[0]] : scenario
            let (status, said) = try await Self.run(arguments, within: Self.isFull ? 4 * 3600 : 300)
            #expect(status == 0, "\(said.suffix(4000))")
            #expect(said.contains("\(scenario[0]): "), "no figure was printed: \(said)")
        }

        /// Runs the script to its end and gives back what it said. At the deadline it is told to stop, and ends what it
        /// has started.
        private static func run(_ arguments: [String], within seconds: Double) async throws -> (Int32, String) {
            let folder = FileManager.default.temporaryDirectory
            let path = folder.appending(path: "waybill-faults-\(UInt32.random(in: .min ... .max)).out").path
            guard FileManager.default.createFile(atPath: path, contents: nil) else {
                throw Trouble("\(path) cannot be made")
            }
            defer { try? FileManager.default.removeItem(atPath: path) }
            let programs = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
            let process = Process()
            process.executableURL = URL(filePath: GoldenSet.packageRoot + "/deploy/faults")
            process.arguments = arguments + ["--bin", programs]
            process.standardInput = FileHandle.nullDevice
            let output = FileHandle(forWritingAtPath: path)
            process.standardOutput = output
            process.standardError = output
            try process.run()
            do {
                try await eventually("deploy/faults \(arguments)", within: seconds) { !process.isRunning }
            } catch {
                process.terminate()
                process.waitUntilExit()
            }
            return (
                process.terminationStatus,
                String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
            )
        }
    }
}
