import Foundation
import Logging
import Synchronization
import WaybillApply
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillSocket
import WaybillWire

/// Long work of a store, one piece after the other on a thread of its own: looking at partial files, unpacking,
/// applying. Answers through the mailbox.
final class Worker: Sendable {
    enum Piece: Sendable {
        case open(Manifest)
        /// So many chunks are stored from the first on: time enough to unpack them while the others come.
        case unpackAhead(Manifest, chunks: Int)
        case unpack(Manifest)
        case apply(Manifest, run: Int, attempt: Int)
        case discard(PackageID)
        case examine(HubLetter.Examine)
        case quarantine(QuarantineOrder)
    }

    let parts: AgentParts
    let post: @Sendable (AgentEvent) -> Void
    private let queue = Guarded()
    private let isStopRequested = Atomic(false)
    let pulse = WorkPulse()
    private let ahead = Ahead()
    private let thread = Mutex<LoopThread?>(nil)

    /// NSCondition guards the fields: they are touched between lock and unlock only, which is why this may be shared.
    private final class Guarded: @unchecked Sendable {
        let condition = NSCondition()
        var pieces: [Piece] = []
        var isStopping = false
    }

    /// What has been unpacked of a package that is not complete yet. Touched by the thread that does the work only, which
    /// is why this may be shared.
    private final class Ahead: @unchecked Sendable { var unpacking: Unpacking? }

    /// - Parameter post: hands what came of a piece to the wire thread.
    init(parts: AgentParts, post: @escaping @Sendable (AgentEvent) -> Void) {
        self.parts = parts
        self.post = post
    }

    func start(applier: Applier, ledger: StoreDatabase) throws {
        let slot = Handover((applier, ledger))
        let loop = try LoopThread("agent-work") { [self] in
            guard let (applier, ledger) = slot.take() else { return }
            while let piece = next() { run(piece, applier, ledger) }
        }
        thread.withLock { $0 = loop }
    }

    func add(_ piece: Piece) {
        if case .apply = piece { isStopRequested.store(false, ordering: .releasing) }
        queue.condition.lock()
        defer { queue.condition.unlock() }
        // More chunks have come before the worker has got to those: once is enough.
        if case .unpackAhead = piece, case .unpackAhead? = queue.pieces.last { queue.pieces.removeLast() }
        queue.pieces.append(piece)
        queue.condition.signal()
    }

    /// Asks an apply under way to end at its next chance.
    func stopApplying() { isStopRequested.store(true, ordering: .releasing) }

    func stop() {
        stopApplying()
        queue.condition.lock()
        queue.isStopping = true
        queue.condition.broadcast()
        queue.condition.unlock()
        thread.withLock { $0.take() }?.join()
    }

    private func next() -> Piece? {
        queue.condition.lock()
        defer { queue.condition.unlock() }
        while queue.pieces.isEmpty, !queue.isStopping { queue.condition.wait() }
        return queue.isStopping ? nil : queue.pieces.removeFirst()
    }

    /// The next piece, if there is one now: for a caller that is no thread of its own.
    func takeNow() -> Piece? {
        queue.condition.lock()
        defer { queue.condition.unlock() }
        return queue.pieces.isEmpty || queue.isStopping ? nil : queue.pieces.removeFirst()
    }

    var nextPiece: Piece? {
        queue.condition.lock()
        defer { queue.condition.unlock() }
        return queue.pieces.first
    }

    var hasPieces: Bool { nextPiece != nil }

    func run(_ piece: Piece, _ applier: Applier, _ ledger: StoreDatabase) {
        switch piece {
        case .open(let manifest): open(manifest)
        case .unpackAhead(let manifest, let chunks): unpackAhead(manifest, chunks)
        case .unpack(let manifest): unpack(manifest)
        case .apply(let manifest, let run, let attempt): apply(manifest, run, attempt, applier, ledger)
        case .discard(let package): discard(package)
        case .examine(let question): examine(question)
        case .quarantine(let order): carryOut(order, ledger)
        }
    }

    private func rawPath(_ package: PackageID) -> String { parts.home.incoming + "/" + package.hex + ".db" }

    private func open(_ manifest: Manifest) {
        do {
            ahead.unpacking = nil
            try sweep(keeping: manifest.id)
            let needed = manifest.bytes + manifest.rawBytes + AgentHome.reserveBytes
            let free = try DurableFile.freeBytes(at: parts.home.incoming)
            guard free >= needed else {
                throw AgentFault(
                    stage: .download, message: "the download needs \(needed) bytes of disk, \(free) are free",
                    isTransient: true)
            }
            let file = try IncomingFile.open(folder: parts.home.incoming, manifest: manifest)
            post(.opened(manifest.id, held: file.held))
        } catch let fault as AgentFault {
            post(.failed(manifest.id, fault))
        } catch {
            post(
                .failed(manifest.id, AgentFault(stage: .download, message: "\(error)", isTransient: true)))
        }
    }

    /// Removes what earlier downloads left, but for the package at hand: one download at a time needs one file.
    private func sweep(keeping package: PackageID) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: parts.home.incoming)
        where !name.hasPrefix(package.hex) {
            try FileManager.default.removeItem(atPath: parts.home.incoming + "/" + name)
        }
    }

    /// The unpacking of a package, begun if it has not been.
    private func unpacking(of manifest: Manifest) throws(PackageFault) -> Unpacking {
        if let begun = ahead.unpacking, begun.package == manifest.id { return begun }
        let unpacking = try Unpacking(
            compressedPath: IncomingFile.path(of: manifest.id, in: parts.home.incoming), manifest: manifest,
            to: rawPath(manifest.id))
        ahead.unpacking = unpacking
        return unpacking
    }

    /// What goes wrong here shows when all of it is unpacked, and is told then.
    private func unpackAhead(_ manifest: Manifest, _ chunks: Int) {
        do throws(PackageFault) {
            try unpacking(of: manifest).advance(to: chunks)
        } catch {
            parts.logger.debug("package \(manifest.id) could not be unpacked ahead: \(error)")
            ahead.unpacking = nil
        }
    }

    private func unpack(_ manifest: Manifest) {
        defer { ahead.unpacking = nil }
        do {
            let unpacking = try unpacking(of: manifest)
            try unpacking.advance(to: manifest.chunkHashes.count)
            try unpacking.finish()
            // So that a power cut during the apply costs no second download.
            try DurableFile.sync(IncomingFile.path(of: manifest.id, in: parts.home.incoming))
            try PackageFile.check(rawPath: rawPath(manifest.id), manifest: manifest)
            CrashPoint.unpacked.pass()
            post(.unpacked(manifest.id))
        } catch {
            let isTransient = (error as? PackageFault)?.isTransient ?? (error is FileFault)
            post(
                .failed(manifest.id, AgentFault(stage: .download, message: "\(error)", isTransient: isTransient)))
        }
    }

    private func apply(_ manifest: Manifest, _ run: Int, _ attempt: Int, _ applier: Applier, _ ledger: StoreDatabase) {
        do {
            try applier.apply(
                rawPath: rawPath(manifest.id), manifest: manifest, run: run, attempt: attempt,
                at: { self.parts.clock.now() }, pause: parts.pause,
                shouldStop: {
                    self.parts.betweenSteps()
                    return self.pulse.beat(
                        self.parts.clock.now(), self.isStopRequested.load(ordering: .acquiring))
                },
                committed: { result in
                    CrashPoint.applied.pass()
                    tell(result, of: manifest)
                    do {
                        post(.applied(AgentCore.RunName(manifest.session, run), try ledger.storedState()))
                    } catch {
                        post(.failed(manifest.id, AgentFault(stage: .apply, message: "\(error)", isTransient: true)))
                    }
                })
        } catch {
            report(error, of: manifest.job, ledger)
            post(
                .failed(
                    manifest.id,
                    AgentFault(
                        stage: .apply, message: "\(error)", isTransient: error.isTransient, isStale: error.isStale)))
        }
    }

    private func tell(_ result: ApplyResult, of manifest: Manifest) {
        parts.logger.info(
            "session \(manifest.session) of job \(manifest.job) applied: \(result.rowsChanged) rows, longest lock \(result.longestLockMilliseconds) ms"
        )
        if !result.message.isEmpty { parts.logger.warning("session \(manifest.session): \(result.message)") }
        if result.longestLockMilliseconds > result.allowedLockMilliseconds {
            parts.logger.warning(
                "a till that writes may have waited \(result.longestLockMilliseconds) ms for session \(manifest.session); it was to be at most \(result.allowedLockMilliseconds) ms"
            )
        }
    }

    /// What a fault leaves in the store's database beside the report of it.
    private func report(_ fault: ApplyFault, of job: JobID, _ ledger: StoreDatabase) {
        do {
            switch fault {
            case .shapeChanged: try ledger.forgetWatermark(of: job)
            case .canceled: break  // an answer may have been written into the outbox
            default: return
            }
            post(.stored(try ledger.storedState()))
        } catch {
            parts.logger.error("store.db could not be written: \(error)")
        }
    }

    private func discard(_ package: PackageID) {
        if ahead.unpacking?.package == package { ahead.unpacking = nil }
        do {
            for name in try FileManager.default.contentsOfDirectory(atPath: parts.home.incoming)
            where name.hasPrefix(package.hex) {
                try FileManager.default.removeItem(atPath: parts.home.incoming + "/" + name)
            }
        } catch {
            parts.logger.warning("the files of package \(package) could not be removed: \(error)")
        }
    }
}

extension AgentHome {
    /// Bytes that a download leaves free: the tills go on selling.
    static let reserveBytes: Int64 = 64 * 1024 * 1024
}

extension StoreDatabase {
    /// What the core needs to know of the database.
    func storedState() throws -> StoredState {
        let state = try state()
        return StoredState(
            incarnation: state.incarnation, sequence: state.sequence, watermarks: state.watermarks,
            outbox: try outbox(limit: Limits.reportsMax), quarantineRevision: try quarantineRevision())
    }
}
