import Foundation
import WaybillConsole

/// A file to be imported, and how the hub shall call it.
struct ImportSource: Hashable {
    var name: String
    var path: String
    /// The folder it was found in; nil for a file that was named itself.
    var folder: String?
}

enum ImportFileList {
    /// The files that `paths` name: files as they are, folders with the CSV files in them, by name.
    static func expand(_ paths: [String]) throws -> [ImportSource] {
        var files: [ImportSource] = []
        for path in paths {
            var status = stat()
            guard stat(path, &status) == 0 else {
                throw Complaint("cannot read \(path): \(String(cString: strerror(errno)))")
            }
            guard status.st_mode & S_IFMT == S_IFDIR else {
                files.append(ImportSource(name: (path as NSString).lastPathComponent, path: path))
                continue
            }
            let names: [String]
            do {
                names = try FileManager.default.contentsOfDirectory(atPath: path)
            } catch {
                throw Complaint("cannot read the folder \(path)")
            }
            let tables = names.filter { $0.hasSuffix(".csv") && !$0.hasPrefix(".") }.sorted()
            guard !tables.isEmpty else { throw Complaint("the folder \(path) holds no CSV files") }
            files += tables.map { ImportSource(name: $0, path: path + "/" + $0, folder: path) }
        }
        return files
    }

    /// Leaves out what a folder holds besides tables: exports bring reports and notes along. A file that was named
    /// itself is for the hub to refuse.
    static func split(
        _ files: [ImportSource], tables: [String]
    ) throws -> (files: [ImportSource], leftOut: [ImportSource]) {
        let leftOut = files.filter { $0.folder != nil && !tables.contains(String($0.name.dropLast(4))) }
        let files = files.filter { !leftOut.contains($0) }
        if files.isEmpty, let folder = leftOut.first?.folder {
            throw Complaint(
                "the folder \(folder) holds no file of HQ's tables, which are \(tables.joined(separator: ", "))")
        }
        var seen: Set<String> = []
        for file in files where !seen.insert(file.name).inserted {
            throw Complaint("\(file.name) is named twice; one file for each table")
        }
        return (files, leftOut)
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
