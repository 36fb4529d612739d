import Foundation

/// One RFC 4180 file as the golden sets and the sample write it: CRLF, a header, NULL as an empty unquoted field.
struct CSV {
    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    let header: [String]
    let records: [[String?]]

    init(path: String) throws {
        try self.init(text: String(decoding: Data(contentsOf: URL(filePath: path)), as: UTF8.self), name: path)
    }

    init(text: String, name: String) throws {
        var rows = try CSV.split(text, name: name)
        guard !rows.isEmpty else { throw Malformed(description: "\(name) is empty") }
        header = rows.removeFirst().map { $0 ?? "" }
        records = rows
        if let odd = rows.firstIndex(where: { $0.count != header.count }) {
            throw Malformed(description: "\(name) record \(odd + 2) has \(rows[odd].count) fields, not \(header.count)")
        }
    }

    /// Fields of every record; a quoted empty field is "", an unquoted one nil.
    static func split(_ text: String, name: String) throws -> [[String?]] {
        var rows: [[String?]] = []
        var fields: [String?] = []
        var bytes: [UInt8] = []
        var isQuoted = false
        var wasQuoted = false
        func field() -> String? { bytes.isEmpty && !wasQuoted ? nil : String(decoding: bytes, as: UTF8.self) }
        let input = Array(text.utf8)
        var index = 0
        while index < input.count {
            let byte = input[index]
            let next = index + 1 < input.count ? input[index + 1] : 0
            index += 1
            switch (byte, isQuoted) {
            case (UInt8(ascii: "\""), true) where next == UInt8(ascii: "\""):
                bytes.append(byte)
                index += 1
            case (UInt8(ascii: "\""), true):
                isQuoted = false
            case (UInt8(ascii: "\""), false) where bytes.isEmpty && !wasQuoted:
                isQuoted = true
                wasQuoted = true
            case (UInt8(ascii: ","), false), (UInt8(ascii: "\r"), false):
                fields.append(field())
                bytes = []
                wasQuoted = false
                guard byte == UInt8(ascii: "\r") else { continue }
                guard next == UInt8(ascii: "\n") else { throw Malformed(description: "\(name) has a CR without LF") }
                index += 1
                rows.append(fields)
                fields = []
            default:
                bytes.append(byte)
            }
        }
        guard bytes.isEmpty, fields.isEmpty, !isQuoted else {
            throw Malformed(description: "\(name) does not end with CRLF")
        }
        return rows
    }
}
