import Foundation
import WaybillAdmin
import WaybillImport
import WaybillJobs
import WaybillModel

/// Files and requests of administrators.
extension FuzzedDecoder {
    static let csv = FuzzedDecoder(name: "csv", kind: .text, corpus: Samples.csvFiles) { input in
        let whole = ImportDecoders.csv(input, piece: .max)
        try expect(whole.fieldsMax <= ImportDecoders.fieldsMax, "too many fields")
        try expect(whole.recordBytesMax <= ImportDecoders.recordBytesMax, "a record that is too long")
        // Wherever the file is cut, it comes to the same.
        let piece = 1 + input.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xff }
        try expect(ImportDecoders.csv(input, piece: piece) == whole, "pieces of \(piece) bytes make a difference")
        return whole.records > 0
    }

    static let jobFile = FuzzedDecoder(name: "job-file", kind: .text, corpus: Samples.jobFiles) { input in
        guard let job = try? JobFile.read(String(decoding: input, as: UTF8.self), file: "fuzzed.yaml") else {
            return false
        }
        try expect(job.subjobs.count <= Limits.tablesMax, "too many tables")
        try expect(job.subjobs.allSatisfy { $0.table.fault == nil }, "a table that is none")
        return true
    }

    static func mapping() throws -> FuzzedDecoder {
        let tables = try ImportDecoders.tables()
        return FuzzedDecoder(name: "mapping", kind: .text, corpus: Samples.mappings) { input in
            ImportDecoders.mapping(String(decoding: input, as: UTF8.self), tables: tables)
        }
    }

    static let adminRequest = FuzzedDecoder(name: "admin-json", kind: .text, corpus: Samples.adminRequests) { input in
        func taken<Value: Codable & Equatable>(_ type: Value.Type) throws -> Bool {
            guard let value = try? AdminJSON.decode(type, from: Data(input)) else { return false }
            let again = try decoded { try AdminJSON.decode(type, from: try AdminJSON.encode(value)) }
            try expect(again == value, "decode(encode(x)) is not x for \(type)")
            return true
        }
        let results = [
            try taken(PublishRequest.self), try taken(CancelRequest.self), try taken(RerunRequest.self),
            try taken(RetryRequest.self), try taken(PurgeRequest.self), try taken(RetentionRequest.self),
            try taken(StoreAddRequest.self), try taken(JobRunRequest.self), try taken(JobHoldRequest.self),
            try taken(JobCheckRequest.self), try taken(PlanRequest.self), try taken(StagingCleanRequest.self),
            try taken(FiledRequest.self),
        ]
        return results.contains(true)
    }
}

extension FuzzedDecoder {
    /// All of them, in the order of the street.
    public static func all() throws -> [FuzzedDecoder] {
        [
            agentLetter, hubLetter, manifest, announcement, enrolment, enrolmentCode, csv, jobFile, try mapping(),
            adminRequest, try package(), try packageStream(),
        ]
    }
}
