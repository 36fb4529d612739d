import Hummingbird
import WaybillAdmin

/// What imports have left behind, and the mappings they go by.
struct StagingRoutes {
    let backend: any AdminBackend
    let limits: AdminLimits

    func add(to v1: RouterGroup<BasicRequestContext>) {
        v1.get("mappings") { _, _ in try jsonResponse(try await backend.mappings()) }
        v1.get("staging") { request, context in
            let parts = RequestParts(request, context)
            try parts.allowQuery("limit")
            return try jsonResponse(
                try await backend.stagedImports(limit: parts.limit(default: 50, max: StagedRowFilter.limitMax)))
        }
        v1.get("staging/:import") { request, context in
            let parts = RequestParts(request, context)
            return try jsonResponse(
                try await backend.stagedImport(parts.stagedImport(), parts.stagedRowFilter()))
        }
        v1.post("staging/clean") { request, context in
            let clean = try await RequestParts(request, context)
                .body(StagingCleanRequest.self, bytesMax: limits.requestBytesMax)
            return try jsonResponse(try await backend.cleanStaging(clean))
        }
        v1.get("unfiled") { request, context in
            let parts = RequestParts(request, context)
            try parts.allowQuery("watch")
            guard let watch = parts.query("watch"), !watch.isEmpty else {
                throw AdminError.invalid("watch names the watched folder")
            }
            return try jsonResponse(try await backend.unfiledFiles(watch: watch))
        }
        v1.post("staging/:import/filed") { request, context in
            let parts = RequestParts(request, context)
            let filed = try await parts.body(FiledRequest.self, bytesMax: limits.requestBytesMax)
            try await backend.markFiled(parts.stagedImport(), filed)
            return Response(status: .noContent)
        }
    }
}

extension RequestParts {
    func importRequest() throws(AdminError) -> ImportRequest {
        try allowQuery("replace", "skip_bad_rows", "watch")
        let wanted = ImportRequest(
            replace: try flag("replace"), skipBadRows: try flag("skip_bad_rows"), watch: query("watch"))
        guard !(wanted.replace && wanted.skipBadRows) else {
            throw .invalid(
                "replace and skip_bad_rows exclude each other: files without their bad rows are not the whole of "
                    + "their tables")
        }
        guard wanted.watch != "" else { throw .invalid("watch names the watched folder") }
        return wanted
    }

    func stagedImport() throws(AdminError) -> Int64 {
        let text = try pathPart("import")
        guard let id = Int64(text), id > 0 else { throw .invalid("an import's number is a whole number from 1") }
        return id
    }

    func stagedRowFilter() throws(AdminError) -> StagedRowFilter {
        try allowQuery("state", "table", "limit")
        var filter = StagedRowFilter(table: query("table"))
        filter.limit = try limit(default: filter.limit, max: StagedRowFilter.limitMax)
        if let state = query("state") {
            guard StagedRowLine.states.contains(state) else {
                throw .invalid("state is one of \(StagedRowLine.states.joined(separator: ", "))")
            }
            filter.state = state
        }
        return filter
    }

    func limit(default standard: Int, max: Int) throws(AdminError) -> Int {
        guard let text = query("limit") else { return standard }
        guard let limit = Int(text), (1...max).contains(limit) else {
            throw .invalid("limit is a number from 1 to \(max)")
        }
        return limit
    }
}
