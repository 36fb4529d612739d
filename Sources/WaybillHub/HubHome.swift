import Foundation
import WaybillCapture
import WaybillDatabase
import WaybillModel
import WaybillSessions
import WaybillSocket
import WaybillWire

/// A hub's home folder: where everything lies.
public struct HubHome: Sendable {
    public let path: String

    public var configuration: String { path + "/hub.yaml" }
    public var hqDatabase: String { path + "/hq.db" }
    public var hubDatabase: String { path + "/hub.db" }
    public var rowsDatabase: String { path + "/rows.db" }
    /// Imports as they were read, row by row.
    public var stagingDatabase: String { path + "/staging.db" }
    /// How files of integrators become rows of HQ's tables: `*.yaml`.
    public var mappings: String { path + "/mappings" }
    public var keys: String { path + "/keys" }
    var curveKey: String { keys + "/hub.curve" }
    var signingKey: String { keys + "/hub.signing" }
    /// Sealed packages, named by their hash.
    public var packages: String { path + "/packages" }
    /// Job files of this chain.
    public var jobs: String { path + "/jobs" }
    /// Copies of the job files that come with the hub, to read and to copy from.
    public var retailJobs: String { jobs + "/retail" }
    /// Uploaded files until they are imported.
    public var incoming: String { path + "/incoming" }
    /// Names and hashes of the tokens with which administrators come by TCP.
    public var adminTokens: String { path + "/admin-tokens" }
    public var adminSocket: String { path + "/admin.sock" }

    /// - Throws: ``HomeFault`` when the folder is not a hub's home.
    public init(existing path: String) throws {
        self.init(at: path)
        guard FileManager.default.fileExists(atPath: configuration), FileManager.default.fileExists(atPath: hqDatabase)
        else { throw HomeFault("\(path) is not a hub's home; make one with: waybill-hub init \(path)") }
    }

    /// A place for a home, whether there is one or not.
    package init(at path: String) {
        self.path = (path as NSString).standardizingPath
    }

    /// Makes a home in an empty or absent folder: keys, `hub.yaml`, `hq.db` with the retail tables, `hub.db`.
    ///
    /// `hub.yaml` is written last, so that a home cut short is not taken for one.
    public static func create(at path: String, listen: String) throws -> HubHome {
        let home = HubHome(at: path)
        try HubConfiguration(listen: listen).check()
        try DurableFile.createFolder(home.path, mode: 0o750)
        guard !FileManager.default.fileExists(atPath: home.configuration) else {
            throw HomeFault("\(home.path) is a hub's home already; nothing was changed")
        }
        try DurableFile.createFolder(home.keys, mode: 0o700)
        try DurableFile.createFolder(home.packages, mode: 0o750)
        try DurableFile.createFolder(home.incoming, mode: 0o700)
        try home.writeRetailJobs()
        let curve = try CurveKeyPair.generate()
        try DurableFile.write(Array((curve.secretZ85 + "\n").utf8), to: home.curveKey, mode: 0o600)
        try DurableFile.write(SigningKey().rawBytes, to: home.signingKey, mode: 0o600)
        try home.makeDatabasesPrivate()
        let hq = try OpenDatabase.queue(at: home.hqDatabase, label: "hq")
        try hq.write { db in try HQSchema.install(in: db) }
        try hq.close()
        _ = try Operations(path: home.hubDatabase)
        try DurableFile.write(Array(HubConfiguration.template(listen: listen).utf8), to: home.configuration)
        return home
    }

    func loadCurveKeys() throws -> CurveKeyPair {
        let text = String(decoding: try SecretFile.read(curveKey), as: UTF8.self)
        return try CurveKeyPair(secretZ85: text.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    func loadSigningKey() throws -> SigningKey {
        try SigningKey(rawBytes: try SecretFile.read(signingKey))
    }

    /// Makes those databases that are missing with permissions for nobody else, before SQLite makes them with others.
    func makeDatabasesPrivate() throws {
        for database in [hqDatabase, hubDatabase, rowsDatabase, stagingDatabase] { try PrivateFile.make(database) }
    }

    func packagePath(_ id: PackageID) -> String { packages + "/" + id.hex + ".zst" }
}

/// A home that cannot be used, in one sentence.
public struct HomeFault: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
