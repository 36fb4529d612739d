import ArgumentParser
import Foundation
import WaybillAdmin

@main
struct Main {
    static func main() async {
        do {
            var command = try Waybill.parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let complaint as Complaint {
            Output.note("waybill: \(complaint.message)")
            exit(complaint.status)
        } catch {
            Waybill.exit(withError: error)
        }
    }
}

struct Waybill: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "waybill",
        abstract: "Administers a Waybill hub: what goes to which store, and what has arrived.",
        discussion: """
            The hub must be running on HOME (waybill-hub run HOME). Give HOME with --hub, before or after the \
            command, or in the environment variable WAYBILL_HOME.

            EXAMPLES
              waybill --hub /srv/waybill status
              waybill import prices/*.csv && waybill publish prices --wait
              waybill session list --since 2h
              waybill session show 42

            EXIT STATUS
              0   done
              1   failed; one sentence on stderr says why
              3   done, but not all of it: stores that failed, sessions that
                  await approval, bad rows left out; all are named
              64  wrong usage
            """,
        subcommands: [
            StatusCommand.self, ImportCommand.self, PublishCommand.self, SessionCommand.self, StoreCommand.self,
            JobCommand.self, PlanCommand.self, WhyCommand.self, StagingCommand.self, MappingCommand.self,
            PurgeCommand.self, AuditCommand.self, VerifyCommand.self, QuarantineCommand.self, KeyCommand.self,
        ])

    @OptionGroup var hub: HubOption
}

/// The command could not do its work: one sentence, and the exit status.
struct Complaint: Error {
    /// Done, but some stores failed or were not reached.
    static let someStoresMissing: Int32 = 3
    /// Done, but some rows were left out.
    static let someRowsLeftOut: Int32 = 3

    var message: String
    var status: Int32
    /// What kind of error the hub has answered with, if it was the hub.
    var code: AdminError.Code?

    init(_ message: String, status: Int32 = 1, code: AdminError.Code? = nil) {
        self.message = message
        self.status = status
        self.code = code
    }
}
