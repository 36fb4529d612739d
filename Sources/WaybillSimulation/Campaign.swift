import Foundation
import Synchronization

/// Many schedules, on several threads; each world stays on one of them.
public struct Campaign: Sendable {
    public var seeds: Range<UInt64>
    public var without: Set<Trouble>
    public var sabotage: Sabotage?
    public var threads: Int
    /// Ends at the first violation.
    public var stopsAtFirst: Bool
    /// Called now and then with the number of schedules done; from any thread.
    public var progress: @Sendable (Int) -> Void

    public init(
        seeds: Range<UInt64>, without: Set<Trouble> = [], sabotage: Sabotage? = nil, threads: Int = 1,
        stopsAtFirst: Bool = false, progress: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.seeds = seeds
        self.without = without
        self.sabotage = sabotage
        self.threads = threads
        self.stopsAtFirst = stopsAtFirst
        self.progress = progress
    }

    /// What all of it came to.
    public struct Report: Sendable {
        public var schedules = 0
        public var violations: [Verdict] = []
        public var injected: [String: Int] = [:]
        public var marks: [String: Int] = [:]
        public var applied = 0
        public var events = 0
        public var virtualMilliseconds: Int64 = 0

        mutating func add(_ verdict: Verdict) {
            schedules += 1
            if verdict.violation != nil { violations.append(verdict) }
            injected.merge(verdict.injected, uniquingKeysWith: +)
            marks.merge(verdict.marks, uniquingKeysWith: +)
            applied += verdict.applied
            events += verdict.events
            virtualMilliseconds += verdict.virtualMilliseconds
        }
    }

    private struct State {
        var next: UInt64
        var report = Report()
        var fault: (any Error)?
    }

    /// Runs all of it; in the order of their seeds where one thread does it.
    public func run() throws -> Report {
        let state = Mutex(State(next: seeds.lowerBound))
        if threads == 1 {
            work(state)
        } else {
            DispatchQueue.concurrentPerform(iterations: threads) { _ in work(state) }
        }
        return try state.withLock { state in
            if let fault = state.fault { throw fault }
            state.report.violations.sort { $0.schedule.seed < $1.schedule.seed }
            return state.report
        }
    }

    private func work(_ state: borrowing Mutex<State>) {
        while let seed = state.withLock({ take(&$0) }) {
            do {
                let verdict = try Simulation.run(Schedule(seed: seed, without: without, sabotage: sabotage))
                let done = state.withLock { state in
                    state.report.add(verdict)
                    return state.report.schedules
                }
                progress(done)
            } catch {
                state.withLock { $0.fault = error }
            }
        }
    }

    private func take(_ state: inout State) -> UInt64? {
        guard state.fault == nil, state.next < seeds.upperBound else { return nil }
        if stopsAtFirst, !state.report.violations.isEmpty { return nil }
        defer { state.next += 1 }
        return state.next
    }
}

extension Schedule {
    /// The shortest schedule found that still fails: with fewer troubles, fewer stores and fewer steps.
    ///
    /// - Parameter triesMax: schedules that may be run in the search.
    public func shrunk(triesMax: Int = 120) -> Schedule {
        var best = self
        var tries = 0
        func fails(_ schedule: Schedule) -> Bool {
            tries += 1
            return tries <= triesMax && ((try? Simulation.run(schedule))?.violation != nil)
        }
        // The beginning of a schedule does not depend on its end, so steps come first and cost least afterwards.
        var low = 0
        var high = best.steps ?? World.stepsMax
        while low < high, tries < triesMax {
            var shorter = best
            shorter.steps = (low + high) / 2
            if fails(shorter) {
                best = shorter
                high = (low + high) / 2
            } else {
                low = (low + high) / 2 + 1
            }
        }
        // What this seed does not have need not be left out.
        let active = Mixture(seed: seed, without: without, focus: focus).active
        for trouble in active where tries < triesMax {
            var calmer = best
            calmer.without.insert(trouble)
            if fails(calmer) { best = calmer }
        }
        for stores in [2, 3] where stores < (best.stores ?? 4) {
            var smaller = best
            smaller.stores = stores
            if fails(smaller) { return smaller }
        }
        return best
    }
}
