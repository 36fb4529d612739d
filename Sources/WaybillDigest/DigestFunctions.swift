import Crypto
import Foundation
import GRDB
import GRDBSQLite

/// Two SQL functions that sum up rows as they are stored, the same at headquarters and at a store.
///
/// A row's canonical form is its values one after the other, each with its storage class in front: `0` NULL; `1` and
/// the integer, 8 bytes; `2` and the bits of the real, 8 bytes; `3` or `4`, the length of the text or the blob, 8 bytes,
/// and its bytes. Numbers have their greatest byte first. Text is taken as stored, with NULs in it and whether it is
/// UTF-8 or not: that is why the functions are made with SQLite's own interface and values do not pass through Swift's
/// strings.
///
/// - `waybill_row_digest(v, …)`: the SHA-256 of the row, 32 bytes.
/// - `waybill_digest(v, …)`: an aggregate; the sum of the rows' SHA-256, see ``WaybillModel/TableDigest``.
public enum DigestFunctions {
    /// Makes the functions known to a connection.
    public static func add(to db: Database) throws {
        // DIRECTONLY: not for the triggers and views of whoever else writes the schema.
        let flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY
        let row = sqlite3_create_function_v2(
            db.sqliteConnection, "waybill_row_digest", -1, flags, nil,
            { context, count, values in
                guard let context else { return }
                var buffer = RowBuffer()
                buffer.take(count, values)
                let hash = buffer.hash()
                hash.withUnsafeBytes {
                    sqlite3_result_blob(context, $0.baseAddress, Int32($0.count), transientDestructor)
                }
            }, nil, nil, nil)
        let sum = sqlite3_create_function_v2(
            db.sqliteConnection, "waybill_digest", -1, flags, nil, nil,
            { context, count, values in
                guard let context, let sum = Summing.of(context) else { return }
                sum.add(count, values)
            },
            { context in
                guard let context else { return }
                Summing.finish(context)
            }, nil)
        guard row == SQLITE_OK, sum == SQLITE_OK else {
            throw DatabaseError(message: "SQLite does not take the functions that sum up rows")
        }
    }
}

/// SQLite copies the result before the call returns.
private let transientDestructor = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

/// The canonical form of a row, in memory that the next row uses again.
private struct RowBuffer {
    private var bytes: [UInt8] = []

    init() { bytes.reserveCapacity(256) }

    mutating func take(_ count: Int32, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        bytes.removeAll(keepingCapacity: true)
        for index in 0..<Int(count) {
            guard let value = values?[index] else { continue }
            switch sqlite3_value_type(value) {
            case SQLITE_INTEGER:
                bytes.append(1)
                append(UInt64(bitPattern: sqlite3_value_int64(value)))
            case SQLITE_FLOAT:
                bytes.append(2)
                append(sqlite3_value_double(value).bitPattern)
            case SQLITE_TEXT:
                bytes.append(3)
                // The text first: in a database of another encoding it is the call that makes it UTF-8.
                let text = sqlite3_value_text(value)
                append(UnsafeRawPointer(text), sqlite3_value_bytes(value))
            case SQLITE_BLOB:
                bytes.append(4)
                let blob = sqlite3_value_blob(value)
                append(blob, sqlite3_value_bytes(value))
            default: bytes.append(0)
            }
        }
    }

    private mutating func append(_ number: UInt64) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func append(_ start: UnsafeRawPointer?, _ length: Int32) {
        append(UInt64(length))
        guard let start, length > 0 else { return }
        bytes.append(contentsOf: UnsafeRawBufferPointer(start: start, count: Int(length)))
    }

    func hash() -> SHA256.Digest {
        var hasher = SHA256()
        bytes.withUnsafeBytes { hasher.update(bufferPointer: $0) }
        return hasher.finalize()
    }
}

/// The state of one aggregation. SQLite keeps a pointer to it between the rows of a group.
private final class Summing {
    private var buffer = RowBuffer()
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    /// The group's state, made at its first row; nil when SQLite has no memory for a pointer.
    static func of(_ context: OpaquePointer) -> Summing? {
        guard let slot = slot(context) else {
            sqlite3_result_error_nomem(context)
            return nil
        }
        if let known = slot.pointee { return Unmanaged<Summing>.fromOpaque(known).takeUnretainedValue() }
        let made = Summing()
        slot.pointee = Unmanaged.passRetained(made).toOpaque()
        return made
    }

    private static func slot(_ context: OpaquePointer) -> UnsafeMutablePointer<UnsafeMutableRawPointer?>? {
        sqlite3_aggregate_context(context, Int32(MemoryLayout<UnsafeMutableRawPointer?>.size))?
            .assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
    }

    func add(_ count: Int32, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        buffer.take(count, values)
        buffer.hash().withUnsafeBytes { hash in
            words.0 &+= UInt64(bigEndian: hash.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
            words.1 &+= UInt64(bigEndian: hash.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            words.2 &+= UInt64(bigEndian: hash.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
            words.3 &+= UInt64(bigEndian: hash.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
        }
    }

    /// Also called for a group without rows, and after an interrupt: the state must go in each case.
    static func finish(_ context: OpaquePointer) {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        if let slot = slot(context), let state = slot.pointee {
            words = Unmanaged<Summing>.fromOpaque(state).takeRetainedValue().words
            slot.pointee = nil
        }
        let bytes = [words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian]
        bytes.withUnsafeBytes {
            sqlite3_result_blob(context, $0.baseAddress, Int32($0.count), transientDestructor)
        }
    }
}
