import Crypto
import Foundation
import WaybillDatabase
import WaybillModel

/// Reads a backup from its beginning to its end and believes nothing before it has seen the checksums.
///
/// Whoever takes what it reads must undo that when it throws.
final class BackupReader {
    private let path: String
    private let descriptor: Int32
    private var offset: Int64 = 0
    private let fileBytes: Int64

    init(path: String) throws {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFault("open", path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw BackupFault("\(path) is not a file")
        }
        fileBytes = Int64(status.st_size)
    }

    deinit { close(descriptor) }

    /// Takes a member's content, piece by piece.
    typealias Sink = ([UInt8]) throws -> Void

    /// Reads everything. `begin` is called for each member but the checksums and says where its content goes; nil for
    /// nowhere.
    /// - Throws: ``BackupFault`` when anything is damaged, missing or does not belong into a backup.
    func run(_ begin: (TarHeader) throws -> Sink?) throws -> (BackupDescription, [BackupMember]) {
        var members: [BackupMember] = []
        var seen: Set<String> = []
        var description: BackupDescription?
        while let header = try nextHeader(isFirst: members.isEmpty) {
            guard header.bytes <= fileBytes - offset else { throw cut(header.name) }
            if header.name == BackupLayout.sums {
                try check(members, against: try small(header))
                try expectEnd()
                guard let description else { throw damaged("\(BackupLayout.description) is missing") }
                return (description, members)
            }
            guard BackupLayout.isKnown(header.name), seen.insert(header.name).inserted,
                members.count < BackupLayout.membersMax
            else {
                throw BackupFault("\(path) holds \(header.name.debugDescription), which does not belong into a backup")
            }
            let sink = try begin(header)
            var kept: [UInt8] = []
            var hash = SHA256()
            try content(of: header) { piece in
                hash.update(data: piece)
                if header.name == BackupLayout.description {
                    guard kept.count + piece.count <= BackupLayout.smallBytesMax else {
                        throw damaged("\(header.name) is too large")
                    }
                    kept += piece
                }
                try sink?(piece)
            }
            if header.name == BackupLayout.description { description = try read(kept) }
            members.append(
                BackupMember(name: header.name, bytes: header.bytes, sha256: BackupLayout.hex(hash.finalize())))
        }
        throw BackupFault("\(path) is not a whole backup: its checksums are missing; make another one")
    }

    // MARK: parts

    private func read(_ text: [UInt8]) throws -> BackupDescription {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        guard let description = try? decoder.decode(BackupDescription.self, from: Data(text)) else {
            throw damaged("\(BackupLayout.description) is not what it should be")
        }
        guard description.format == BackupDescription.formatKnown else {
            throw BackupFault(
                "\(path) is of format \(description.format), made by \(description.program); this program knows format \(BackupDescription.formatKnown)"
            )
        }
        return description
    }

    /// The next member's header; nil at the archive's end mark.
    private func nextHeader(isFirst: Bool) throws -> TarHeader? {
        let block = try take(TarHeader.blockBytes)
        guard block.count == TarHeader.blockBytes else {
            throw isFirst ? notOurs : cut("a header")
        }
        if block.allSatisfy({ $0 == 0 }) { return nil }
        guard let header = TarHeader(block) else {
            throw isFirst ? notOurs : damaged("a header is damaged")
        }
        return header
    }

    private func content(of header: TarHeader, _ body: Sink) throws {
        var left = header.bytes
        while left > 0 {
            let piece = try take(Int(min(left, Int64(BackupLayout.pieceBytes))))
            guard !piece.isEmpty else { throw cut(header.name) }
            left -= Int64(piece.count)
            try body(piece)
        }
        let padding = try take(header.padding)
        guard padding.count == header.padding else { throw cut(header.name) }
        guard padding.allSatisfy({ $0 == 0 }) else { throw damaged("what follows \(header.name) is not empty") }
    }

    private func small(_ header: TarHeader) throws -> String {
        guard header.bytes <= Int64(BackupLayout.smallBytesMax) else { throw damaged("\(header.name) is too large") }
        var bytes: [UInt8] = []
        try content(of: header) { bytes += $0 }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw damaged("\(header.name) is no text") }
        return text
    }

    private func check(_ members: [BackupMember], against text: String) throws {
        guard let sums = BackupLayout.sums(in: text), sums.count == members.count else {
            throw damaged("its checksums are not those of its members")
        }
        for member in members where sums[member.name] != member.sha256 {
            throw damaged("\(member.name) is not what was written")
        }
        for name in BackupLayout.required where sums[name] == nil { throw damaged("\(name) is missing") }
    }

    /// Two empty blocks, and nothing else.
    private func expectEnd() throws {
        let rest = try take(3 * TarHeader.blockBytes)
        guard rest.count == 2 * TarHeader.blockBytes, rest.allSatisfy({ $0 == 0 }) else {
            throw damaged("its end is not one")
        }
    }

    private func take(_ count: Int) throws -> [UInt8] {
        guard count > 0 else { return [] }
        let bytes = try DurableFile.read(descriptor, offset: offset, count: count, path: path)
        offset += Int64(bytes.count)
        return bytes
    }

    private var notOurs: BackupFault { BackupFault("\(path) is not a backup of a hub") }

    private func damaged(_ what: String) -> BackupFault {
        BackupFault("\(path) is damaged: \(what); use another backup")
    }

    private func cut(_ name: String) -> BackupFault {
        BackupFault("\(path) is not a whole backup: it ends within \(name); use another one")
    }
}
