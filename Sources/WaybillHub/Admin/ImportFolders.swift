import Foundation
import WaybillAdmin
import WaybillDatabase
import WaybillModel

/// The folders that files are uploaded into, one for each import: `HOME/incoming/imports/<id>`.
///
/// An import is open, then running, then gone. Nothing of it outlives the hub's process.
actor ImportFolders {
    private struct Import {
        var files: [String: UploadedFile] = [:]
        /// Names in the order in which their uploads ended.
        var order: [String] = []
        var uploads: Set<String> = []
        var isRunning = false
        var touched: Timestamp
    }

    private let root: String
    private let limits: AdminLimits
    private let now: @Sendable () -> Timestamp
    private var imports: [String: Import] = [:]
    private var uploadNumber = 0

    init(root: String, limits: AdminLimits, now: @escaping @Sendable () -> Timestamp) {
        self.root = root
        self.limits = limits
        self.now = now
    }

    /// Removes what an earlier process left behind.
    func start() throws {
        removeTree(root)
        try DurableFile.createFolder(root, mode: 0o700)
    }

    func create() throws -> String {
        for (id, entry) in imports
        where !entry.isRunning && entry.uploads.isEmpty && now() - entry.touched > limits.importIdleMilliseconds {
            remove(id)
        }
        guard imports.count < limits.importsMax else {
            throw AdminError.conflict("\(imports.count) imports are open already; wait until one has ended")
        }
        let id = SessionID(number: 1, random: UInt64.random(in: .min ... .max)).rawValue.dropFirst(2)
        try DurableFile.createFolder(folder(String(id)), mode: 0o700)
        imports[String(id)] = Import(touched: now())
        return String(id)
    }

    /// The path to write a file to. Ended by ``endUpload(_:name:path:)`` or ``dropUpload(_:name:)``.
    func beginUpload(_ id: String, name: String) throws -> String {
        var entry = try open(id)
        guard let name = ImportFolders.checked(name) else {
            throw AdminError.invalid(
                "a file's name has letters, digits, dots, dashes and underscores, and does not start with a dot")
        }
        guard entry.files[name] == nil, !entry.uploads.contains(name) else {
            throw AdminError.conflict("\(name) is in this import already")
        }
        guard entry.files.count + entry.uploads.count < limits.filesMax else {
            throw AdminError.invalid("an import takes at most \(limits.filesMax) files")
        }
        entry.uploads.insert(name)
        entry.touched = now()
        imports[id] = entry
        uploadNumber += 1
        // Our own name on the disk: the given one is for messages.
        return folder(id) + "/\(uploadNumber).csv"
    }

    func endUpload(_ id: String, name: String, path: String) throws {
        var entry = try open(id)
        entry.uploads.remove(name)
        entry.files[name] = UploadedFile(name: name, path: path)
        entry.order.append(name)
        entry.touched = now()
        imports[id] = entry
    }

    func dropUpload(_ id: String, name: String) {
        imports[id]?.uploads.remove(name)
        imports[id]?.touched = now()
    }

    /// The files, in the order of their uploads; from now on the import takes no other file.
    func beginRun(_ id: String) throws -> [UploadedFile] {
        let entry = try open(id)
        guard entry.uploads.isEmpty else { throw AdminError.conflict("a file of this import is still being uploaded") }
        guard !entry.files.isEmpty else { throw AdminError.invalid("this import has no files") }
        imports[id]?.isRunning = true
        return entry.order.compactMap { entry.files[$0] }
    }

    func endRun(_ id: String) {
        remove(id)
    }

    func abort(_ id: String) throws {
        _ = try open(id)
        remove(id)
    }

    private func open(_ id: String) throws -> Import {
        guard let entry = imports[id] else { throw AdminError.notFound("there is no such import (any more)") }
        guard !entry.isRunning else { throw AdminError.conflict("this import is running already") }
        return entry
    }

    private func remove(_ id: String) {
        imports[id] = nil
        removeTree(folder(id))
    }

    private func folder(_ id: String) -> String { root + "/" + id }

    /// What is left over costs disk until the next start, which removes it, and nothing else.
    private func removeTree(_ path: String) {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// nil for anything that could leave a folder, hide in it or confuse a message.
    static func checked(_ name: String) -> String? {
        guard !name.isEmpty, name.utf8.count <= Limits.nameBytesMax, !name.hasPrefix(".") else { return nil }
        let allowed = name.utf8.allSatisfy {
            (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || [45, 46, 95].contains($0)
        }
        return allowed ? name : nil
    }
}
