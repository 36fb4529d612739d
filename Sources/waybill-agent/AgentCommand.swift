import ArgumentParser
import Foundation
import Logging
import ServiceLifecycle
import UnixSignals
import WaybillAgent
import WaybillModel

@main
struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "waybill-agent",
        abstract: "A store's side of Waybill: brings the rows of headquarters into the store.db that the tills read.",
        discussion: """
            Enrol once with the code that 'waybill store add' prints, then keep the agent running:

              waybill-agent enrol waybill1.CgNBVC1… /var/lib/waybill-agent
              waybill-agent run /var/lib/waybill-agent
            """,
        version: WaybillVersion.text,
        subcommands: [Enrol.self, Run.self, Status.self, RotateKey.self])
}

/// A home named on the command line or by $WAYBILL_HOME.
struct HomeArgument: ParsableArguments {
    @Argument(help: "The agent's home folder. Default: $WAYBILL_HOME.")
    var home: String?

    func path() throws -> String {
        if let home { return home }
        if let home = ProcessInfo.processInfo.environment["WAYBILL_HOME"], !home.isEmpty { return home }
        throw ValidationError("name the agent's home folder, or set $WAYBILL_HOME")
    }

    func validate() throws { _ = try path() }
}

extension AgentCommand {
    struct Enrol: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "enrol",
            abstract: "Use a one-time code: makes this store's own key, shows it to the hub, and keeps what it answers."
        )

        @Argument(help: "The code that 'waybill store add' has printed.")
        var code: String
        @OptionGroup var home: HomeArgument

        func run() throws {
            restrictNewFiles()
            let folder = AgentHome(at: try home.path())
            let store = try onePlainSentence { try Enroller.enrol(code: code, home: folder) }
            print("Enrolled as store \(store). Start the agent with: waybill-agent run \(folder.path)")
        }
    }

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "run", abstract: "Run the agent in the foreground until SIGTERM or Ctrl-C.")

        @OptionGroup var home: HomeArgument

        func run() async throws {
            restrictNewFiles()
            let folder = try onePlainSentence { try AgentHome(existing: try home.path()) }
            let settings = try onePlainSentence { try AgentConfiguration(reading: folder.configuration) }
            LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
            var logger = Logger(label: "waybill-agent")
            logger.logLevel = Logger.Level(rawValue: settings.logLevel) ?? .info
            do {
                let agent = try Agent(home: folder, logger: logger)
                var quiet = logger
                quiet.logLevel = .error
                let group = ServiceGroup(
                    configuration: ServiceGroupConfiguration(
                        services: [.init(service: agent, successTerminationBehavior: .gracefullyShutdownGroup)],
                        gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
                try await group.run()
            } catch {
                complain(error)
                throw ExitCode.failure
            }
        }
    }

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "status", abstract: "Show what this store has applied and how its connection is.")

        @OptionGroup var home: HomeArgument
        @Flag(help: "One JSON document.")
        var json = false

        func run() throws {
            let report = try onePlainSentence { try AgentReport(home: try AgentHome(existing: try home.path())) }
            guard json else { return print(report.lines.joined(separator: "\n")) }
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            print(String(decoding: try encoder.encode(report), as: UTF8.self))
        }
    }
}

/// Ends the program with status 1 and the error's own sentence on stderr.
func onePlainSentence<T>(_ body: () throws -> T) throws -> T {
    do { return try body() } catch let error as ValidationError { throw error } catch {
        complain(error)
        throw ExitCode.failure
    }
}

func complain(_ error: any Error) {
    FileHandle.standardError.write(Data("waybill-agent: \(error)\n".utf8))
}

/// Whatever the umask of who starts us: nothing that we make is for strangers. The group stays: tills are in it.
func restrictNewFiles() {
    _ = umask(umask(0o777) | 0o007)
}
