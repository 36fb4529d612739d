import Foundation
import WaybillAgent
import WaybillDatabase
import WaybillFaultDisk
import WaybillModel

/// A machine at a store: its disk and folder, which outlive the agent's process, and the process.
///
/// Sendable although it is not, for the same reason as ``World``: one thread runs both.
final class Machine: @unchecked Sendable {
    let number: Int
    let store: StoreID
    /// The agent's public key, as text.
    let key: String
    let home: AgentHome
    let disk: FaultDisk
    /// The code it enrols with, until it has.
    var code: [UInt8]?
    /// It is there and switched on when nothing kills it; false for one that was carried away.
    var isPresent = true
    // The process.
    var agent: SteppedAgent?
    var life = 0
    /// Where its wall clock is wrong, in milliseconds; a process takes it at its start and then counts steadily.
    var clockError: Int64 = 0
    var processError: Int64 = 0
    // The line.
    var line: Int?
    var isCut = false
    /// Events that are on the agenda already, so that there is one of a kind.
    var isStepDue = false
    var isWorkDue = false
    var isConnecting = false
    /// Its line has ended, and the agent does not know it yet.
    var isLossUntold = false
    /// All that it has reported since it began, or was last restored.
    var reported: [ReportName: StoreReport] = [:]
    /// Since its outbox was looked at.
    var hasReported = false
    // Copies: of the database, and of the incoming files with it.
    var copies: [(database: DiskImage, files: [String: Data])] = []

    init(number: Int, store: StoreID, key: String, folder: String, disk: FaultDisk, image: DiskImage) throws {
        self.number = number
        self.store = store
        self.key = key
        home = AgentHome(at: folder)
        self.disk = disk
        try DurableFile.createFolder(folder)
        try DurableFile.createFolder(home.incoming)
        try disk.claim(home.database)
        try disk.install(image, at: home.database)
    }

    func incomingFiles() -> [String: Data] {
        var files: [String: Data] = [:]
        for name in (try? FileManager.default.contentsOfDirectory(atPath: home.incoming)) ?? [] {
            files[name] = FileManager.default.contents(atPath: home.incoming + "/" + name)
        }
        return files
    }

    func setIncomingFiles(_ files: [String: Data]) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: home.incoming)) ?? [] {
            unlink(home.incoming + "/" + name)
        }
        for (name, data) in files {
            _ = FileManager.default.createFile(atPath: home.incoming + "/" + name, contents: data)
        }
    }
}
