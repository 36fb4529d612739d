import ArgumentParser
import Foundation
import WaybillHub
import WaybillModel

extension HubCommand {
    struct Backup: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "backup",
            abstract: "Write a hub's databases, jobs, configuration and keys into one file, while the hub runs or not.",
            discussion: """
                The file is a tar archive, readable by its owner only, for it holds the hub's keys. It replaces an \
                earlier one of the same name, and only when it is whole. Packages are not in it: a restored hub makes \
                them anew. Imports that were staged are not in it either.

                EXAMPLES
                  waybill-hub backup /var/lib/waybill /backup/waybill.tar --verify
                  tar tvf /backup/waybill.tar
                """)

        @Argument(help: "The hub's home folder.")
        var home: String
        @Argument(help: "The file to write.")
        var file: String
        @Flag(help: "Check the databases, and read the file again once it is written.")
        var verify = false
        @Flag(help: "Print one JSON document.")
        var json = false

        func run() throws {
            let report = try onePlainSentence {
                try BackupWriter(home: try HubHome(existing: home), path: file).run(at: .wallClock, isVerified: verify)
            }
            if json { return print(try BackupLines.json(report)) }
            print("Backed up \(report.description.home) to \(file): \(BackupLines.content(report.description))")
            print("  \(report.members.count) members, \(report.bytes) bytes\(verify ? ", read again and whole" : "")")
        }
    }

    struct VerifyBackup: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify-backup", abstract: "Read a backup and check every checksum in it.",
            discussion: """
                EXAMPLE
                  waybill-hub verify-backup /backup/waybill.tar
                """)

        @Argument(help: "The backup.")
        var file: String
        @Flag(help: "Print one JSON document.")
        var json = false

        func run() throws {
            let report = try onePlainSentence {
                let (description, members) = try BackupRestore.check(file)
                let bytes = try FileManager.default.attributesOfItem(atPath: file)[.size] as? NSNumber
                return BackupReport(
                    path: file, bytes: bytes?.int64Value ?? 0, description: description, members: members)
            }
            if json { return print(try BackupLines.json(report)) }
            print("\(file) is whole: \(BackupLines.content(report.description))")
        }
    }

    struct Restore: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "restore", abstract: "Make a hub's home of a backup.",
            discussion: """
                Nothing is changed unless the whole backup is good. A home that is not empty is refused; with --force \
                what is in it is moved into a folder beside the new content. A home on which a hub runs is always \
                refused.

                Stores that went on after the backup was made are brought to what HQ then says, by themselves: they get \
                everything once. Sessions made after the backup are not known any more.

                EXAMPLE
                  waybill-hub restore /backup/waybill.tar /var/lib/waybill
                """)

        @Argument(help: "The backup.")
        var file: String
        @Argument(help: "The home folder to make; absent or empty.")
        var home: String
        @Flag(help: "Also if the home is not empty: what is there is moved aside.")
        var force = false

        func run() throws {
            let report = try onePlainSentence {
                try BackupRestore(path: file, home: home).run(at: .wallClock, isForced: force)
            }
            print("Restored \(report.home): \(BackupLines.content(report.description))")
            if let former = report.former { print("What was there before is now in \(former)") }
            print(
                """
                Make sure that the hub which made the backup runs nowhere any more, then: waybill-hub run \(report.home)
                Stores that were ahead of the backup get everything once, by themselves; see: waybill session list
                """)
        }
    }
}

enum BackupLines {
    static func content(_ description: BackupDescription) -> String {
        let sessions = description.newestSession == 0 ? "no session" : "sessions up to \(description.newestSession)"
        let stores = description.stores == 1 ? "1 store" : "\(description.stores) stores"
        return "\(sessions), \(stores), as of \(description.createdAt)"
    }

    static func json(_ report: BackupReport) throws -> String {
        struct Document: Encodable {
            var file: String
            var bytes: Int64
            var backup: BackupDescription
            var members: [BackupMember]
        }
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let document = Document(
            file: report.path, bytes: report.bytes, backup: report.description, members: report.members)
        return String(decoding: try encoder.encode(document), as: UTF8.self)
    }
}

extension Timestamp {
    static var wallClock: Timestamp { Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) }
}
