import Foundation
import Logging
import WaybillDatabase
import WaybillModel

/// How the connection is, for people who ask at the store: `waybill-agent status` reads it from `connection.json`.
struct ConnectionState: Codable, Sendable, Equatable {
    /// The file is written at most this often while only the time of the last sign changes.
    private static let saveMilliseconds: Int64 = 10_000

    var isConnected = false
    /// When the hub was last heard, milliseconds since 1970.
    var heardAt: Int64?
    /// Why there is no connection, in the hub's words or ours.
    var problem = ""
    var processID = ProcessInfo.processInfo.processIdentifier

    private var savedAt: Int64?

    enum CodingKeys: String, CodingKey {
        case isConnected = "connected"
        case heardAt = "heard_at"
        case problem
        case processID = "process_id"
    }

    mutating func heard(_ now: Timestamp) { heardAt = now.milliseconds }

    mutating func saveNowAndThen(to path: String, at now: Timestamp, logger: Logger) {
        if let savedAt, now.milliseconds - savedAt < ConnectionState.saveMilliseconds { return }
        savedAt = now.milliseconds
        save(to: path, logger: logger)
    }

    /// Not synced: nothing depends on it, and it is written anew every few seconds.
    func save(to path: String, logger: Logger) {
        do {
            try JSONEncoder().encode(self).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            logger.warning("\(path) could not be written: \(error)")
        }
    }
}
