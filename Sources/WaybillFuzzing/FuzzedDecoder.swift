import Foundation
import WaybillModel

/// A decoder with real values to damage, and what must be true of whatever it makes of them.
public struct FuzzedDecoder: Sendable {
    public let name: String
    let kind: Mutator.Kind
    /// Encodings of real values.
    public let corpus: [[UInt8]]
    /// Decodes, and checks what came out.
    /// - Returns: whether the input was taken.
    /// - Throws: ``BrokenPromise``; that an input is refused is no error.
    public let check: @Sendable (_ input: [UInt8]) throws -> Bool
}

/// An invariant that does not hold for an input.
public struct BrokenPromise: Error, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// What came of a run.
public struct FuzzReport: Sendable {
    public var decoder: String
    public var inputs = 0
    /// Inputs that were taken for a value.
    public var taken = 0
    public var seconds = 0.0
    public var slowestMilliseconds = 0.0
    public var memoryGrowthBytes = 0
    /// The first input that broke a promise, and which.
    public var failure: (input: [UInt8], promise: String)?
}

extension FuzzedDecoder {
    /// A decoder that takes longer for one input of 64 KiB could be held up by a few of them. Of the processor's time, so
    /// that a busy machine is no failure.
    static let inputSecondsMax = 2.0
    /// What a run may take in addition, whatever it is fed: no input leaves anything behind.
    static let memoryGrowthMax = 256 << 20

    public func run(inputs: Int, seed: UInt64) -> FuzzReport {
        var random = SplitMix(seed: seed)
        let mutator = Mutator(kind: kind, corpus: corpus)
        var report = FuzzReport(decoder: name)
        let before = peakMemoryBytes()
        let begun = ContinuousClock.now
        var last = processorSeconds()
        while report.inputs < inputs {
            let input = mutator.input(&random)
            report.inputs += 1
            do {
                if try check(input) { report.taken += 1 }
            } catch {
                report.failure = (input, "\(error)")
                break
            }
            let now = processorSeconds()
            let seconds = now - last
            last = now
            report.slowestMilliseconds = max(report.slowestMilliseconds, seconds * 1000)
            if seconds > FuzzedDecoder.inputSecondsMax {
                report.failure = (input, "it took \(seconds) s")
                break
            }
            if report.inputs.isMultiple(of: 4096), peakMemoryBytes() - before > FuzzedDecoder.memoryGrowthMax {
                report.failure = (input, "memory grew by \(peakMemoryBytes() - before) bytes")
                break
            }
        }
        report.seconds = (ContinuousClock.now - begun).inSeconds
        report.memoryGrowthBytes = peakMemoryBytes() - before
        return report
    }
}

extension Duration {
    fileprivate var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}

/// The processor's time that this thread has had.
private func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

private func peakMemoryBytes() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
}
