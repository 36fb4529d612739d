import Foundation
import WaybillAdmin
import WaybillConsole

/// Brings files to the hub and has it import or preview them.
struct ImportUpload {
    let client: AdminClient
    let request: ImportRequest
    /// Nobody sits before a watcher: it logs what has become of files, and nothing else.
    var showsProgress = true

    /// - Parameter what: `run` or `preview`.
    /// - Returns: the last line of the answer; nil when the hub broke off.
    func work(_ what: String, _ files: [ImportSource], _ block: inout LiveBlock) async throws -> ImportLine? {
        let id = try await client.post(ImportCreated.self, "imports").id
        do {
            for file in files { try await upload(file, to: id, &block) }
            let line = try await follow(id, what, &block)
            block.clear()
            return line
        } catch {
            block.clear()
            // When this fails too, the hub clears up by itself.
            try? await client.delete("imports/\(id)")
            throw error
        }
    }

    private func upload(_ file: ImportSource, to id: String, _ block: inout LiveBlock) async throws {
        let parts = try FileParts(path: file.path)
        let screen = block.screen
        if showsProgress {
            block.show(live: [ProgressViews.upload(file.name, bytes: 0, of: parts.size, screen)], plain: [])
        }
        try await client.put("imports/\(id)/files/\(file.name)", parts, bytes: parts.size)
    }

    private func follow(_ id: String, _ what: String, _ block: inout LiveBlock) async throws -> ImportLine? {
        var last: ImportLine?
        let screen = block.screen
        let path = APIPath("imports/\(id)/\(what)").with("replace", request.replace ? "true" : nil)
            .with("skip_bad_rows", request.skipBadRows ? "true" : nil).with("watch", request.watch)
        try await client.postForLines(path) { data in
            guard let line = try? AdminJSON.decode(ImportLine.self, from: data) else {
                throw Complaint("the hub's answer cannot be read; are hub and waybill of one release?")
            }
            guard case .progress(let progress) = line else {
                last = line
                return
            }
            guard showsProgress else { return }
            block.show(
                live: [ProgressViews.importing(progress, screen)],
                // In a log four lines, not four for each file.
                plain: [progress.phase])
        }
        return last
    }
}
