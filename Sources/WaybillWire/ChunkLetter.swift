import Foundation
import SwiftProtobuf
import WaybillModel

extension HubLetter {
    /// What stands before the data in an encoded ``chunk(package:index:data:)``: whoever has the data in a file can let it
    /// follow, and need not hold it as bytes of a message first.
    ///
    /// The data is the last field of the last field of the letter, so nothing follows it.
    /// - Parameter dataBytes: of the data; at least one.
    public static func chunkHead(package: PackageID, index: Int, dataBytes: Int) throws -> [UInt8] {
        var letter = WireHubMessage()
        letter.protocol = protocolVersion
        var chunk = WireChunk()
        chunk.package = Data(package.bytes)
        chunk.index = UInt32(clamping: index)
        let inside: [UInt8] = try chunk.serializedBytes() + fieldHead(3, bytes: dataBytes)
        return try letter.serializedBytes() + fieldHead(13, bytes: inside.count + dataBytes) + inside
    }

    /// Number, type and length of a field of bytes, as protobuf has them.
    private static func fieldHead(_ number: UInt64, bytes: Int) -> [UInt8] {
        let lengthDelimited: UInt64 = 2
        return varint(number << 3 | lengthDelimited) + varint(UInt64(bytes))
    }

    private static func varint(_ number: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = number
        while rest > 0x7f {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}
