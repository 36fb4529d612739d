import Foundation
import Hummingbird
import Testing
import WaybillModel
import Yams

@testable import WaybillHub

/// `protocol/openapi.yaml` says what the server does: no more, no less.
@Suite struct OpenAPITests {
    @Test func theDocumentHasExactlyTheServersRoutes() throws {
        let paths = try #require(try OpenAPIDocument.load().root["paths"] as? [String: [String: Any]])
        let methods = ["get", "put", "post", "delete"]
        let described = paths.flatMap { path, item in
            item.keys.filter(methods.contains).map { "\($0.uppercased()) \(path)" }
        }
        let folders = ImportFolders(root: "/", limits: AdminLimits(), now: { Timestamp(milliseconds: 0) })
        let served = AdminServer.router(FakeBackend(), folders, AdminLimits()).routes.map { route in
            let parts = "\(route.path)".split(separator: "/").map {
                $0.hasPrefix(":") ? "{\($0.dropFirst())}" : "\($0)"
            }
            return "\(route.method) /" + parts.joined(separator: "/")
        }
        #expect(described.sorted() == served.sorted())
    }

    @Test(arguments: [
        ("GET", "/v1/status", "", "HubStatus"), ("GET", "/v1/sessions", "", "[SessionSummary]"),
        ("GET", "/v1/sessions/1", "", "SessionDetail"), ("GET", "/v1/sessions/1/summary", "", "SessionSummary"),
        ("POST", "/v1/sessions/1/cancel", "{}", "CancelReply"), ("POST", "/v1/sessions/1/rerun", "{}", "ErrorReply"),
        ("POST", "/v1/sessions/1/retry", "{}", "RetryReply"),
        ("GET", "/v1/quarantine", "", "[StoreQuarantine]"),
        ("POST", "/v1/quarantine/orders", #"{"action": "retry"}"#, "QuarantineReply"),
        ("POST", "/v1/purge", #"{"older_than_seconds": 1}"#, "PurgeReply"),
        ("POST", "/v1/retention/run", #"{"dry_run": true}"#, "RetentionReply"),
        ("POST", "/v1/publish", "{}", "PublishReply"), ("POST", "/v1/plan", "{}", "PlanReply"),
        ("POST", "/v1/sessions/1/approve", "", "ApproveReply"),
        ("POST", "/v1/sessions/2/approve", "", "ErrorReply"),
        ("POST", "/v1/verifications", "{}", "VerifyReply"), ("GET", "/v1/verifications", "", "[VerificationSummary]"),
        ("GET", "/v1/stores", "", "[StoreSummary]"), ("GET", "/v1/stores/S1", "", "StoreDetail"),
        ("POST", "/v1/stores", #"{"store": "S1"}"#, "StoreAdded"), ("GET", "/v1/jobs", "", "[JobSummary]"),
        ("GET", "/v1/jobs/prices", "", "JobDetail"), ("POST", "/v1/imports", "", "ImportCreated"),
        ("GET", "/v1/mappings", "", "[MappingSummary]"), ("GET", "/v1/staging", "", "[StagedImport]"),
        ("GET", "/v1/staging/7?state=Error", "", "StagedImportDetail"),
        ("POST", "/v1/staging/clean", "{}", "StagingCleanReply"),
        ("GET", "/v1/unfiled?watch=/drop", "", "[UnfiledFile]"),
        ("GET", "/v1/jobs/prices/runs", "", "[JobRun]"), ("GET", "/v1/jobs/prices/runs/7", "", "JobRun"),
        ("POST", "/v1/jobs/prices/runs", "{}", "JobRun"),
        ("POST", "/v1/jobs/prices/hold", #"{"reason": "stocktaking"}"#, "JobSummary"),
        ("POST", "/v1/jobs/prices/resume", "", "JobSummary"),
        ("GET", "/v1/audit?since=2026-11-21&who=anna", "", "[AuditLine]"),
        ("GET", "/v1/audit/verification?witness=118:9a0c61e1f7d2b34c", "", "AuditVerification"),
        ("GET", "/v1/keys", "", "KeyStatus"), ("POST", "/v1/keys/announce", "", "KeyStatus"),
        ("POST", "/v1/keys/switch", #"{"anyway": true}"#, "KeySwitchReply"),
        ("POST", "/v1/keys/switch", "{}", "ErrorReply"),
        ("POST", "/v1/keys/stores", #"{"stores": ["S1", "S2"], "now": true}"#, "StoreKeyReply"),
        ("GET", "/v1/why?store=S1&table=price&key=1", "", "WhyReply"),
    ])
    func everyAnswerHasTheKeysAndTypesOfItsSchema(method: String, path: String, body: String, schema: String)
        async throws
    {
        let document = try OpenAPIDocument.load()
        let answer = try await RunningAdminServer.with { try await $0.send(method, path, Array(body.utf8)) }
        let value = try JSONSerialization.jsonObject(with: Data(answer.text.utf8))
        let isList = schema.hasPrefix("[")
        let name = isList ? String(schema.dropFirst().dropLast()) : schema
        let values = isList ? try #require(value as? [Any]) : [value]
        #expect(!values.isEmpty)
        for value in values {
            #expect(document.faults(of: value, schema: ["$ref": "#/components/schemas/\(name)"], at: name).isEmpty)
        }
    }
}

/// As much of OpenAPI as our document uses.
private struct OpenAPIDocument {
    let root: [String: Any]

    static func load() throws -> OpenAPIDocument {
        var package = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { package.deleteLastPathComponent() }
        let text = try String(contentsOf: package.appendingPathComponent("protocol/openapi.yaml"), encoding: .utf8)
        return OpenAPIDocument(root: try #require(try Yams.load(yaml: text) as? [String: Any]))
    }

    /// Where `value` is not what `schema` says, or has a key that the schema does not know.
    func faults(of value: Any, schema: [String: Any], at place: String) -> [String] {
        let schema = merged(schema)
        let types = Set((schema["type"] as? [String]) ?? (schema["type"] as? String).map { [$0] } ?? [])
        if value is NSNull { return types.contains("null") ? [] : ["\(place) is null"] }
        if let list = value as? [Any] {
            guard types.contains("array"), let items = schema["items"] as? [String: Any] else {
                return ["\(place) is a list"]
            }
            return list.flatMap { faults(of: $0, schema: items, at: place + "[]") }
        }
        if let object = value as? [String: Any] { return faults(of: object, schema: schema, at: place) }
        if let text = value as? String {
            guard types.contains("string") else { return ["\(place) is a text"] }
            if let allowed = schema["enum"] as? [Any], !allowed.contains(where: { $0 as? String == text }) {
                return ["\(place) is \(text)"]
            }
            return []
        }
        return !types.isDisjoint(with: ["integer", "number", "boolean"]) ? [] : ["\(place) is \(value)"]
    }

    private func faults(of object: [String: Any], schema: [String: Any], at place: String) -> [String] {
        if let values = schema["additionalProperties"] as? [String: Any] {
            return object.flatMap { faults(of: $1, schema: values, at: "\(place).\($0)") }
        }
        let properties = schema["properties"] as? [String: [String: Any]] ?? [:]
        let required = schema["required"] as? [String] ?? []
        var found = required.filter { object[$0] == nil }.map { "\(place).\($0) is missing" }
        for (key, value) in object {
            guard let property = properties[key] else {
                found.append("\(place).\(key) is not described")
                continue
            }
            found += faults(of: value, schema: property, at: "\(place).\(key)")
        }
        return found
    }

    /// The schema with its references and `allOf` parts put into one.
    private func merged(_ schema: [String: Any]) -> [String: Any] {
        if let reference = schema["$ref"] as? String {
            let target = reference.split(separator: "/").dropFirst().reduce(root as Any?) {
                ($0 as? [String: Any])?[String($1)]
            }
            return merged(target as? [String: Any] ?? [:])
        }
        if let choices = schema["oneOf"] as? [[String: Any]] {
            // One schema, or null.
            var result = merged(choices.first { $0["type"] as? String != "null" } ?? [:])
            result["type"] = ["object", "null"]
            return result
        }
        guard let parts = schema["allOf"] as? [[String: Any]] else { return schema }
        var result: [String: Any] = ["type": schema["type"] ?? "object"]
        var properties: [String: Any] = [:]
        var required: [String] = []
        for part in parts.map(merged) {
            properties.merge(part["properties"] as? [String: Any] ?? [:]) { $1 }
            required += part["required"] as? [String] ?? []
        }
        result["properties"] = properties
        result["required"] = required
        return result
    }
}
