import Foundation
import Testing
import WaybillAdmin
import WaybillModel

@testable import WaybillHub

@Suite struct ImportRoutesTests {
    @Test func filesAreImportedWholeAndTheirFolderGoes() async throws {
        try await RunningAdminServer.with { server in
            let id = try await newImport(server)
            let large = [UInt8](repeating: 0x61, count: 3_000_000)
            #expect(try await server.send("PUT", "/v1/imports/\(id)/files/product.csv", large).status == 204)
            #expect(try await server.send("PUT", "/v1/imports/\(id)/files/store.csv", [1, 2]).status == 204)
            let answer = try await server.post("/v1/imports/\(id)/run?replace=true")
            #expect(answer.status == 200)
            #expect(answer.contentType == "application/x-ndjson; charset=utf-8")
            let lines = try lines(answer)
            #expect(lines.last == .result(FakeBackend.reply))
            #expect(lines.count == 2)
            #expect(
                await server.backend.imported
                    == [.init(names: ["product.csv", "store.csv"], bytes: [3_000_000, 2], replace: true)])
            #expect(try server.importFolders().isEmpty)
            #expect(try await server.post("/v1/imports/\(id)/run").status == 404)
        }
    }

    @Test func faultsInTheFilesAreTheLastLine() async throws {
        try await RunningAdminServer.with { server in
            let faults = ImportFaults(
                faults: [.init(file: "product.csv", line: 17, column: "name", reason: "is empty")], total: 3)
            await server.backend.answerImports(.failure(faults))
            let id = try await newImport(server)
            _ = try await server.send("PUT", "/v1/imports/\(id)/files/product.csv", [1])
            let answer = try await server.post("/v1/imports/\(id)/run")
            #expect(try lines(answer).last == .rejected(faults))
            #expect(try server.importFolders().isEmpty)
        }
    }

    @Test func aFailureOfTheImportIsTheLastLine() async throws {
        try await RunningAdminServer.with { server in
            await server.backend.answerImports(.failure(AdminError(.noSpace, "the disk is full")))
            let id = try await newImport(server)
            _ = try await server.send("PUT", "/v1/imports/\(id)/files/product.csv", [1])
            let answer = try await server.post("/v1/imports/\(id)/run")
            #expect(try lines(answer).last == .error(AdminError(.noSpace, "the disk is full")))
        }
    }

    @Test(arguments: ["..", ".hidden", "a%2Fb.csv", "..%2F..%2Fhub.db", "%00.csv", "a%20b.csv", "%E2%80%AE.csv"])
    func aNameThatIsMoreThanANameIsRefused(name: String) async throws {
        try await RunningAdminServer.with { server in
            let id = try await newImport(server)
            let answer = try await server.send("PUT", "/v1/imports/\(id)/files/\(name)", [1])
            #expect((400..<500).contains(answer.status))
            #expect(answer.error != nil)
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: server.home + "/incoming/imports/" + id).isEmpty)
            #expect(try await server.send("PUT", "/v1/imports/..%2F\(id)/files/product.csv", [1]).status == 404)
        }
    }

    @Test func aFileThatIsTooLargeIsRefusedByNameAndLeavesNothing() async throws {
        var limits = AdminLimits()
        limits.fileBytesMax = 1000
        try await RunningAdminServer.with(limits: limits) { server in
            let id = try await newImport(server)
            let answer = try await server.send(
                "PUT", "/v1/imports/\(id)/files/product.csv", [UInt8](repeating: 0, count: 1001))
            #expect(answer.status == 413)
            #expect(answer.error?.message.contains("product.csv has more than 1000 bytes") == true)
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: server.home + "/incoming/imports/" + id).isEmpty)
            #expect(
                try await server.send("PUT", "/v1/imports/\(id)/files/product.csv", [UInt8](repeating: 0, count: 1000))
                    .status == 204)
        }
    }

    @Test func anImportTakesEachFileOnceAndNotTooMany() async throws {
        var limits = AdminLimits()
        limits.filesMax = 2
        try await RunningAdminServer.with(limits: limits) { server in
            let id = try await newImport(server)
            #expect(try await server.post("/v1/imports/\(id)/run").status == 400)
            #expect(try await server.send("PUT", "/v1/imports/\(id)/files/a.csv", [1]).status == 204)
            #expect(try await server.send("PUT", "/v1/imports/\(id)/files/a.csv", [1]).status == 409)
            #expect(try await server.send("PUT", "/v1/imports/\(id)/files/b.csv", [1]).status == 204)
            #expect(try await server.send("PUT", "/v1/imports/\(id)/files/c.csv", [1]).status == 400)
        }
    }

    @Test func anAbortedImportIsGone() async throws {
        try await RunningAdminServer.with { server in
            let id = try await newImport(server)
            _ = try await server.send("PUT", "/v1/imports/\(id)/files/a.csv", [1])
            #expect(try await server.send("DELETE", "/v1/imports/\(id)").status == 204)
            #expect(try server.importFolders().isEmpty)
            #expect(try await server.send("DELETE", "/v1/imports/\(id)").status == 404)
        }
    }

    @Test(.timeLimit(.minutes(1))) func anImportWhoseAdministratorHangsUpIsCancelled() async throws {
        try await RunningAdminServer.with { server in
            await server.backend.runImportsUntilCancelled()
            let id = try await newImport(server)
            _ = try await server.send("PUT", "/v1/imports/\(id)/files/a.csv", [1])
            try await server.postAndHangUp("/v1/imports/\(id)/run")
            while try !server.importFolders().isEmpty { await Task.yield() }
            #expect(await server.backend.wasCancelled)
        }
    }

    @Test func whatADeadHubLeftBehindIsRemoved() async throws {
        try await RunningAdminServer.with(prepare: { home in
            try FileManager.default.createDirectory(
                atPath: home + "/incoming/imports/old", withIntermediateDirectories: true)
        }) { server in
            let folders = try server.importFolders()
            #expect(folders.isEmpty)
        }
    }

    @Test func forgottenImportsMakeRoomAfterAnHour() async throws {
        let folder = NSTemporaryDirectory() + "imports-\(UInt32.random(in: .min ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var limits = AdminLimits()
        limits.importsMax = 1
        let hour = Clock()
        let folders = ImportFolders(root: folder, limits: limits, now: { hour.now })
        try await folders.start()
        let first = try await folders.create()
        await #expect(throws: AdminError.self) { try await folders.create() }
        hour.advance(milliseconds: limits.importIdleMilliseconds + 1)
        let second = try await folders.create()
        #expect(first != second)
        await #expect(throws: AdminError.self) { try await folders.beginUpload(first, name: "a.csv") }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [second])
    }

    private func newImport(_ server: RunningAdminServer) async throws -> String {
        let answer = try await server.post("/v1/imports")
        #expect(answer.status == 201)
        return try AdminJSON.decode(ImportCreated.self, from: Data(answer.text.utf8)).id
    }

    private func lines(_ answer: Answer) throws -> [ImportLine] {
        try answer.text.split(separator: "\n").map { try AdminJSON.decode(ImportLine.self, from: Data($0.utf8)) }
    }
}
