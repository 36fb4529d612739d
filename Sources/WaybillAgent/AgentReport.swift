import Foundation
import WaybillApply
import WaybillDatabase
import WaybillModel

/// What `waybill-agent status` shows: where the store stands, what came last, how the connection is.
public struct AgentReport: Codable, Sendable {
    public struct Mark: Codable, Sendable {
        public var version: Int64
        public var epoch: Int64
        public var session: String
    }

    public struct Session: Codable, Sendable {
        public var session: String
        public var job: String
        /// `applied` or `canceled`.
        public var outcome: String
        public var at: String
    }

    public struct Connection: Codable, Sendable {
        public var running: Bool
        public var connected: Bool
        /// null when the hub was never heard.
        public var heard_at: String?
        public var problem: String?
        public var hub: String

        /// Every key is always there: null when there is nothing to say.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(running, forKey: .running)
            try container.encode(connected, forKey: .connected)
            try container.encode(heard_at, forKey: .heard_at)
            try container.encode(problem, forKey: .problem)
            try container.encode(hub, forKey: .hub)
        }

        private enum CodingKeys: String, CodingKey { case running, connected, heard_at, problem, hub }
    }

    public var store: String
    public var watermarks: [String: Mark]
    public var last_sessions: [Session]
    public var reports_waiting: Int
    /// Rows that the store could not take.
    public var quarantined: Int
    public var connection: Connection
    public var keys: Keys

    /// Reads a home, whether its agent runs or not.
    public init(home: AgentHome) throws {
        let enrolment = try home.loadEnrolment()
        guard let id = StoreID(enrolment.store) else {
            throw AgentHomeFault("\(home.path)/enrolment.json is damaged; enrol again with a new code")
        }
        let database = try StoreDatabase(path: home.database, store: id)
        let state = try database.state()
        store = enrolment.store
        watermarks = Dictionary(
            state.watermarks.map { job, mark in
                (
                    job.rawValue,
                    Mark(version: mark.version.number, epoch: mark.version.epoch, session: mark.session.rawValue)
                )
            }, uniquingKeysWith: { a, _ in a })
        last_sessions = try database.lastOutcomes(limit: 10).map {
            Session(session: $0.session, job: $0.job, outcome: $0.outcome, at: AgentReport.text($0.at))
        }
        reports_waiting = try database.outbox(limit: Limits.reportsMax).count
        quarantined = try database.quarantine().total
        keys = try Keys(home: home, enrolment)
        let isRunning = AgentReport.isLocked(home)
        let saved = try? JSONDecoder().decode(
            ConnectionState.self, from: Data(try DurableFile.read(home.connection)))
        connection = Connection(
            running: isRunning, connected: isRunning && saved?.isConnected == true,
            heard_at: saved?.heardAt.map { AgentReport.text(Timestamp(milliseconds: $0)) },
            problem: saved?.problem.isEmpty == false ? saved?.problem : nil, hub: enrolment.agents_endpoint)
    }

    private static func isLocked(_ home: AgentHome) -> Bool {
        do {
            _ = try HomeLock(home: home.path, role: "waybill-agent")
            return false
        } catch { return error is HomeInUse }
    }

    /// ISO 8601 in UTC.
    private static func text(_ time: Timestamp) -> String {
        Date(timeIntervalSince1970: Double(time.milliseconds) / 1000)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    /// Lines for a terminal.
    public var lines: [String] {
        let line = connection.connected ? "connected to" : connection.running ? "not connected to" : "not running; hub"
        var lines = ["Store \(store): \(line) \(connection.hub)"]
        if let heard = connection.heard_at { lines.append("Hub last heard: \(heard)") }
        if let problem = connection.problem { lines.append("Problem: \(problem)") }
        if reports_waiting > 0 { lines.append("Reports waiting for the hub: \(reports_waiting)") }
        if quarantined > 0 { lines.append("Rows in quarantine: \(quarantined); see table _waybill_quarantine") }
        lines += keys.lines
        lines.append("")
        if watermarks.isEmpty { lines.append("Nothing applied yet.") }
        for (job, mark) in watermarks.sorted(by: { $0.key < $1.key }) {
            let padding = String(repeating: " ", count: max(1, 20 - job.count))
            lines.append("\(job)\(padding)version \(mark.epoch).\(mark.version), session \(mark.session)")
        }
        for session in last_sessions.prefix(5) {
            lines.append("  \(session.at)  \(session.outcome)  \(session.session) (\(session.job))")
        }
        return lines
    }
}
