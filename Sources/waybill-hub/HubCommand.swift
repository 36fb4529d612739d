import ArgumentParser
import Foundation
import Logging
import ServiceLifecycle
import UnixSignals
import WaybillHub
import WaybillModel

@main
struct HubCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "waybill-hub",
        abstract: "The headquarters' side of Waybill: publishes download sessions to the stores of a chain.",
        discussion: """
            Make a home once, then keep the hub running on it:

              waybill-hub init /var/lib/waybill
              waybill-hub run /var/lib/waybill

            Everything else is done with the command 'waybill'.
            """,
        version: WaybillVersion.text,
        subcommands: [Init.self, Run.self, Backup.self, VerifyBackup.self, Restore.self, Token.self])
}

/// A home named on the command line or by $WAYBILL_HOME.
struct HomeArgument: ParsableArguments {
    @Argument(help: "The hub's home folder. Default: $WAYBILL_HOME.")
    var home: String?

    func path() throws -> String {
        if let home { return home }
        if let home = ProcessInfo.processInfo.environment["WAYBILL_HOME"], !home.isEmpty { return home }
        throw ValidationError("name the hub's home folder, or set $WAYBILL_HOME")
    }

    func validate() throws { _ = try path() }
}

extension HubCommand {
    struct Init: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "init",
            abstract: "Make a hub's home: hq.db with the retail tables, hub.db, keys, hub.yaml.")

        @OptionGroup var home: HomeArgument
        @Option(help: "Where agents connect; the next two ports are used for announcements and enrolment.")
        var listen = HubConfiguration.listenDefault

        func run() throws {
            restrictNewFiles()
            let made = try onePlainSentence { try HubHome.create(at: try home.path(), listen: listen) }
            print("Made a hub's home in \(made.path). Start it with: waybill-hub run \(made.path)")
        }
    }

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "run", abstract: "Run the hub in the foreground until SIGTERM or Ctrl-C.")

        @OptionGroup var home: HomeArgument

        func run() async throws {
            restrictNewFiles()
            let folder = try onePlainSentence { try HubHome(existing: try home.path()) }
            let settings = try onePlainSentence { try HubConfiguration(reading: folder.configuration) }
            LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
            var logger = Logger(label: "waybill-hub")
            logger.logLevel = Logger.Level(rawValue: settings.logLevel) ?? .info
            do {
                let hub = try Hub(home: folder, logger: logger)
                var quiet = logger
                quiet.logLevel = .error
                let group = ServiceGroup(
                    configuration: ServiceGroupConfiguration(
                        services: [.init(service: hub, successTerminationBehavior: .gracefullyShutdownGroup)],
                        gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
                try await group.run()
            } catch {
                complain(error)
                throw ExitCode.failure
            }
        }
    }
}

/// Whatever the umask of who starts us: nothing that we make is for strangers, and nothing for the group to write.
func restrictNewFiles() {
    _ = umask(umask(0o777) | 0o027)
}

/// Ends the program with status 1 and the error's own sentence on stderr.
func onePlainSentence<T>(_ body: () throws -> T) throws -> T {
    do { return try body() } catch let error as ValidationError { throw error } catch {
        complain(error)
        throw ExitCode.failure
    }
}

func complain(_ error: any Error) {
    FileHandle.standardError.write(Data("waybill-hub: \(error)\n".utf8))
}
