import Foundation

/// One line of results.
struct BenchLine: Encodable {
    /// Of the table of goals.
    var row: Int
    var what: String
    var measured: Double
    var unit: String
    var ratio: Double?
    var goal: String
    var against: String
    /// nil where the line is for orientation only.
    var met: Bool?
    var note: String

    func print() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let text = try encoder.encode(self)
        FileHandle.standardOutput.write(text + Data("\n".utf8))
    }
}

/// Times of runs, in seconds.
struct Sample {
    var values: [Double] = []

    mutating func add(_ value: Double) { values.append(value) }

    var median: Double { quantile(0.5) }

    /// The value below which the share lies; the nearest that was measured.
    func quantile(_ share: Double) -> Double {
        let sorted = values.sorted()
        guard let last = sorted.indices.last else { return .nan }
        return sorted[Int((Double(last) * share).rounded())]
    }

    /// Smallest to largest, for a note.
    func spread(_ digits: Int = 3) -> String {
        guard let least = values.min(), let most = values.max() else { return "" }
        return "\(least.told(digits)) to \(most.told(digits))"
    }
}

extension Double {
    func told(_ digits: Int = 3) -> String { String(format: "%.\(digits)f", self) }
    /// For lines: figures beyond what was measured say nothing.
    var rounded4: Double {
        guard isFinite, self != 0 else { return self }
        let scale = pow(10, 4 - 1 - floor(log10(abs(self))))
        return (self * scale).rounded() / scale
    }
}

/// Seconds that something takes.
func seconds(_ body: () throws -> Void) rethrows -> Double {
    let begun = ContinuousClock.now
    try body()
    return begun.duration(to: .now).inSeconds
}

extension Duration {
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
