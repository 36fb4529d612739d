import Crypto
import Foundation
import GRDB
import WaybillAdmin
import WaybillModel

/// What is wrong with a backup, or with the place to restore it to; one sentence that says what to do.
public struct BackupFault: Error, Hashable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// What a backup says of itself: its member `backup.json`.
public struct BackupDescription: Codable, Hashable, Sendable {
    /// Of the file; a program refuses one that it does not know.
    public var format: Int
    public var program: String
    /// When the snapshot was taken.
    public var createdAt: UTCTime
    /// Where the home was.
    public var home: String
    /// The number of the newest session in it; 0 for none.
    public var newestSession: Int64
    public var stores: Int

    static let formatKnown = 1
}

/// A member of a backup.
public struct BackupMember: Codable, Hashable, Sendable {
    public var name: String
    public var bytes: Int64
    public var sha256: String
}

/// What is in the one file of a backup: a tar archive whose last member, `SHA256SUMS`, has the checksum of each other,
/// in the form that `sha256sum -c` reads.
///
/// The sums come last, so a file that was cut short lacks them and is known for what it is.
enum BackupLayout {
    static let description = "backup.json"
    static let sums = "SHA256SUMS"
    static let configuration = "hub.yaml"
    /// In the order in which their snapshots are taken; see ``BackupWriter``.
    static let databases = ["hub.db", "rows.db", "hq.db"]
    /// Without these there is no hub.
    static let required = ["hub.db", "hq.db", configuration, description]
    /// Names and hashes of administrators' tokens, where there are any.
    static let tokens = "admin-tokens"
    /// Folders that go in with all plain files below them.
    static let folders = ["keys", "jobs", "mappings"]

    /// Bytes of a member that is read into memory.
    static let smallBytesMax = 16 * 1024 * 1024
    /// Members of a backup: a chain has hundreds of job files at most.
    static let membersMax = 100_000
    /// Bytes read and written at a time.
    static let pieceBytes = 1 << 20

    /// Whether a member of this name belongs into a hub's home; nothing else is ever written there.
    static func isKnown(_ name: String) -> Bool {
        if databases.contains(name) || [description, configuration, tokens].contains(name) { return true }
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count > 1 && folders.contains(String(parts[0]))
            && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." && !$0.contains("\u{0}") }
    }

    static func hex(_ digest: SHA256.Digest) -> String { PackageID(Array(digest))?.hex ?? "" }

    static func text(of members: [BackupMember]) -> String {
        members.map { "\($0.sha256)  \($0.name)\n" }.joined()
    }

    /// Checksums by name; nil when the text is not of that form.
    static func sums(in text: String) -> [String: String]? {
        var sums: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0].count == 64, parts[1].first == " ",
                sums.updateValue(String(parts[0]), forKey: String(parts[1].dropFirst())) == nil
            else { return nil }
        }
        return sums
    }
}
