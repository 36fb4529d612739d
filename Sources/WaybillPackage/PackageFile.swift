import CZstd
import Crypto
import Foundation
import GRDB
import WaybillDatabase
import WaybillModel
import WaybillWire

/// A downloaded package: verified as a whole, unpacked within bounds, and looked into before it is believed.
public enum PackageFile {
    /// Verifies the compressed file against its manifest and unpacks it to `rawPath`, durably.
    ///
    /// Nothing is decompressed before the whole file's hash is right. What comes out is counted and stops at the
    /// declared size, so that a small file cannot fill a disk.
    public static func unpack(compressedPath: String, manifest: Manifest, to rawPath: String) throws(PackageFault) {
        do {
            try verify(compressedPath, manifest)
            let partial = rawPath + ".partial"
            defer { unlink(partial) }
            let output = try OutputFile(partial)
            let hash = try decompress(compressedPath, to: output, bytesMax: manifest.rawBytes)
            guard hash == manifest.rawSHA256 else {
                throw PackageFault.refused("its content has another hash than declared")
            }
            try output.sync()
            try DurableFile.rename(partial, to: rawPath)
        } catch let fault as PackageFault {
            throw fault
        } catch let fault as FileFault {
            throw .file(fault)
        } catch {
            throw .failed("the package could not be unpacked: \(error)")
        }
    }

    private static func verify(_ path: String, _ manifest: Manifest) throws {
        let input = try InputFile(path)
        guard try input.size() == manifest.bytes else { throw PackageFault.refused("its size is not the declared one") }
        var hasher = SHA256()
        while true {
            let piece = try input.next(PackageLimits.pieceBytes)
            if piece.isEmpty { break }
            hasher.update(data: piece)
        }
        guard PackageID(Array(hasher.finalize())) == manifest.id else {
            throw PackageFault.refused("its hash is not the declared one")
        }
    }

    private static func decompress(_ path: String, to output: OutputFile, bytesMax: Int64) throws -> PackageID? {
        let input = try InputFile(path)
        guard let stream = ZSTD_createDStream() else { throw PackageFault.failed("zstd could not be started") }
        defer { ZSTD_freeDStream(stream) }
        ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, PackageLimits.windowLogMax)
        var hasher = SHA256()
        var total: Int64 = 0
        var isFrameOpen = true
        // Most packages are a few pages; what does not keep to its word fills the space and is asked for more.
        var space = [UInt8](repeating: 0, count: Int(min(Int64(PackageLimits.pieceBytes), max(1, bytesMax))))
        while true {
            let piece = try input.next(PackageLimits.pieceBytes)
            if piece.isEmpty { break }
            try piece.withUnsafeBytes { pieceBytes in
                var source = ZSTD_inBuffer(src: pieceBytes.baseAddress, size: pieceBytes.count, pos: 0)
                var isSpaceFull = false
                repeat {
                    try space.withUnsafeMutableBytes { spaceBytes in
                        var target = ZSTD_outBuffer(dst: spaceBytes.baseAddress, size: spaceBytes.count, pos: 0)
                        let left = ZSTD_decompressStream(stream, &target, &source)
                        guard ZSTD_isError(left) == 0 else {
                            throw PackageFault.refused("zstd: \(String(cString: ZSTD_getErrorName(left)))")
                        }
                        isFrameOpen = left != 0
                        isSpaceFull = target.pos == spaceBytes.count
                        total += Int64(target.pos)
                        guard total <= bytesMax else { throw PackageFault.refused("it unpacks to more than declared") }
                        let unpacked = UnsafeRawBufferPointer(rebasing: spaceBytes[..<target.pos])
                        hasher.update(bufferPointer: unpacked)
                        try output.write(unpacked)
                    }
                    // A frame that ends just where the space is full is done: asked again without input, zstd would
                    // begin to wait for another one.
                } while source.pos < source.size || (isSpaceFull && isFrameOpen)
            }
        }
        guard !isFrameOpen, total == bytesMax else { throw PackageFault.refused("it unpacks to less than declared") }
        return PackageID(Array(hasher.finalize()))
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
