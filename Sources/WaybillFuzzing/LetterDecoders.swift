import Foundation
import SwiftProtobuf
import WaybillModel
import WaybillWire

/// What agents and hubs say to each other, and what is signed.
extension FuzzedDecoder {
    static let agentLetter = FuzzedDecoder(name: "agent-letter", kind: .fields, corpus: Samples.agentLetters) { input in
        guard var letter = try? AgentLetter(decoding: input) else { return false }
        switch letter.body {
        case .hello(let hello):
            try expect(
                hello.watermarks.count <= 1024 && hello.agentVersion.unicodeScalars.count <= 256, "hello's bounds")
            try expectPlain(hello.agentVersion)
        case .request, .chunkRequest: break
        case .reports(let reports):
            try expect(reports.count + letter.strangeReports.count <= Limits.reportsMax, "too many reports")
            for report in reports { try expectPlain(report.message) }
        case .digests(let digests):
            try expect(digests.tables.count <= Limits.tablesMax, "too many tables")
            try expect(digests.tables.reduce(0) { $0 + $1.ranges.count } <= ProofLimits.rangesMax, "too many ranges")
            for table in digests.tables { try expectPlain(table.fault ?? "") }
        case .quarantine(let report):
            try expect(report.entries.count <= QuarantineLimits.entriesMax, "too many entries")
            for entry in report.entries { try expectPlain(entry.key + entry.detail) }
        case .keys(let notice): try expect(notice.newKey.map { $0.count == 32 } ?? true, "a key of another length")
        }
        try expectPlain(letter.store.rawValue)
        // What is not understood is acknowledged, and not kept.
        letter.strangeReports = []
        let again = try decoded { try AgentLetter(decoding: letter.encoded()) }
        try expect(again == letter, "decode(encode(x)) is not x")
        return true
    }

    static let hubLetter = FuzzedDecoder(name: "hub-letter", kind: .fields, corpus: Samples.hubLetters) { input in
        guard let letter = try? HubLetter(decoding: input) else { return false }
        switch letter {
        case .welcome(let welcome):
            try expect(welcome.offers.count <= 1024 && welcome.cancels.count <= 1024, "too many offers")
            try expect(welcome.held.count <= 1024, "too many held")
            try expect((1...3600).contains(welcome.helloSeconds), "seconds between hellos")
        case .grant(let grant):
            try expect(grant.manifest.count <= Limits.chunkBytesMax, "a manifest that is too long")
            try expect(grant.signature.count <= 64, "a signature that is too long")
        case .chunk(_, _, let data): try expect(data.count <= Limits.chunkBytesMax, "a chunk that is too long")
        case .acknowledgement(let names): try expect(names.count <= Limits.reportsMax, "too many acknowledgements")
        case .notGranted(_, _, let reason), .noChunk(_, _, let reason), .refused(let reason): try expectPlain(reason)
        case .examine(let examine):
            try expect(examine.tables.count <= Limits.tablesMax, "too many tables")
            try expect(examine.tables.reduce(0) { $0 + $1.ranges.count } <= ProofLimits.rangesMax, "too many ranges")
        case .keyAnswer(let answer): try expectPlain(answer.reason)
        case .cancel, .regressed, .quarantineOrder: break
        }
        let again = try decoded { try HubLetter(decoding: letter.encoded()) }
        try expect(again == letter, "decode(encode(x)) is not x")
        return true
    }

    static let manifest = FuzzedDecoder(name: "manifest", kind: .fields, corpus: Samples.manifests) { input in
        guard let manifest = try? Manifest(decoding: input) else { return false }
        try expect(manifest.bytes <= Limits.packageBytesMax && manifest.rawBytes <= Limits.rawBytesMax, "sizes")
        try expect(manifest.chunkHashes.count <= Limits.chunksMax, "too many chunks")
        try expect(manifest.chunkBytes <= Limits.chunkBytesMax, "chunks that are too long")
        try expect(manifest.tables.count <= Limits.tablesMax && manifest.bases.count <= Limits.basesMax, "tables")
        try expect(manifest.tables.allSatisfy { $0.shape.fault == nil }, "a table that is none")
        let sum = manifest.chunkHashes.indices.reduce(Int64(0)) { $0 + Int64(manifest.chunkLength($1)) }
        try expect(sum == manifest.bytes, "chunks that do not add up")
        let again = try decoded { try Manifest(decoding: manifest.encoded()) }
        try expect(again == manifest, "decode(encode(x)) is not x")
        return true
    }

    static let announcement = FuzzedDecoder(
        name: "announcement", kind: .fields, corpus: Samples.announcements
    ) { input in
        guard let wire = try? WireAnnouncement(serializedBytes: input) else { return false }
        let again: WireAnnouncement = try decoded {
            try WireAnnouncement(serializedBytes: wire.serializedBytes() as [UInt8])
        }
        try expect(again == wire, "decode(encode(x)) is not x")
        return true
    }

    static let enrolment = FuzzedDecoder(name: "enrolment", kind: .fields, corpus: Samples.enrolments) { input in
        if let reply = try? WireEnrolReply(serializedBytes: input) { _ = reply.reason.count }
        guard let wire = try? WireEnrolRequest(serializedBytes: input) else { return false }
        let again: WireEnrolRequest = try decoded {
            try WireEnrolRequest(serializedBytes: wire.serializedBytes() as [UInt8])
        }
        try expect(again == wire, "decode(encode(x)) is not x")
        return true
    }

    static let enrolmentCode = FuzzedDecoder(name: "enrolment-code", kind: .text, corpus: Samples.codes) { input in
        guard let code = try? EnrolmentCode(decoding: String(decoding: input, as: UTF8.self)) else { return false }
        let again = try decoded { try EnrolmentCode(decoding: code.encoded()) }
        try expect(again == code, "decode(encode(x)) is not x")
        return true
    }
}

func expect(_ isKept: Bool, _ promise: @autoclosure () -> String) throws {
    if !isKept { throw BrokenPromise(promise()) }
}

/// Nothing that could steer a terminal, and no more of it than the limits say.
func expectPlain(_ text: String) throws {
    try expect(text.utf8.count <= Limits.reportTextBytesMax, "a text of \(text.utf8.count) bytes")
    try expect(
        text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) }, "control characters")
}

/// What was taken once and written by us must be taken again.
func decoded<Value>(_ body: () throws -> Value) throws -> Value {
    do { return try body() } catch { throw BrokenPromise("what was decoded cannot be encoded and decoded: \(error)") }
}
