import Logging
import Synchronization
import WaybillWire

/// What the hub and the agents log, for a schedule that is told line by line.
final class TraceLines: Sendable {
    private let lines = Mutex<[String]>([])

    func add(_ line: String) { lines.withLock { $0.append(line) } }

    func take() -> [String] {
        lines.withLock { lines in
            defer { lines = [] }
            return lines
        }
    }
}

struct TraceLog: LogHandler {
    let lines: TraceLines
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info

    init(_ lines: TraceLines) { self.lines = lines }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.add("\(event.level): \(event.message)") }
}

extension AgentLetter {
    /// One word or two, for a trace.
    var kindForTrace: String {
        switch body {
        case .hello: "hello"
        case .request(let session, let run, let attempt): "request \(session) \(run) \(attempt)"
        case .chunkRequest(_, let index): "chunk? \(index)"
        case .reports(let reports): reports.map { "\($0.outcome.rawValue) \($0.session)" }.joined(separator: ", ")
        default: "something else"
        }
    }
}

extension HubLetter {
    /// One word or two, for a trace.
    var kindForTrace: String {
        switch self {
        case .welcome(let welcome): "welcome \(welcome.offers.map(\.session)) \(welcome.cancels.map(\.session))"
        case .grant(let grant): "grant \(grant.session) \(grant.run)"
        case .notGranted(let session, _, let reason): "notGranted \(session): \(reason)"
        case .chunk(_, let index, _): "chunk \(index)"
        case .noChunk(_, let index, _): "noChunk \(index)"
        case .acknowledgement(let names): "ack \(names.map(\.id))"
        case .cancel(let order): "cancel \(order.session) \(order.run)"
        case .refused(let reason): "refused \(reason)"
        case .regressed(let counter): "regressed \(counter)"
        default: "something else"
        }
    }
}
