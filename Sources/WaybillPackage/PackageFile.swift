import Foundation
import GRDB
import WaybillDatabase
import WaybillModel
import WaybillWire

/// A downloaded package: verified as a whole, unpacked within bounds, and looked into before it is believed.
public enum PackageFile {
    /// Verifies the compressed file against its manifest and unpacks it to `rawPath`, all in one go.
    public static func unpack(compressedPath: String, manifest: Manifest, to rawPath: String) throws(PackageFault) {
        let unpacking = try Unpacking(compressedPath: compressedPath, manifest: manifest, to: rawPath)
        try unpacking.advance(to: manifest.chunkHashes.count)
        try unpacking.finish()
    }

    /// Looks into an unpacked package: only the declared tables, exactly as declared, and as many rows as declared.
    ///
    /// Opened read-only and immutable, with an untrusted schema: no view, trigger, index, generated column or virtual
    /// table gets in, because every entry of the schema must be the statement that we would have written.
    public static func check(rawPath: String, manifest: Manifest) throws(PackageFault) {
        do {
            var configuration = Configuration()
            configuration.readonly = true
            configuration.prepareDatabase { db in
                try db.execute(sql: "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0")
            }
            let queue = try DatabaseQueue(path: immutableURI(rawPath), configuration: configuration)
            defer { try? queue.close() }
            try queue.read { db in
                try checkSchema(manifest, in: db)
                try checkPages(manifest, in: db)
                for table in manifest.tables {
                    try checkCount(table.shape.name, table.rows, in: db)
                    try checkCount(table.shape.name + PackageTables.removedSuffix, table.removed, in: db)
                }
            }
        } catch let fault as PackageFault {
            throw fault
        } catch {
            throw .refused("SQLite cannot read it: \(error)")
        }
    }

    /// How SQLite is told that a file never changes: no locks, no journal, no write.
    public static func immutableURI(_ path: String) -> String {
        let allowed = CharacterSet.urlPathAllowed.subtracting(CharacterSet(charactersIn: "?#%"))
        return "file:\(path.addingPercentEncoding(withAllowedCharacters: allowed) ?? path)?mode=ro&immutable=1"
    }

    private static func checkSchema(_ manifest: Manifest, in db: Database) throws {
        var expected: [String: String] = [:]
        for table in manifest.tables {
            expected[table.shape.name] = PackageTables.createStatement(table.shape, name: table.shape.name)
            expected[table.shape.name + PackageTables.removedSuffix] = PackageTables.createRemovedStatement(table.shape)
        }
        for row in try Row.fetchAll(db, sql: "SELECT type, name, sql FROM sqlite_schema LIMIT 1000") {
            let name: String = row["name"]
            guard row["type"] == "table", let sql: String = row["sql"], let wanted = expected.removeValue(forKey: name),
                sql == wanted
            else {
                throw PackageFault.refused(
                    "it holds \(row["type"] as String? ?? "something") '\(name.prefix(80))', which was not declared")
            }
        }
        if let missing = expected.keys.min() { throw PackageFault.refused("table \(missing) is missing") }
    }

    private static func checkPages(_ manifest: Manifest, in db: Database) throws {
        // A real NULL will not go into the store's table either.
        let trustsNulls = manifest.tables.map(\.shape).allSatisfy(PackageTables.hasKeyFirst)
        if let verdict = try db.damage(trustsNulls: trustsNulls) {
            throw PackageFault.refused("SQLite finds it damaged: \(verdict)")
        }
    }

    private static func checkCount(_ table: String, _ declared: Int64, in db: Database) throws {
        let count = try Int64.fetchOne(db, sql: "SELECT count(*) FROM \(quoted(table))") ?? 0
        guard count == declared else {
            throw PackageFault.refused("table \(table) has \(count) rows, \(declared) were declared")
        }
    }
}
