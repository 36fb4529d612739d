import Foundation
import WaybillModel

/// Ranges by table as `hub.db` keeps them, in JSON: text and blobs in base64, for they may hold any byte.
enum StoredRanges {
    private struct Value: Codable {
        var i: Int64?
        var r: Double?
        var t: Data?
        var b: Data?

        init(_ key: KeyValue) {
            switch key {
            case .integer(let number): i = number
            case .real(let number): r = number
            case .text(let bytes): t = Data(bytes)
            case .blob(let bytes): b = Data(bytes)
            }
        }

        var key: KeyValue {
            if let i { return .integer(i) }
            if let r { return .real(r) }
            if let t { return .text([UInt8](t)) }
            return .blob([UInt8](b ?? Data()))
        }
    }

    private struct Range: Codable {
        var lower: [Value]?
        var upper: [Value]?
    }

    static func encode(_ ranges: [String: [KeyRange]]) throws -> String {
        let encoder = JSONEncoder()
        // A key may be infinite.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        let stored = ranges.mapValues { ranges in
            ranges.map { Range(lower: $0.lower?.map(Value.init), upper: $0.upper?.map(Value.init)) }
        }
        return String(decoding: try encoder.encode(stored), as: UTF8.self)
    }

    static func decode(_ text: String) throws -> [String: [KeyRange]] {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return try decoder.decode([String: [Range]].self, from: Data(text.utf8)).mapValues { ranges in
            ranges.map { KeyRange(lower: $0.lower?.map(\.key), upper: $0.upper?.map(\.key)) }
        }
    }
}
