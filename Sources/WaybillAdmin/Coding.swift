import Foundation
import WaybillModel

/// How values of this module are written: snake_case keys in alphabetical order, no escaped slashes.
public enum AdminJSON {
    public static func encode(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(value)
    }

    /// Indented, for eyes.
    public static func encodePretty(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        return try encoder.encode(value)
    }

    public static func decode<Value: Decodable>(_ type: Value.Type, from data: Data) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: data)
    }
}

// The model's names travel as their text; a text that is no such name is refused where it is read.

extension StoreID: Codable {
    public init(from decoder: any Decoder) throws {
        self = try checkedName(decoder, "a store's name", StoreID.init)
    }

    public func encode(to encoder: any Encoder) throws { try encodeText(rawValue, encoder) }
}

extension JobID: Codable {
    public init(from decoder: any Decoder) throws {
        self = try checkedName(decoder, "a job's name", JobID.init)
    }

    public func encode(to encoder: any Encoder) throws { try encodeText(rawValue, encoder) }
}

extension SessionID: Codable {
    public init(from decoder: any Decoder) throws {
        self = try checkedName(decoder, "a session's id", SessionID.init)
    }

    public func encode(to encoder: any Encoder) throws { try encodeText(rawValue, encoder) }
}

extension DeliveryStatus: Codable {}
extension PackageKind: Codable {}
extension ColumnType: Codable {}

private func checkedName<Name>(_ decoder: any Decoder, _ what: String, _ make: (String) -> Name?) throws -> Name {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let name = make(text) else {
        throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is not \(what)")
    }
    return name
}

private func encodeText(_ text: String, _ encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
}

/// Refuses keys that a request does not have.
///
/// With `{"store": ["S1"]}` for `stores`, a cancel would call all stores off.
func refuseUnknownKeys<Keys: CodingKey & CaseIterable>(_ decoder: any Decoder, _ keys: Keys.Type) throws {
    let known = Set(keys.allCases.map(\.stringValue))
    let container = try decoder.container(keyedBy: AnyKey.self)
    let unknown = container.allKeys.map(\.stringValue).filter { !known.contains($0) }
    guard let first = unknown.min() else { return }
    let allowed = known.sorted().joined(separator: ", ")
    throw DecodingError.dataCorrupted(
        .init(codingPath: [], debugDescription: "'\(first)' is no key of this request, which has \(allowed)"))
}

private struct AnyKey: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}
