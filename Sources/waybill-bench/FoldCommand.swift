import ArgumentParser
import Foundation
import WaybillHub
import WaybillModel
import WaybillSessions
import WaybillWire

/// Row 10: how many status messages a second the hub takes in, durably.
struct FoldCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fold", abstract: "Row 10: status messages a second, from the frame to the durable commit.")

    @OptionGroup var options: BenchOptions
    @Option(help: "Stores that report.")
    var stores: Int?
    @Option(help: "Messages that a turn finds, at most what the hub takes in at once.")
    var batch = 512

    func run() async throws {
        try await options.inFolder("fold") { folder in
            let count = stores ?? (options.quick ? 500 : 5_000)
            let size = ChainSize(stores: count, audiences: 1, groups: 1, rowsPerGroup: 200)
            let chain = try SteppedChain(try BenchChain.make(at: folder + "/hub", size))
            let talk = try StatusTalk(chain)
            var (folded, single, raw, writes, reports) = (Sample(), Sample(), Sample(), Sample(), 0)
            for run in 0..<options.runCount(usual: 7) {
                let frames = try talk.nextSession(rows: 100)
                // The peer folds the last of the same frames, one turn and so one transaction each.
                let alone = min(frames.count / 4, 300)
                let many = frames.dropLast(alone)
                reports = many.count
                let time = talk.fold(many, batch: batch)
                folded.add(Double(many.count) / time)
                single.add(Double(alone) / talk.fold(frames.suffix(alone), batch: 1))
                try talk.checkAllApplied()
                let inserts = try RawInserts(template: chain.hub.operations, path: folder + "/raw-\(run).db")
                raw.add(try inserts.perSecond(rows: frames.count, batch: batch))
                let bare = try RawFold(template: chain.hub.operations, path: folder + "/bare-\(run).db")
                writes.add(try bare.perSecond(stores: count, batch: batch))
            }
            try print(folded, single, raw, reports)
            try print(writes)
        }
    }

    private func print(_ folded: Sample, _ single: Sample, _ raw: Sample, _ reports: Int) throws {
        let (rate, limit) = (folded.median, raw.median)
        try BenchLine(
            row: 10, what: "folding status messages, \(batch) a turn", measured: rate.rounded4, unit: "messages/s",
            ratio: (rate / limit).rounded4, goal: "≥ 100000",
            against: "batched inserts into the same table, \(Int(limit))/s",
            met: rate >= 100_000,
            note:
                "\(reports) messages a run, one report each, half of them Applied with a watermark; runs \(folded.spread(0))/s; each commit synced"
        ).print()
        try BenchLine(
            row: 10, what: "folding status messages, one transaction each", measured: single.median.rounded4,
            unit: "messages/s", ratio: (single.median / rate).rounded4, goal: "-", against: "the batched fold",
            met: nil,
            note: "the same code with one message a turn"
        ).print()
    }

    private func print(_ writes: Sample) throws {
        try BenchLine(
            row: 10, what: "what such a fold writes, and nothing else", measured: writes.median.rounded4,
            unit: "messages/s", goal: "-", against: "SQLite's own interface", met: nil,
            note: "no decoding, deciding, answering; runs \(writes.spread(0))/s; for orientation"
        ).print()
    }
}

/// What stores say of a session, as frames that are ready before the clock runs.
final class StatusTalk {
    private let chain: SteppedChain
    private let keys: [String]
    private var sequence: Int64 = 0
    private var session: SessionID?

    struct Frame {
        var store: Int
        var bytes: [UInt8]
    }

    init(_ chain: SteppedChain) throws {
        self.chain = chain
        keys = try chain.chain.stores.indices.map { try chain.key(of: $0) }
    }

    private func incarnation(_ store: Int) -> Incarnation { Incarnation(counter: 1, random: UInt64(store) + 1) }

    private func encoded(_ body: AgentLetter.Body, of store: Int) throws -> Frame {
        let letter = AgentLetter(store: chain.chain.stores[store], incarnation: incarnation(store), body: body)
        return Frame(store: store, bytes: try letter.encoded())
    }

    /// Publishes a session and lets every store ask for it. What is left to say is: downloaded, and applied.
    func nextSession(rows: Int) throws -> [Frame] {
        let stores = chain.chain.stores.indices
        let isFirst = sequence == 0
        if !isFirst { try chain.chain.change(rows: rows, ofGroups: 1) }
        let session = try chain.publish(isFull: isFirst).session
        _ = chain.offer()
        let record = try chain.offered(session)
        self.session = session
        let requests = try stores.map { try encoded(.request(session: session, run: 1, attempt: 1), of: $0) }
        _ = fold(requests[...], batch: 512)
        let watermark = Watermark(version: record.version, session: session)
        var frames: [Frame] = []
        for outcome in [StoreOutcome.downloaded, .applied] {
            sequence += 1
            for store in stores {
                let report = StoreReport(
                    id: sequence, incarnation: incarnation(store), sequence: sequence, session: session,
                    job: BenchChain.job, run: 1, attempt: 1, outcome: outcome,
                    at: Timestamp(milliseconds: 1_790_000_000_000 + sequence),
                    rowsChanged: outcome == .applied ? 100 : 0,
                    longestLockMilliseconds: outcome == .applied ? 12 : 0,
                    watermark: outcome == .applied ? watermark : nil)
                frames.append(try encoded(.reports([report]), of: store))
            }
        }
        return frames
    }

    /// Hands the frames over, so many for each turn; the seconds until the last of them is on disk.
    func fold(_ frames: ArraySlice<Frame>, batch: Int) -> Double {
        seconds {
            var next = frames.startIndex
            while next < frames.endIndex {
                let end = min(next + batch, frames.endIndex)
                for frame in frames[next..<end] {
                    chain.hub.hear(frame.bytes, from: SteppedChain.routing(frame.store), key: keys[frame.store])
                }
                chain.hub.step()
                next = end
            }
            chain.turn()
        }
    }

    /// A fold that loses something would be fast.
    func checkAllApplied() throws {
        guard let session else { return }
        let counts = try chain.hub.operations.read { try SessionList.rollUp(session, in: $0) }
        guard counts == [.applied: chain.chain.stores.count] else {
            throw BenchFault("session \(session) should be applied everywhere, and shows \(counts)")
        }
    }
}
