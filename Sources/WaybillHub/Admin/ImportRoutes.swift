import Foundation
import Hummingbird
import WaybillAdmin
import WaybillDatabase

/// Imports: create one, upload files into it, run it.
struct ImportRoutes {
    let backend: any AdminBackend
    let folders: ImportFolders
    let limits: AdminLimits

    func add(to v1: RouterGroup<BasicRequestContext>) {
        v1.post("imports") { _, _ in
            try jsonResponse(ImportCreated(id: try await folders.create()), status: .created)
        }
        v1.put("imports/:id/files/:name") { request, context in
            let parts = RequestParts(request, context)
            let id = try parts.pathPart("id")
            let name = try parts.pathPart("name")
            let path = try await folders.beginUpload(id, name: name)
            do {
                try await receive(request.body, into: path, name: name)
                try await folders.endUpload(id, name: name, path: path)
            } catch {
                unlink(path)
                await folders.dropUpload(id, name: name)
                throw error
            }
            return Response(status: .noContent)
        }
        v1.post("imports/:id/run") { request, context in
            let parts = RequestParts(request, context)
            let wanted = try parts.importRequest()
            let backend = backend
            return try await answer(parts) { files, progress in
                .result(try await backend.importFiles(files, wanted, progress: progress))
            }
        }
        v1.post("imports/:id/preview") { request, context in
            let parts = RequestParts(request, context)
            let wanted = try parts.importRequest()
            let backend = backend
            return try await answer(parts) { files, progress in
                .preview(try await backend.previewImport(files, wanted, progress: progress))
            }
        }
        v1.delete("imports/:id") { request, context in
            try await folders.abort(RequestParts(request, context).pathPart("id"))
            return Response(status: .noContent)
        }
    }

    private typealias Work =
        @Sendable (
            [UploadedFile], @escaping @Sendable (ImportProgressLine) -> Void
        ) async throws -> ImportLine

    /// Has the backend work on an import's files, which are gone when it has ended.
    private func answer(_ parts: RequestParts, _ work: @escaping Work) async throws -> Response {
        let id = try parts.pathPart("id")
        let files = try await folders.beginRun(id)
        return Response(
            status: .ok, headers: [.contentType: "application/x-ndjson; charset=utf-8"],
            body: ResponseBody { writer in
                do {
                    try await run(files, work, writer: &writer)
                    await folders.endRun(id)
                } catch {
                    await folders.endRun(id)
                    throw error
                }
                try await writer.finish(nil)
            })
    }

    /// Writes the body to a new file. The writes go to the page cache and are small, so they may block their thread.
    private func receive(_ body: RequestBody, into path: String, name: String) async throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileFault("create", path) }
        defer { close(descriptor) }
        var total: Int64 = 0
        for try await buffer in body {
            total += Int64(buffer.readableBytes)
            guard total <= limits.fileBytesMax else {
                throw AdminError(
                    .tooLarge, "\(name) has more than \(limits.fileBytesMax) bytes, which is all that one file may have"
                )
            }
            try DurableFile.writeAll(Array(buffer.readableBytesView), to: descriptor, path: path)
        }
    }

    /// Progress lines while the backend works, then one last line.
    ///
    /// Only the newest progress is kept: an administrator on a slow terminal must not slow the import down.
    private func run(
        _ files: [UploadedFile], _ task: @escaping Work, writer: inout any ResponseBodyWriter
    ) async throws {
        let (progress, feed) = AsyncStream.makeStream(of: ImportProgressLine.self, bufferingPolicy: .bufferingNewest(1))
        let work = Task {
            defer { feed.finish() }
            do {
                return try await task(files) { feed.yield($0) }
            } catch let faults as ImportFaults {
                AuditTicket.current?.failed("rejected: \(faults)")
                return .rejected(faults)
            } catch {
                AuditTicket.current?.failed(AdminError(describing: error).message)
                return .error(AdminError(describing: error))
            }
        }
        do {
            try await withTaskCancellationHandler {
                for await line in progress {
                    try await writer.write(lineBuffer(.progress(line)))
                }
                try await writer.write(lineBuffer(await work.value))
            } onCancel: {
                work.cancel()
            }
        } catch {
            // The administrator has hung up. The files must stay until the backend has let go of them.
            work.cancel()
            _ = await work.value
            throw error
        }
    }

    private func lineBuffer(_ line: ImportLine) throws -> ByteBuffer {
        var data = try AdminJSON.encode(line)
        data.append(0x0a)
        return ByteBuffer(data: data)
    }
}
