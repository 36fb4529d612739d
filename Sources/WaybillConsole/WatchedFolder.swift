import WaybillModel

/// Which files of a folder are complete, by looking at it again and again.
///
/// Programs write files in two ways: under another name, with a rename at the end; or in place, bit by bit. The first
/// are complete once they have their name, the second once nothing has happened to them for a while.
public struct WatchedFolder: Sendable {
    /// A file as it is in the folder at one moment.
    public struct Entry: Sendable, Equatable {
        public var name: String
        public var size: Int64
        public var modifiedAt: Timestamp
        /// Stays the same when the file gets another name.
        public var inode: UInt64

        public init(name: String, size: Int64, modifiedAt: Timestamp, inode: UInt64) {
            self.name = name
            self.size = size
            self.modifiedAt = modifiedAt
            self.inode = inode
        }
    }

    private struct Seen {
        var entry: Entry
        var restingSince: Timestamp
        /// It had another, temporary name when it was seen before.
        var wasRenamed: Bool
    }

    private let settleMilliseconds: Int64
    private var seen: [String: Seen] = [:]
    /// Files under temporary names, by what stays when they are renamed.
    private var temporary: Set<UInt64> = []

    public init(settleMilliseconds: Int64) {
        self.settleMilliseconds = settleMilliseconds
    }

    /// Whether a file of this name is somebody's work in progress.
    public static func isTemporary(_ name: String) -> Bool {
        let lower = name.lowercased()
        return lower.hasPrefix(".") || lower.hasPrefix("~") || lower.hasSuffix("~")
            || [".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".swp"].contains {
                lower.hasSuffix($0)
            }
    }

    /// Takes in what lies in the folder now.
    /// - Returns: the names of complete files, those that were written first in front.
    public mutating func look(_ entries: [Entry], now: Timestamp) -> [String] {
        var current: [String: Seen] = [:]
        var complete: [Entry] = []
        var working: Set<UInt64> = []
        for entry in entries {
            guard !WatchedFolder.isTemporary(entry.name) else {
                working.insert(entry.inode)
                continue
            }
            var state =
                seen[entry.name]
                ?? Seen(
                    entry: entry,
                    // What was last written long ago has rested since then, whether or not we looked.
                    restingSince: min(entry.modifiedAt, now), wasRenamed: temporary.contains(entry.inode))
            if state.entry != entry {
                state = Seen(
                    entry: entry, restingSince: now,
                    wasRenamed: state.entry.inode != entry.inode && temporary.contains(entry.inode))
            }
            current[entry.name] = state
            if state.wasRenamed || now - state.restingSince >= settleMilliseconds { complete.append(entry) }
        }
        seen = current
        temporary = working
        return complete.sorted { ($0.modifiedAt, $0.name) < ($1.modifiedAt, $1.name) }.map(\.name)
    }
}

/// Which complete files are imported together: those that fill different tables, parents first.
public enum WatchRound {
    public struct File: Sendable, Equatable {
        public var name: String
        /// The table that it fills; nil: nobody knows, so it goes alone.
        public var table: String?

        public init(name: String, table: String?) {
            self.name = name
            self.table = table
        }
    }

    /// The files of the next import, in the order of `tables`. A second file for a table waits for the next round.
    public static func next(_ files: [File], tables: [String]) -> [File] {
        var taken: Set<String> = []
        let known = files.filter { file in file.table.map { taken.insert($0).inserted } ?? false }
        guard !known.isEmpty else { return Array(files.prefix(1)) }
        func position(_ file: File) -> Int { file.table.flatMap(tables.firstIndex(of:)) ?? tables.count }
        // Two orders are the same for files of one position: there is one file a table.
        return known.sorted { position($0) < position($1) }
    }

    /// The table that a file fills, by its name; nil when there is none.
    public static func table(of name: String, tables: [String], patterns: [(pattern: String, table: String)]) -> String?
    {
        if let mapped = patterns.first(where: { FilePattern.matches(name, $0.pattern) }) { return mapped.table }
        guard name.hasSuffix(".csv") else { return nil }
        let table = String(name.dropLast(4))
        return tables.contains(table) ? table : nil
    }
}
