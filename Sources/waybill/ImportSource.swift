import Foundation
import WaybillAdmin
import WaybillConsole
import WaybillModel

/// A file to be imported, and how the hub shall call it.
struct ImportSource: Hashable {
    var name: String
    var path: String
    /// The folder it was found in; nil for a file that was named itself.
    var folder: String?
}

enum ImportFileList {
    /// The files that `paths` name: files as they are, folders with the files in them, by name.
    static func expand(_ paths: [String]) throws -> [ImportSource] {
        var found: [ImportSource] = []
        for path in paths {
            var status = stat()
            guard stat(path, &status) == 0 else {
                throw Complaint("cannot read \(path): \(String(cString: strerror(errno)))")
            }
            guard status.st_mode & S_IFMT == S_IFDIR else {
                found.append(ImportSource(name: (path as NSString).lastPathComponent, path: path))
                continue
            }
            let names: [String]
            do {
                names = try FileManager.default.contentsOfDirectory(atPath: path)
            } catch {
                throw Complaint("cannot read the folder \(path)")
            }
            let files = names.filter { !WatchedFolder.isTemporary($0) && isFile(path + "/" + $0) }.sorted()
            guard !files.isEmpty else { throw Complaint("the folder \(path) holds no files") }
            found += files.map { ImportSource(name: $0, path: path + "/" + $0, folder: path) }
        }
        return found
    }

    private static func isFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// Leaves out what a folder holds besides tables: exports bring reports and notes along. A file that was named
    /// itself is for the hub to refuse. Only of CSV files it is worth saying that they were left out.
    static func split(
        _ files: [ImportSource], _ known: ImportNames
    ) throws -> (files: [ImportSource], leftOut: [ImportSource]) {
        let others = files.filter { $0.folder != nil && !known.isImportable($0.name) }
        let files = files.filter { !others.contains($0) }
        if files.isEmpty, let folder = others.first?.folder {
            throw Complaint(
                "the folder \(folder) holds no file of HQ's tables, which are \(known.tables.joined(separator: ", ")), "
                    + "and none that a mapping is for")
        }
        var seen: Set<String> = []
        for file in files where !seen.insert(file.name).inserted {
            throw Complaint("\(file.name) is named twice; one file for each table")
        }
        return (files, others.filter { $0.name.hasSuffix(".csv") })
    }
}

/// The names of files that the hub has a table for.
struct ImportNames {
    /// Parents stand before children.
    let tables: [String]
    let mappings: [MappingSummary]

    init(_ client: AdminClient) async throws {
        tables = try await client.get([String].self, "tables")
        mappings = try await client.get([MappingSummary].self, "mappings")
    }

    /// nil: none, or one that the hub has to refuse.
    func table(of name: String) -> String? {
        WatchRound.table(
            of: name, tables: tables,
            patterns: mappings.flatMap { mapping in
                mapping.files.compactMap { pattern in mapping.table.map { (pattern, $0) } }
            })
    }

    /// Whether the hub should be asked to import it, be it to say which mapping is broken.
    func isImportable(_ name: String) -> Bool {
        table(of: name) != nil || mappings.contains { $0.files.contains { FilePattern.matches(name, $0) } }
    }
}

/// The content of a file, in parts.
struct FileParts: AsyncSequence, Sendable {
    typealias Element = BodyPart

    let path: String
    /// As it was when the file was looked at.
    let size: Int64

    init(path: String) throws {
        var status = stat()
        guard stat(path, &status) == 0, access(path, R_OK) == 0 else {
            throw Complaint("cannot read \(path): \(String(cString: strerror(errno)))")
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Complaint("\(path) is not a file") }
        self.path = path
        size = Int64(status.st_size)
    }

    func makeAsyncIterator() -> Iterator { Iterator(path: path, left: size) }

    struct Iterator: AsyncIteratorProtocol {
        private static let partBytes = 256 * 1024

        let path: String
        /// Bytes that were promised and not sent yet: a file that grows meanwhile is sent as it was.
        var left: Int64
        var file: FileHandle?

        init(path: String, left: Int64) {
            self.path = path
            self.left = left
        }

        mutating func next() async throws -> BodyPart? {
            guard left > 0 else { return nil }
            if file == nil { file = FileHandle(forReadingAtPath: path) }
            guard let file else { throw Complaint("cannot read \(path)") }
            guard let data = try file.read(upToCount: Swift.min(Iterator.partBytes, Int(left))), !data.isEmpty else {
                throw Complaint("\(path) has become shorter while it was sent; import it again when it is complete")
            }
            left -= Int64(data.count)
            return BodyPart(bytes: data)
        }
    }
}
