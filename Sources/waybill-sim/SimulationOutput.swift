import Foundation
import WaybillSimulation

/// What a run of simulations prints.
struct SimulationOutput: Encodable {
    struct Violation: Encodable {
        var seed: UInt64
        var sentence: String
        var replay: String
    }

    var schedules: Int
    var violations: [Violation]
    var injected: [String: Int]
    var marks: [String: Int]
    var applied: Int
    var events: Int
    var simulatedHours: Double
    var seconds: Double?
    var traceHash: String?

    /// Shrinks the first failing schedules: all of a bad build would take for ever.
    private static let shrunkMax = 3

    init(_ report: Campaign.Report, seconds: Double, shrinks: Bool) {
        schedules = report.schedules
        violations = report.violations.enumerated().map { place, verdict in
            let isShrunk = shrinks && place < SimulationOutput.shrunkMax
            let schedule = isShrunk ? verdict.schedule.shrunk() : verdict.schedule
            return Violation(
                seed: verdict.schedule.seed, sentence: verdict.violation ?? "", replay: schedule.replayCommand)
        }
        injected = report.injected
        marks = report.marks
        applied = report.applied
        events = report.events
        simulatedHours = Double(report.virtualMilliseconds) / 3_600_000
        self.seconds = seconds
    }

    init(_ verdict: Verdict) {
        schedules = 1
        violations =
            verdict.violation.map {
                [Violation(seed: verdict.schedule.seed, sentence: $0, replay: verdict.schedule.replayCommand)]
            } ?? []
        injected = verdict.injected
        marks = verdict.marks
        applied = verdict.applied
        events = verdict.events
        simulatedHours = Double(verdict.virtualMilliseconds) / 3_600_000
        traceHash = String(verdict.traceHash, radix: 16)
    }

    func print(isJSON: Bool) throws {
        guard !isJSON else {
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return Swift.print(String(decoding: try encoder.encode(self), as: UTF8.self))
        }
        for violation in violations {
            Swift.print("seed \(violation.seed): \(violation.sentence)\n    replay: \(violation.replay)")
        }
        line("schedules", "\(schedules)")
        line("violations", "\(violations.count)")
        line("sessions applied", "\(applied)")
        line("events", "\(events)")
        line("simulated hours", String(format: "%.1f", simulatedHours))
        if let seconds { line("seconds", String(format: "%.1f", seconds)) }
        if let traceHash { line("trace", traceHash) }
        Swift.print("\nInjected")
        for trouble in Trouble.allCases { line("  " + trouble.rawValue, "\(injected[trouble.rawValue] ?? 0)") }
        Swift.print("\nPassed through")
        for (name, count) in marks.sorted(by: { $0.key < $1.key }) { line("  " + name, "\(count)") }
    }

    private func line(_ name: String, _ value: String) {
        Swift.print(name.padding(toLength: 36, withPad: " ", startingAt: 0) + value)
    }
}
