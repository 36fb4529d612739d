import Foundation
import WaybillAdmin
import WaybillJobs
import WaybillModel
import WaybillPlan
import WaybillSessions

extension VerificationRecord {
    /// Writes down what a verification has come to.
    mutating func take(_ verdict: Proof.Verdict, job: Job?, at now: Timestamp) {
        endedAt = now
        watermark = verdict.mark
        changed = verdict.counts[.changed] ?? 0
        missing = verdict.counts[.missing] ?? 0
        extra = verdict.counts[.extra] ?? 0
        isPartial = !verdict.unfinished.isEmpty
        message = verdict.message
        switch verdict.outcome {
        case .ok: outcome = cause == .repair ? .repaired : .ok
        case .diverged: outcome = .diverged
        case .unknown: outcome = .unknown
        }
        let found = verdict.named.map { difference in
            VerificationFinding(difference, shape: job?.subjobs.first { $0.table.name == difference.table }?.table)
        }
        // Both are our own values; what cannot be written is left out rather than the result.
        findings = (try? AdminJSON.encode(found)).map { String(decoding: $0, as: UTF8.self) } ?? "[]"
        ranges = (try? StoredRanges.encode(verdict.ranges)) ?? "{}"
    }

    mutating func note(_ text: String) { message += (message.isEmpty ? "" : "; ") + text }

    /// The result in a few words.
    var text: String {
        switch outcome {
        case .ok: "all is as it should be at version \(watermark?.version.number ?? 0)" + remark
        case .repaired: "repaired, all is as it should be at version \(watermark?.version.number ?? 0)" + remark
        case .diverged:
            differencesText + (repairSession.map { "; session \($0) follows" } ?? "") + remark
        case .unknown, nil: message
        }
    }

    private var remark: String { message.isEmpty ? "" : "; \(message)" }
}

extension VerificationFinding {
    init(_ difference: RowDifference, shape: TableShape?) {
        var key: [String: String] = [:]
        var words: [String] = []
        for (index, value) in difference.key.enumerated() {
            let column = shape.flatMap { index < $0.key.count ? $0.key[index] : nil } ?? "key\(index + 1)"
            key[column] = value.text
            words.append("\(column) = \(value.inSentence)")
        }
        let names = shape?.valueColumns.map(\.name) ?? []
        let columns = difference.columns.map { one in
            Column(
                column: one.index < names.count ? names[one.index] : "column \(one.index + 1)", hq: one.hq?.text,
                store: one.store?.text)
        }
        self.init(
            table: difference.table, difference: difference.kind.rawValue, key: key,
            row: words.joined(separator: ", "), columns: columns)
    }
}

extension KeyValue {
    /// As a person or a script reads it; blobs in hexadecimal digits.
    var text: String {
        switch self {
        case .integer(let number): "\(number)"
        case .real(let number): "\(number)"
        case .text(let bytes): String(decoding: bytes, as: UTF8.self)
        case .blob(let bytes): bytes.hexText
        }
    }

    fileprivate var inSentence: String {
        switch self {
        case .integer, .real: text
        case .text: "'\(text.prefix(60))\(text.count > 60 ? "…" : "")'"
        case .blob(let bytes): "a blob of \(bytes.count) bytes"
        }
    }
}
