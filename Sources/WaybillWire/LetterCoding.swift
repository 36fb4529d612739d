import Foundation
import SwiftProtobuf
import WaybillModel

extension AgentLetter {
    /// Minutes that a wall clock may be away from UTC.
    static let utcOffsetMax = 18 * 60
    /// Watermarks in one hello: a hub has tens of jobs, not thousands.
    static let watermarksMax = 1024

    /// One frame.
    public func encoded() throws -> [UInt8] {
        var wire = WireAgentMessage()
        wire.protocol = protocolVersion
        wire.store = store.rawValue
        wire.incarnation = WireIncarnation(incarnation)
        switch body {
        case .hello(let hello): wire.hello = WireHello(hello)
        case .request(let session, let run, let attempt):
            wire.request.session = session.rawValue
            wire.request.run = Int32(clamping: run)
            wire.request.attempt = Int32(clamping: attempt)
        case .chunkRequest(let package, let index):
            wire.chunkRequest.package = Data(package.bytes)
            wire.chunkRequest.index = UInt32(clamping: index)
        case .reports(let reports): wire.reports.reports = reports.map(WireReport.init)
        case .digests(let digests): wire.digests = WireDigests(digests)
        case .quarantine(let report): wire.quarantine = WireQuarantine(report)
        case .keys(let notice): wire.keys = WireKeyNotice(notice)
        }
        return try wire.serializedBytes()
    }

    /// - Throws: ``LetterFault`` for whatever a well-behaved agent would not send.
    public init(decoding frame: [UInt8]) throws(LetterFault) {
        let wire: WireAgentMessage
        do { wire = try WireAgentMessage(serializedBytes: frame) } catch {
            throw LetterFault("the message is not one of the protocol's")
        }
        guard wire.protocol == protocolVersion else {
            throw LetterFault(
                "protocol version \(wire.protocol) is not spoken here; this hub speaks \(protocolVersion)")
        }
        guard let store = StoreID(wire.store) else { throw LetterFault("the store's name is not one") }
        self.store = store
        incarnation = try Incarnation(checking: wire.incarnation)
        switch wire.body {
        case .hello(let hello): body = .hello(try Hello(checking: hello))
        case .request(let request):
            body = .request(
                session: try checkedSession(request.session), run: try checkedCount(request.run, "run"),
                attempt: try checkedCount(request.attempt, "attempt"))
        case .chunkRequest(let request):
            body = .chunkRequest(package: try checkedPackage(request.package), index: Int(request.index))
        case .reports(let reports):
            guard reports.reports.count <= Limits.reportsMax else {
                throw LetterFault("too many reports in one message")
            }
            var checked: [StoreReport] = []
            var strange: [StrangeReport] = []
            for report in reports.reports {
                // Without a name it cannot even be acknowledged.
                let name = ReportName(incarnation: try Incarnation(checking: report.incarnation), id: report.id)
                do { checked.append(try StoreReport(checking: report)) } catch {
                    strange.append(StrangeReport(name: name, fault: error))
                }
            }
            body = .reports(checked)
            strangeReports = strange
        case .digests(let digests): body = .digests(try Digests(checking: digests))
        case .quarantine(let report): body = .quarantine(try QuarantineReport(checking: report))
        case .keys(let notice): body = .keys(try KeyNotice(checking: notice))
        case nil: throw LetterFault("the message has no body that is known here", isOfNewerKind: true)
        }
    }
}

extension HubLetter {
    static let offersMax = 1024
    /// Bytes of an Ed25519 signature.
    static let signatureBytesMax = 64

    /// One frame.
    public func encoded() throws -> [UInt8] {
        var wire = WireHubMessage()
        wire.protocol = protocolVersion
        switch self {
        case .welcome(let welcome):
            wire.welcome.hubRun = welcome.hubRun
            wire.welcome.hubTime = welcome.hubTime.milliseconds
            wire.welcome.helloSeconds = UInt32(clamping: welcome.helloSeconds)
            wire.welcome.offers = welcome.offers.map { offer in
                var wire = WireOffer()
                wire.session = offer.session.rawValue
                wire.run = Int32(clamping: offer.run)
                wire.job = offer.job.rawValue
                wire.bytes = offer.bytes
                wire.attempt = Int32(clamping: offer.attempt)
                wire.follows = offer.follows.map(\.rawValue)
                return wire
            }
            wire.welcome.held = welcome.held.map(WireHeld.init)
            wire.welcome.cancels = welcome.cancels.map(WireCancel.init)
            if let pace = welcome.pace { wire.welcome.pace = WirePace(pace) }
            if let news = welcome.keys { wire.welcome.keys = WireKeyNews(news) }
        case .grant(let grant):
            wire.grant.session = grant.session.rawValue
            wire.grant.run = Int32(clamping: grant.run)
            wire.grant.attempt = Int32(clamping: grant.attempt)
            wire.grant.manifest = Data(grant.manifest)
            wire.grant.signature = Data(grant.signature)
        case .notGranted(let session, let run, let reason):
            wire.notGranted.session = session.rawValue
            wire.notGranted.run = Int32(clamping: run)
            wire.notGranted.reason = reason
        case .chunk(let package, let index, let data):
            wire.chunk.package = Data(package.bytes)
            wire.chunk.index = UInt32(clamping: index)
            wire.chunk.data = Data(data)
        case .noChunk(let package, let index, let reason):
            wire.noChunk.package = Data(package.bytes)
            wire.noChunk.index = UInt32(clamping: index)
            wire.noChunk.reason = reason
        case .acknowledgement(let names):
            wire.acknowledgement.reports = names.map { name in
                var wire = WireReportName()
                wire.incarnation = WireIncarnation(name.incarnation)
                wire.id = name.id
                return wire
            }
        case .cancel(let order): wire.cancel = WireCancel(order)
        case .refused(let reason): wire.refused.reason = reason
        case .regressed(let counter): wire.regressed.counter = counter
        case .examine(let examine): wire.examine = WireExamine(examine)
        case .quarantineOrder(let order): wire.quarantineOrder = WireQuarantineOrder(order)
        case .keyAnswer(let answer): wire.keyAnswer = WireKeyAnswer(answer)
        }
        return try wire.serializedBytes()
    }

    /// - Throws: ``LetterFault`` for whatever a well-behaved hub would not send.
    public init(decoding frame: [UInt8]) throws(LetterFault) {
        let wire: WireHubMessage
        do { wire = try WireHubMessage(serializedBytes: frame) } catch {
            throw LetterFault("the message is not one of the protocol's")
        }
        guard wire.protocol == protocolVersion else {
            throw LetterFault("the hub speaks protocol version \(wire.protocol), this agent \(protocolVersion)")
        }
        switch wire.body {
        case .welcome(let welcome): self = .welcome(try Welcome(checking: welcome))
        case .grant(let grant):
            guard grant.manifest.count <= Limits.chunkBytesMax, grant.signature.count <= HubLetter.signatureBytesMax
            else { throw LetterFault("a grant's manifest or signature is too long") }
            self = .grant(
                Grant(
                    session: try checkedSession(grant.session), run: try checkedCount(grant.run, "run"),
                    attempt: try checkedCount(grant.attempt, "attempt"), manifest: Array(grant.manifest),
                    signature: Array(grant.signature)))
        case .notGranted(let wire):
            self = .notGranted(
                session: try checkedSession(wire.session), run: try checkedCount(wire.run, "run"),
                reason: plainText(wire.reason))
        case .chunk(let wire):
            guard wire.data.count <= Limits.chunkBytesMax else { throw LetterFault("a chunk is too long") }
            self = .chunk(package: try checkedPackage(wire.package), index: Int(wire.index), data: Array(wire.data))
        case .noChunk(let wire):
            self = .noChunk(
                package: try checkedPackage(wire.package), index: Int(wire.index), reason: plainText(wire.reason))
        case .acknowledgement(let wire):
            guard wire.reports.count <= Limits.reportsMax else {
                throw LetterFault("too many acknowledgements in one message")
            }
            var names: [ReportName] = []
            for name in wire.reports {
                names.append(ReportName(incarnation: try Incarnation(checking: name.incarnation), id: name.id))
            }
            self = .acknowledgement(names)
        case .cancel(let wire): self = .cancel(try CancelOrder(checking: wire))
        case .refused(let wire): self = .refused(reason: plainText(wire.reason))
        case .regressed(let wire): self = .regressed(counter: wire.counter)
        case .examine(let wire): self = .examine(try Examine(checking: wire))
        case .quarantineOrder(let wire): self = .quarantineOrder(try QuarantineOrder(checking: wire))
        case .keyAnswer(let wire): self = .keyAnswer(try KeyAnswer(checking: wire))
        case nil: throw LetterFault("the message has no body that is known here", isOfNewerKind: true)
        }
    }
}

// MARK: parts

extension HubLetter.Welcome {
    init(checking wire: WireWelcome) throws(LetterFault) {
        guard wire.offers.count <= HubLetter.offersMax, wire.cancels.count <= HubLetter.offersMax,
            wire.held.count <= HubLetter.offersMax
        else {
            throw LetterFault("too many offers in one message")
        }
        hubRun = wire.hubRun
        hubTime = Timestamp(milliseconds: wire.hubTime)
        helloSeconds = min(max(Int(wire.helloSeconds), 1), 3600)
        offers = []
        for offer in wire.offers {
            guard let job = JobID(offer.job) else { throw LetterFault("an offer's job is not a name") }
            offers.append(
                HubLetter.Offer(
                    session: try checkedSession(offer.session), run: try checkedCount(offer.run, "run"), job: job,
                    bytes: max(0, offer.bytes), attempt: try checkedCount(offer.attempt, "attempt"),
                    // A name that is none cannot be on offer.
                    follows: offer.follows.prefix(HubLetter.offersMax).compactMap(JobID.init)))
        }
        cancels = []
        for cancel in wire.cancels { cancels.append(try HubLetter.CancelOrder(checking: cancel)) }
        held = []
        for wire in wire.held { held.append(try HubLetter.Held(checking: wire)) }
        pace = wire.hasPace ? HubLetter.Pace(wire.pace) : nil
        keys = wire.hasKeys ? KeyNews(wire.keys) : nil
    }
}

extension HubLetter.Held {
    init(checking wire: WireHeld) throws(LetterFault) {
        guard let job = JobID(wire.job) else { throw LetterFault("the job of a held session is not a name") }
        self.init(session: try checkedSession(wire.session), run: try checkedCount(wire.run, "run"), job: job)
    }
}

extension WireHeld {
    init(_ held: HubLetter.Held) {
        self.init()
        session = held.session.rawValue
        run = Int32(clamping: held.run)
        job = held.job.rawValue
    }
}

extension HubLetter.CancelOrder {
    init(checking wire: WireCancel) throws(LetterFault) {
        guard let job = JobID(wire.job) else { throw LetterFault("a cancel's job is not a name") }
        self.init(session: try checkedSession(wire.session), job: job, run: try checkedCount(wire.run, "run"))
    }
}

extension WireCancel {
    init(_ order: HubLetter.CancelOrder) {
        self.init()
        session = order.session.rawValue
        job = order.job.rawValue
        run = Int32(clamping: order.run)
    }
}

extension WireHello {
    init(_ hello: AgentLetter.Hello) {
        self.init()
        agentVersion = hello.agentVersion
        sequence = hello.sequence
        freeBytes = hello.freeBytes
        watermarks = hello.watermarks.sorted { $0.key < $1.key }.map { WireWatermark(job: $0.key, $0.value) }
        if let progress = hello.progress {
            self.progress.session = progress.session.rawValue
            self.progress.bytesDone = progress.bytesDone
            self.progress.bytesTotal = progress.bytesTotal
        }
        if let offset = hello.utcOffsetMinutes { utcOffsetMinutes = Int32(clamping: offset) }
        if let revision = hello.quarantineRevision { quarantineRevision = revision }
        if let activity = hello.activity {
            phase = WirePhase(activity.phase)
            idleMs = UInt64(max(0, activity.idleMilliseconds))
        }
    }
}

extension AgentLetter.Hello {
    init(checking wire: WireHello) throws(LetterFault) {
        guard wire.watermarks.count <= AgentLetter.watermarksMax else { throw LetterFault("too many watermarks") }
        agentVersion = String(plainText(wire.agentVersion).prefix(64))
        sequence = wire.sequence
        freeBytes = wire.freeBytes
        watermarks = [:]
        for watermark in wire.watermarks {
            guard let job = JobID(watermark.job) else { throw LetterFault("a watermark's job is not a name") }
            watermarks[job] = try Watermark(checking: watermark)
        }
        if wire.hasProgress {
            progress = AgentLetter.Progress(
                session: try checkedSession(wire.progress.session), bytesDone: max(0, wire.progress.bytesDone),
                bytesTotal: max(0, wire.progress.bytesTotal))
        }
        // No place on earth is further from UTC; a clock that says so is not believed.
        if wire.hasUtcOffsetMinutes, abs(Int(wire.utcOffsetMinutes)) <= AgentLetter.utcOffsetMax {
            utcOffsetMinutes = Int(wire.utcOffsetMinutes)
        }
        if wire.hasQuarantineRevision { quarantineRevision = wire.quarantineRevision }
        activity = AgentActivity(wire)
    }
}

extension WireWatermark {
    init(job: JobID, _ watermark: Watermark) {
        self.init()
        self.job = job.rawValue
        version.epoch = watermark.version.epoch
        version.number = watermark.version.number
        session = watermark.session.rawValue
    }
}

extension Watermark {
    init(checking wire: WireWatermark) throws(LetterFault) {
        self.init(
            version: Version(epoch: wire.version.epoch, number: wire.version.number),
            session: try checkedSession(wire.session))
    }
}

extension WireIncarnation {
    init(_ incarnation: Incarnation) {
        self.init()
        counter = incarnation.counter
        random = incarnation.random
    }
}

extension Incarnation {
    init(checking wire: WireIncarnation) throws(LetterFault) {
        guard wire.counter > 0 else { throw LetterFault("the incarnation has no counter") }
        self.init(counter: wire.counter, random: wire.random)
    }
}

extension WireReport {
    public init(_ report: StoreReport) {
        self.init()
        id = report.id
        incarnation = WireIncarnation(report.incarnation)
        sequence = report.sequence
        session = report.session.rawValue
        job = report.job.rawValue
        run = Int32(clamping: report.run)
        attempt = Int32(clamping: report.attempt)
        outcome =
            switch report.outcome {
            case .requested: .requested
            case .downloaded: .downloaded
            case .downloadFailed: .downloadFailed
            case .applyFailed: .applyFailed
            case .applied: .applied
            case .canceled: .canceled
            }
        at = report.at.milliseconds
        rowsChanged = report.rowsChanged
        longestLockMs = report.longestLockMilliseconds
        message = report.message
        transient = report.isTransient
        exceptions = Int64(report.exceptions)
        if let mark = report.watermark { watermark = WireWatermark(job: report.job, mark) }
    }
}

extension StoreReport {
    public init(checking wire: WireReport) throws(LetterFault) {
        guard let job = JobID(wire.job) else { throw LetterFault("a report's job is not a name") }
        let outcome: StoreOutcome
        switch wire.outcome {
        case .requested: outcome = .requested
        case .downloaded: outcome = .downloaded
        case .downloadFailed: outcome = .downloadFailed
        case .applyFailed: outcome = .applyFailed
        case .applied: outcome = .applied
        case .canceled: outcome = .canceled
        case .unspecified, .UNRECOGNIZED: throw LetterFault("a report has no known outcome")
        }
        self.init(
            id: wire.id, incarnation: try Incarnation(checking: wire.incarnation), sequence: wire.sequence,
            session: try checkedSession(wire.session), job: job, run: try checkedCount(wire.run, "run"),
            attempt: try checkedCount(wire.attempt, "attempt"), outcome: outcome, at: Timestamp(milliseconds: wire.at),
            rowsChanged: max(0, wire.rowsChanged), longestLockMilliseconds: max(0, wire.longestLockMs),
            message: plainText(wire.message), isTransient: wire.transient,
            watermark: wire.hasWatermark ? try Watermark(checking: wire.watermark) : nil,
            exceptions: max(0, Int(clamping: wire.exceptions)))
    }
}

// MARK: single values

func checkedSession(_ text: String) throws(LetterFault) -> SessionID {
    guard let session = SessionID(text) else {
        throw LetterFault("'\(plainText(text).prefix(40))' is not a session's name")
    }
    return session
}

private func checkedCount(_ value: Int32, _ what: String) throws(LetterFault) -> Int {
    guard value > 0 else { throw LetterFault("\(what) numbers start at 1") }
    return Int(value)
}

private func checkedPackage(_ bytes: Data) throws(LetterFault) -> PackageID {
    guard let package = PackageID(Array(bytes)) else { throw LetterFault("a package's name is not a SHA-256") }
    return package
}

/// Text of the other side as it may go into a log or onto a screen: bounded, and without control characters.
func plainText(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    var bytes = 0
    for scalar in text.unicodeScalars {
        bytes += UTF8.width(scalar)
        if bytes > Limits.reportTextBytesMax { break }
        let isControl = scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
        result.append(isControl ? " " : scalar)
    }
    return String(result)
}

extension StoreReport {
    /// The report alone, as the store's outbox keeps it.
    public func encoded() throws -> [UInt8] { try WireReport(self).serializedBytes() }

    /// - Throws: ``LetterFault`` when the bytes are not a report.
    public init(decoding bytes: [UInt8]) throws(LetterFault) {
        let wire: WireReport
        do { wire = try WireReport(serializedBytes: bytes) } catch { throw LetterFault("a stored report is damaged") }
        try self.init(checking: wire)
    }
}
