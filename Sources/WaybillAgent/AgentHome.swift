import Foundation
import WaybillDatabase
import WaybillModel
import WaybillSocket
import WaybillWire
import Yams

/// An agent's home folder: where everything lies.
public struct AgentHome: Sendable {
    public let path: String

    public var configuration: String { path + "/agent.yaml" }
    /// What enrolment has fixed: the store's name, the hub's addresses and keys.
    var enrolment: String { path + "/enrolment.json" }
    public var database: String { path + "/store.db" }
    var keys: String { path + "/keys" }
    var curveKey: String { keys + "/agent.curve" }
    /// Packages under way.
    public var incoming: String { path + "/incoming" }
    /// How the connection is, for `waybill-agent status`.
    var connection: String { path + "/connection.json" }

    public init(at path: String) {
        self.path = (path as NSString).standardizingPath
    }

    /// - Throws: ``AgentHomeFault`` when no agent has enrolled here.
    public init(existing path: String) throws {
        self.init(at: path)
        guard FileManager.default.fileExists(atPath: enrolment) else {
            throw AgentHomeFault(
                "\(self.path) is not an agent's home; enrol one with: waybill-agent enrol CODE \(self.path)")
        }
    }

    func loadKeys() throws -> CurveKeyPair {
        let text = String(decoding: try SecretFile.read(curveKey), as: UTF8.self)
        return try CurveKeyPair(secretZ85: text.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    /// The key pair of this home: made at the first call and kept, so that a repeated enrolment shows the same key.
    func loadOrMakeKeys() throws -> CurveKeyPair {
        if FileManager.default.fileExists(atPath: curveKey) { return try loadKeys() }
        try DurableFile.createFolder(keys, mode: 0o700)
        let pair = try CurveKeyPair.generate()
        try DurableFile.write(Array((pair.secretZ85 + "\n").utf8), to: curveKey, mode: 0o600)
        return pair
    }

    public func loadEnrolment() throws -> StoredEnrolment {
        let bytes = try DurableFile.read(enrolment)
        do { return try JSONDecoder().decode(StoredEnrolment.self, from: Data(bytes)) } catch {
            throw AgentHomeFault("\(enrolment) is damaged; enrol again with a new code")
        }
    }
}

/// What an accepted enrolment leaves on disk.
public struct StoredEnrolment: Codable, Sendable {
    public var store: String
    public var agents_endpoint: String
    public var announcements_endpoint: String
    /// CURVE, in Z85.
    public var hub_curve_key: String
    /// Ed25519, 32 bytes in base64.
    public var hub_signing_key: String
    /// The same of the keys that the hub has announced.
    public var next_hub_curve_key: String?
    public var next_hub_signing_key: String?
}

/// A home or a setting that cannot be used, in one sentence.
public struct AgentHomeFault: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// `agent.yaml`. Every setting has a default; the file may be absent.
public struct AgentConfiguration: Sendable, Equatable {
    /// Limit on downloads; 0 for none.
    public var bytesPerSecond = 0
    /// Minutes of the local day within which downloads may run; nil for always. May wrap around midnight.
    public var downloadWindow: DownloadWindow?
    /// Milliseconds that a till which writes may wait for us: decides how a change is written. A longer lock is logged.
    /// nil when the store does not say: then it is for the job to say.
    public var lockBudgetMilliseconds: Int?
    public var logLevel = "info"

    public struct DownloadWindow: Sendable, Equatable {
        public var fromMinute: Int
        public var toMinute: Int

        /// Whether a minute of the day (0…1439) lies in the window.
        public func contains(_ minute: Int) -> Bool {
            fromMinute <= toMinute
                ? (fromMinute..<toMinute).contains(minute) : minute >= fromMinute || minute < toMinute
        }

        /// `HH:MM-HH:MM`.
        init?(_ text: String) {
            func minute(_ part: Substring) -> Int? {
                let numbers = part.split(separator: ":", omittingEmptySubsequences: false)
                guard numbers.count == 2, part.utf8.count == 5, let hour = Int(numbers[0]),
                    let minute = Int(numbers[1]),
                    (0...24).contains(hour), (0...59).contains(minute), hour * 60 + minute <= 1440
                else { return nil }
                return hour * 60 + minute
            }
            let parts = text.split(separator: "-", omittingEmptySubsequences: false)
            guard parts.count == 2, let from = minute(parts[0]), let to = minute(parts[1]), from != to else {
                return nil
            }
            fromMinute = from
            toMinute = to
        }
    }

    public init() {}

    private struct File: Decodable {
        var bytes_per_second: Int?
        var download_window: String?
        var lock_budget_ms: Int?
        var log_level: String?
    }

    static let settings = ["bytes_per_second", "download_window", "lock_budget_ms", "log_level"]

    /// - Throws: ``AgentHomeFault`` naming the file and the setting.
    public init(reading path: String) throws {
        guard FileManager.default.fileExists(atPath: path) else { return }
        let text = String(decoding: try DurableFile.read(path), as: UTF8.self)
        let file: File
        do {
            let names = (try Yams.load(yaml: text) as? [String: Any])?.keys.sorted() ?? []
            if let unknown = names.first(where: { !AgentConfiguration.settings.contains($0) }) {
                throw AgentHomeFault(
                    "there is no setting '\(unknown)'; there are: \(AgentConfiguration.settings.joined(separator: ", "))"
                )
            }
            file = names.isEmpty ? File() : try YAMLDecoder().decode(File.self, from: text)
        } catch let fault as AgentHomeFault {
            throw AgentHomeFault("\(path): \(fault)")
        } catch {
            throw AgentHomeFault("\(path) cannot be read as YAML: \(error)")
        }
        bytesPerSecond = file.bytes_per_second ?? 0
        guard bytesPerSecond >= 0 else { throw AgentHomeFault("\(path): bytes_per_second must not be negative") }
        if let text = file.download_window, !text.isEmpty {
            guard let window = DownloadWindow(text) else {
                throw AgentHomeFault("\(path): download_window '\(text)' is not of the form HH:MM-HH:MM")
            }
            downloadWindow = window
        }
        lockBudgetMilliseconds = file.lock_budget_ms
        guard (1...Limits.lockBudgetMillisecondsMax).contains(lockBudgetMilliseconds ?? 1) else {
            throw AgentHomeFault("\(path): lock_budget_ms must be from 1 to \(Limits.lockBudgetMillisecondsMax)")
        }
        logLevel = file.log_level ?? logLevel
        guard ["trace", "debug", "info", "notice", "warning", "error"].contains(logLevel) else {
            throw AgentHomeFault("\(path): log_level must be trace, debug, info, notice, warning or error")
        }
    }

    /// The file that `enrol` writes.
    static let template = """
        # Waybill agent. Every setting is optional; what is commented out shows the default.
        # A change takes effect when the agent is started again.

        # Limit on downloads in bytes per second; 0 for none.
        # bytes_per_second: 0

        # Local time of day within which downloads may run, as "22:00-06:00"; empty for always.
        # download_window: ""

        # Milliseconds that a till which writes to store.db may have to wait. Larger changes are written beside the table
        # and swapped in; a lock that was held for longer all the same is logged as a warning. While no other program has
        # store.db open a change may take 250 ms; it gives way to one that opens it meanwhile. A job may ask for less than
        # this; while the line is commented out, also for more.
        # lock_budget_ms: 50

        # trace, debug, info, notice, warning or error
        # log_level: info

        """
}
