import Foundation
import Logging
import SwiftProtobuf
import WaybillApply
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillSocket
import WaybillWire

/// The wire thread's state, and one turn of its loop. Used by that thread only.
final class AgentTurn {
    private let parts: AgentParts
    private let ledger: StoreDatabase
    private let worker: Worker
    private let keyring: AgentKeyring?
    private let connect: () throws -> any AgentLine
    private var line: any AgentLine
    private(set) var core: AgentCore
    private var incoming: IncomingFile?
    private var tickedAt: Timestamp?
    private var connection = ConnectionState()

    /// - Parameters:
    ///   - keyring: nil for lines that are made without keys.
    ///   - connect: makes the line, and makes it anew when it has gone silent or other keys are to be tried.
    init(
        parts: AgentParts, ledger: StoreDatabase, worker: Worker, keyring: AgentKeyring? = nil,
        connect: @escaping () throws -> any AgentLine
    ) throws {
        self.parts = parts
        self.ledger = ledger
        self.worker = worker
        self.keyring = keyring
        self.connect = connect
        line = try connect()
        core = AgentCore(store: parts.store, settings: parts.settings, stored: try ledger.storedState())
        if let keyring { _ = core.step(.keys(keyring.disk), now: parts.clock.now()) }
    }

    func run(takeEvents: () -> [AgentEvent]) {
        do {
            try line.wait(milliseconds: AgentCore.tickMilliseconds)
            for event in takeEvents() { handle(event) }
            while let event = try line.nextMonitorEvent() { noteConnection(event) }
            while let frame = try line.nextLetter() { hear(frame) }
            while let frame = try line.nextAnnouncement() { hearAnnouncement(frame) }
            let now = parts.clock.now()
            if tickedAt.map({ now - $0 >= Int64(AgentCore.tickMilliseconds) }) ?? true {
                tickedAt = now
                if let keyring, keyring.takeRequest(parts.logger) { handle(.keys(keyring.disk)) }
                handle(.tick(surroundings()))
            }
        } catch {
            parts.logger.error("the connection to the hub failed: \(error)")
            reconnect()
        }
    }

    func close() {
        connection.isConnected = false
        connection.save(to: parts.home.connection, logger: parts.logger)
    }

    private func surroundings() -> Surroundings {
        let free = (try? DurableFile.freeBytes(at: parts.home.path)) ?? 0
        var isOpen = true
        let local = parts.localTime()
        if let window = parts.configuration.downloadWindow { isOpen = window.contains(local.minuteOfDay) }
        return Surroundings(
            freeBytes: free, isDownloadWindowOpen: isOpen, utcOffsetMinutes: local.utcOffsetMinutes,
            workIdleMilliseconds: worker.pulse.idleMilliseconds(parts.clock.now()))
    }

    // MARK: hearing

    private func hear(_ frame: [UInt8]) {
        do {
            let letter = try HubLetter(decoding: frame)
            if case .refused(let reason) = letter { connection.problem = reason } else { connection.problem = "" }
            connection.heard(parts.clock.now())
            handle(.letter(letter))
        } catch {
            parts.logger.warning("the hub sent something that was refused: \(error)")
        }
    }

    private func hearAnnouncement(_ frame: [UInt8]) {
        guard let wire = try? WireAnnouncement(serializedBytes: frame), let session = SessionID(wire.session) else {
            return
        }
        handle(.announced(session, spreadMilliseconds: Int64(min(wire.spreadMs, 600_000))))
    }

    private func noteConnection(_ event: ConnectionEvent) {
        parts.logger.debug("\(event)")
        switch event {
        case .handshakeSucceeded:
            parts.logger.info("connected to the hub at \(parts.enrolment.agents_endpoint)")
            connection.isConnected = true
            connection.problem = ""
            handle(.connected)
        case .disconnected:
            if connection.isConnected { parts.logger.warning("the connection to the hub has ended; trying again") }
            connection.isConnected = false
            handle(.disconnected)
        case .handshakeRefused, .handshakeBroken, .handshakeFailed:
            let isKeyUnknown = if case .handshakeRefused = event { true } else { false }
            let reason =
                isKeyUnknown
                ? "the hub refused this store's key: it is unknown or retired there; enrol again with a new code"
                : "the handshake with the hub failed: its key is none that this store knows, or the line broke"
            // A hub that has announced new keys has most likely taken them: they are tried next.
            let isExpected = !isKeyUnknown && keyring?.disk.nextHub != nil
            if connection.problem != reason { parts.logger.log(level: isExpected ? .info : .error, "\(reason)") }
            connection.problem = reason
            connection.isConnected = false
            handle(.handshakeFailed(isKeyUnknown: isKeyUnknown))
        case .connected, .willRetry: return
        }
        guard parts.showsConnection else { return }
        connection.save(to: parts.home.connection, logger: parts.logger)
    }

    // MARK: deciding and doing

    private func handle(_ event: AgentEvent) {
        var events = [event]
        // An effect that is done at once answers with an event of its own.
        while !events.isEmpty {
            for effect in core.step(events.removeFirst(), now: parts.clock.now()) {
                do {
                    if let answer = try run(effect) { events.append(answer) }
                } catch {
                    parts.logger.error("\(error)")
                    events.append(.notDone(effect))
                }
            }
        }
        guard parts.showsConnection else { return }
        connection.saveNowAndThen(to: parts.home.connection, at: parts.clock.now(), logger: parts.logger)
    }

    private func run(_ effect: AgentEffect) throws -> AgentEvent? {
        switch effect {
        case .send(let letter): try line.send(letter)
        case .reconnect: reconnect()
        case .keys(let effect): return try keyring.map { .keys(try $0.run(effect)) }
        case .open(let manifest):
            incoming = nil
            worker.add(.open(manifest))
        case .storeChunk(let package, let index, let data): return storeChunk(package, index, data)
        case .unpack(let manifest):
            incoming = nil
            worker.add(.unpack(manifest))
        case .apply(let manifest, let run, let attempt): worker.add(.apply(manifest, run: run, attempt: attempt))
        case .stopApplying: worker.stopApplying()
        case .discard(let package):
            incoming = nil
            worker.add(.discard(package))
        case .record(let session, let job, let run, let attempt, let outcome, let message, let isTransient):
            try ledger.record(
                session: session, job: job, run: run, attempt: attempt, outcome: outcome, at: parts.clock.now(),
                message: message, isTransient: isTransient)
            return .stored(try ledger.storedState())
        case .recordCancel(let order):
            let report = try ledger.cancel(
                session: order.session, job: order.job, run: order.run, at: parts.clock.now())
            parts.logger.info("session \(order.session) was called off: \(report.outcome.rawValue)")
            return .stored(try ledger.storedState())
        case .acknowledge(let names):
            try ledger.acknowledge(names)
            CrashPoint.acknowledged.pass()
            return .stored(try ledger.storedState())
        case .forgetOutcomes(let oldest):
            let gone = try ledger.forgetOutcomes(
                before: OutcomeRetention.cutoff(at: parts.clock.now()), olderThan: oldest)
            if gone > 0 { parts.logger.debug("\(gone) outcomes of old sessions were forgotten") }
            return .outcomesForgotten(isAll: gone < OutcomeRetention.slice)
        case .readStored: return .stored(try ledger.storedState())
        case .raiseIncarnation(let counter):
            _ = try ledger.raiseIncarnation(above: counter, random: parts.random())
            return .stored(try ledger.storedState())
        case .examine(let question): worker.add(.examine(question))
        case .quarantine(nil): return .quarantineRead(try ledger.quarantine(), try ledger.storedState())
        // The worker's, so that it does not meet an apply.
        case .quarantine(let order?): worker.add(.quarantine(order))
        case .log(let text, let isProblem): parts.logger.log(level: isProblem ? .warning : .info, "\(text)")
        }
        return nil
    }

    /// Small enough for the wire thread: one hash and one write of a chunk.
    private func storeChunk(_ package: PackageID, _ index: Int, _ data: [UInt8]) -> AgentEvent? {
        guard let manifest = core.task?.manifest, manifest.id == package else { return nil }
        do {
            if incoming == nil { incoming = try IncomingFile.open(folder: parts.home.incoming, manifest: manifest) }
            guard let incoming, try incoming.write(data, at: index) else {
                return .chunkRejected(package, index: index)
            }
            // All of it is unpacked when the core says so.
            if incoming.heldWithoutGap > 0, !incoming.isComplete {
                worker.add(.unpackAhead(manifest, chunks: incoming.heldWithoutGap))
            }
            parts.logger.debug("chunk \(index) of package \(package) stored")
            CrashPoint.chunkStored.pass()
            return .chunkStored(package, index: index)
        } catch {
            incoming = nil
            return .failed(
                package,
                AgentFault(stage: .download, message: "the download cannot be stored: \(error)", isTransient: true))
        }
    }

    private func reconnect() {
        keyring?.use(core.keyChoice)
        do { line = try connect() } catch { parts.logger.error("no new connection to the hub: \(error)") }
        connection.isConnected = false
        handle(.disconnected)
    }
}
