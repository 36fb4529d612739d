import Crypto
import Foundation
import Logging
import SwiftProtobuf
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillSessions
import WaybillSocket
import WaybillWire

/// Sending, and enrolment.
extension HubTurn {
    mutating func say(_ outgoing: Outgoing) {
        do {
            switch outgoing {
            case .letter(let store, let routing, let letter): try send(letter, to: routing, store)
            case .grant(let store, let routing, let session, let run, let attempt, let package):
                guard let signed = try signedManifest(of: package) else {
                    let reason = "the package of session \(session) is no longer kept"
                    return try send(.notGranted(session: session, run: run, reason: reason), to: routing, store)
                }
                let grant = HubLetter.Grant(
                    session: session, run: run, attempt: attempt, manifest: signed.manifest,
                    signature: signed.signature)
                try send(.grant(grant), to: routing, store)
            case .chunk(let store, let routing, let package, let index):
                do {
                    guard let frame = try chunkFrame(index, of: package) else {
                        let reason = "the package has no chunk \(index)"
                        return try send(.noChunk(package: package, index: index, reason: reason), to: routing, store)
                    }
                    note(try transport.send(frame, to: routing), routing, store)
                    parts.logger.debug("chunk \(index) of package \(package) sent to store \(store)")
                    CrashPoint.chunkSent.pass()
                } catch {
                    parts.logger.warning("chunk \(index) of package \(package) cannot be read: \(error)")
                    notePackageLost(package, store, because: error)
                    let reason = "the hub cannot read it"
                    try send(.noChunk(package: package, index: index, reason: reason), to: routing, store)
                }
            case .announcement(let job, let session): try announce(job, session)
            case .enrolReply(let routing, let frame): try transport.answerEnrolment(frame, to: routing)
            case .task(let task): parts.publisher.add(task)
            }
        } catch {
            parts.logger.error("a message could not be sent: \(error)")
        }
    }

    /// A full queue drops the letter: whoever it was for asks again by its own timer.
    private mutating func send(_ letter: HubLetter, to routing: RoutingID, _ store: StoreID?) throws {
        note(try transport.send(try letter.encoded(), to: routing), routing, store)
    }

    private mutating func note(_ result: SendResult, _ routing: RoutingID, _ store: StoreID?) {
        if result == .unreachable, let store {
            _ = desks[store]?.desk.step(.unreachable(routing: routing.bytes), now: parts.clock.now())
        }
    }

    private func announce(_ job: JobID, _ session: SessionID) throws {
        var announcement = WireAnnouncement()
        announcement.job = job.rawValue
        announcement.session = session.rawValue
        announcement.spreadMs = UInt32(clamping: desks.count * HubLimits.spreadMillisecondsPerStore)
        let frame: [UInt8] = try announcement.serializedBytes()
        try transport.announce(frame)
    }

    // MARK: enrolment

    /// One transaction of its own: the answer must be durable before it goes out, and is repeatable.
    mutating func enrol(_ message: ReceivedMessage, _ batch: inout Batch) {
        guard let routing = message.routingID else { return }
        var reply = WireEnrolReply()
        reply.protocol = protocolVersion
        do {
            try enrolments.admit(from: message.peerAddress ?? "", at: parts.clock.now())
            let store = try admit(message)
            storeChanged(store, now: parts.clock.now(), &batch)
            reply.accepted = true
            reply.agentsEndpoint = parts.configuration.advertised(parts.configuration.listen)
            reply.announcementsEndpoint = parts.configuration.advertised(parts.configuration.announce)
            parts.logger.info("store \(store) has enrolled")
        } catch let refusal as EnrolmentRefusal {
            noteRefusal(refusal, message, &batch)
            parts.clerk?.noteRefusedEnrolment(message, refusal)
            reply.reason = refusal.description
        } catch {
            parts.logger.error("an enrolment failed: \(error)")
            reply.reason = "the hub could not write it down; try again"
        }
        if let frame: [UInt8] = try? reply.serializedBytes() { batch.sends.append(.enrolReply(routing, frame)) }
    }

    private mutating func admit(_ message: ReceivedMessage) throws -> StoreID {
        guard message.frames.count == 1, let frame = message.frames.first,
            let request = try? WireEnrolRequest(serializedBytes: frame)
        else { throw EnrolmentRefusal("the request is not one of the protocol's") }
        guard request.protocol == protocolVersion else {
            throw EnrolmentRefusal(
                "protocol version \(request.protocol) is not spoken here; this hub speaks \(protocolVersion)")
        }
        guard let store = StoreID(request.store) else { throw EnrolmentRefusal("the store's name is not one") }
        try enrolments.admit(
            store, from: message.userID ?? "", at: message.peerAddress ?? "", now: parts.clock.now())
        guard let key = try? CurvePublicKey(bytes: Array(request.publicKey)), key.z85 == message.userID else {
            throw EnrolmentRefusal("the key to be enrolled is not the one of this connection")
        }
        let hash = Array(SHA256.hash(data: request.secret))
        let now = parts.clock.now()
        let machine = String(
            request.machine.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7f }.prefix(128).map(
                Character.init))
        try operations.write { db in
            let before = try StoreRecord.find(store, in: db)
            try Enrolment.use(
                store: store, secretHash: hash, publicKey: key.bytes, machine: machine, at: now, in: db)
            try AuditLog.appendEnrolment(of: store, before: before, key: key, machine: machine, at: now, in: db)
        }
        return store
    }
}

/// Package files that stores are fetching, kept open between chunks.
struct PackageFiles {
    private let home: HubHome
    private var open: [PackageID: ChunkReader] = [:]

    init(home: HubHome) { self.home = home }

    mutating func close(_ package: PackageID) { open[package] = nil }

    mutating func reader(of package: PackageID) throws -> ChunkReader {
        if let reader = open[package] { return reader }
        if open.count >= HubLimits.openPackagesMax { open = [:] }
        let reader = try ChunkReader(path: home.packagePath(package))
        open[package] = reader
        return reader
    }
}
