import Crypto
import Foundation
import GRDB
import WaybillDatabase
import WaybillModel

/// Files that a watched folder has brought in and that were not moved away yet.
///
/// Between the commit of an import and the moving of its files, anybody may die. What is remembered here, name and
/// content of each file, keeps a file that still lies in its folder from being imported a second time; and moving it
/// away forgets it, so that the same file may be dropped again.
public struct UnfiledDrop: Sendable, Equatable {
    public var importID: Int64
    public var name: String
}

extension StagingDatabase {
    /// Files that imports from `folder` brought in and that nobody has said were moved away, by import and name.
    public func unfiled(in folder: String) throws -> [UnfiledDrop] {
        try read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT import.id, file.name
                    FROM import_file AS file INDEXED BY import_file_unfiled
                    JOIN import ON import.id = file.import
                    WHERE file.sha256 IS NOT NULL AND file.filed_at IS NULL
                        AND import.watch = ? AND import.state = 'Finished'
                    ORDER BY import.id, file.name
                    """, arguments: [folder]
            ).map { UnfiledDrop(importID: $0[0], name: $0[1]) }
        }
    }

    /// Notes that files of an import were moved away: the next file of that name is another drop.
    public func markFiled(_ importID: Int64, files names: [String]) throws {
        let time = now()
        try write { db in
            for name in names {
                try db.execute(
                    sql: """
                        UPDATE import_file SET filed_at = ?
                        WHERE import = ? AND name = ? AND filed_at IS NULL
                        """, arguments: [time.milliseconds, importID, name])
            }
        }
    }

    /// The files that are to be imported, with their hashes; and those that an import has brought in already.
    func unknown(
        _ files: [ImportFile], options: ImportOptions
    ) throws -> (fresh: [ImportFile], hashes: [[UInt8]?], already: [String: Int64]) {
        guard let folder = options.watch else { return (files, files.map { _ in nil }, [:]) }
        var fresh: [ImportFile] = []
        var hashes: [[UInt8]?] = []
        var already: [String: Int64] = [:]
        for file in files {
            // A file that cannot be read is named by the import itself.
            guard let hash = try? ContentHash.of(file.path) else {
                fresh.append(file)
                hashes.append(nil)
                continue
            }
            let earlier = try read { db in
                try Int64.fetchOne(
                    db,
                    sql: """
                        SELECT import.id
                        FROM import_file AS file INDEXED BY import_file_unfiled
                        JOIN import ON import.id = file.import
                        WHERE file.name = ? AND file.sha256 = ? AND file.filed_at IS NULL
                            AND import.watch = ? AND import.state = 'Finished'
                        """, arguments: [file.displayName, Data(hash), folder])
            }
            if let earlier {
                already[file.displayName] = earlier
            } else {
                // Where this file lies no other can: what lay there before was moved away, though nobody has said so.
                try forget(file.displayName, in: folder)
                fresh.append(file)
                hashes.append(hash)
            }
        }
        return (fresh, hashes, already)
    }

    private func forget(_ name: String, in folder: String) throws {
        let time = now()
        try write { db in
            try db.execute(
                sql: """
                    UPDATE import_file SET filed_at = ?
                    WHERE name = ? AND sha256 IS NOT NULL AND filed_at IS NULL
                        AND import IN (SELECT id FROM import WHERE watch = ? AND state = 'Finished')
                    """, arguments: [time.milliseconds, name, folder])
        }
    }
}

/// SHA-256 of a file.
enum ContentHash {
    static func of(_ path: String) throws -> [UInt8] {
        guard let file = FileHandle(forReadingAtPath: path) else { throw FileFault("open", path) }
        defer { try? file.close() }
        var hash = SHA256()
        while let chunk = try file.read(upToCount: 1 << 20), !chunk.isEmpty { hash.update(data: chunk) }
        return Array(hash.finalize())
    }
}
