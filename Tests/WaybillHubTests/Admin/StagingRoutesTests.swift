import Foundation
import Testing
import WaybillAdmin

@testable import WaybillHub

@Suite struct StagingRoutesTests {
    @Test func aPreviewIsTheLastLineAndTheImportIsGone() async throws {
        try await RunningAdminServer.with { server in
            let created = try await server.post("/v1/imports")
            let id = try AdminJSON.decode(ImportCreated.self, from: Data(created.text.utf8)).id
            _ = try await server.send("PUT", "/v1/imports/\(id)/files/product.csv", [1])
            let answer = try await server.post("/v1/imports/\(id)/preview?skip_bad_rows=true")
            let last = try #require(answer.text.split(separator: "\n").last)
            let line = try AdminJSON.decode(ImportLine.self, from: Data(last.utf8))
            guard case .preview(let preview) = line else {
                Issue.record("not a preview: \(last)")
                return
            }
            #expect(preview.faultsTotal == 1)
            #expect(preview.tables.first?.rows == [.init(change: "new", values: ["p1", nil])])
            #expect(await server.backend.imported.isEmpty)
            #expect(try server.importFolders().isEmpty)
        }
    }

    @Test(arguments: [
        ("POST", "/v1/imports/x/run?replace=true&skip_bad_rows=true", ""), ("POST", "/v1/imports/x/run?watch=", ""),
        ("POST", "/v1/imports/x/preview?skip=true", ""), ("GET", "/v1/staging?limit=0", ""),
        ("GET", "/v1/staging/x", ""), ("GET", "/v1/staging/0", ""), ("GET", "/v1/staging/7?state=Fine", ""),
        ("GET", "/v1/unfiled", ""), ("POST", "/v1/staging/clean", #"{"tables": "product"}"#),
        ("POST", "/v1/staging/7/filed", "{}"),
    ])
    func wrongRequestsAreRefusedWithASentence(method: String, path: String, body: String) async throws {
        try await RunningAdminServer.with { server in
            let answer = try await server.send(method, path, Array(body.utf8))
            #expect(answer.status == 400)
            #expect(answer.error?.code == "invalid")
        }
    }

    @Test func unknownImportsAreNotFound() async throws {
        try await RunningAdminServer.with { server in
            let shown = try await server.get("/v1/staging/8")
            let unknown = try await server.post("/v1/staging/8/filed", #"{"files": []}"#)
            let filed = try await server.post("/v1/staging/7/filed", #"{"files": ["a.csv"]}"#)
            #expect([shown.status, unknown.status, filed.status] == [404, 404, 204] as [UInt])
        }
    }
}
