import ArgumentParser
import Foundation
import Logging
import ServiceLifecycle
import UnixSignals
import WaybillHub
import WaybillModel

/// A hub as a program of its own, looked at from outside.
final class HubProcess {
    private let process = Process()
    let home: HubHome
    let admin: AdminCaller
    var identifier: Int32 { process.processIdentifier }
    private static let patience = Duration.seconds(120)

    /// Starts it and waits until it answers administrators.
    /// - Parameter programs: folder of waybill-hub; nil: this very program plays the hub.
    init(_ home: HubHome, programs: String?) throws {
        self.home = home
        admin = AdminCaller(socket: home.adminSocket)
        if let programs {
            process.executableURL = URL(fileURLWithPath: programs + "/waybill-hub")
            process.arguments = ["run", home.path]
        } else {
            process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            process.arguments = ["serve-hub", home.path]
        }
        let log = home.path + "/hub.log"
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let begun = ContinuousClock.now
        while (try? admin.get("/v1/status")) == nil {
            guard process.isRunning, begun.duration(to: .now) < HubProcess.patience else {
                throw BenchFault("the hub did not start; see \(log) (--keep)")
            }
            usleep(20_000)
        }
    }

    func stop() {
        guard process.isRunning else { return }
        process.terminate()
        process.waitUntilExit()
    }

    deinit { stop() }

    /// Resident bytes now, and the most there ever were.
    func memory() throws -> (now: Int64, peak: Int64) {
        let text = try String(contentsOfFile: "/proc/\(identifier)/status", encoding: .utf8)
        func kibibytes(_ name: String) -> Int64 {
            let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") } ?? ""
            return line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int64($0) } ?? 0
        }
        return (kibibytes("VmRSS") * 1024, kibibytes("VmHWM") * 1024)
    }

    /// Seconds of processor that it has used, in all its threads.
    func processorSeconds() throws -> Double { try ProcessorTime.seconds(of: identifier) }
}

enum ProcessorTime {
    static func seconds(of process: Int32) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        // The name in parentheses may hold blanks; utime and stime are the 12th and 13th after it.
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
            throw BenchFault("the processor time of process \(process) cannot be read")
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}

/// Asks a hub's admin socket, a connection for each question, as the command line does.
struct AdminCaller {
    let socket: String

    func get(_ path: String) throws -> Data { try call("GET \(path) HTTP/1.1\r\n", body: nil) }

    func post(_ path: String, _ body: String) throws -> Data {
        try call("POST \(path) HTTP/1.1\r\ncontent-type: application/json\r\n", body: body)
    }

    private func call(_ head: String, body: String?) throws -> Data {
        let descriptor = try connected()
        defer { close(descriptor) }
        let text =
            head + "host: hub\r\nconnection: close\r\ncontent-length: \(body?.utf8.count ?? 0)\r\n\r\n" + (body ?? "")
        var sent = 0
        let bytes = Array(text.utf8)
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw BenchFault("the hub does not take questions") }
            sent += count
        }
        var answer = Data()
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count >= 0 else { throw BenchFault("the hub's answer broke off") }
            if count == 0 { break }
            answer.append(contentsOf: buffer[..<count])
            // A hub that keeps the line open all the same.
            if let whole = AdminCaller.whole(answer) { return try AdminCaller.good(whole) }
        }
        throw BenchFault("the hub's answer broke off")
    }

    private func connected() throws -> Int32 {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw BenchFault("no socket could be opened") }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array(socket.utf8)
        guard path.count < MemoryLayout.size(ofValue: address.sun_path) else {
            close(descriptor)
            throw BenchFault("the path \(socket) is too long for a socket; name a shorter --folder")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            close(descriptor)
            throw BenchFault("nobody listens at \(socket)")
        }
        return descriptor
    }

    /// Head and body once all of it is there.
    private static func whole(_ answer: Data) -> (head: String, body: Data)? {
        guard let end = answer.range(of: Data("\r\n\r\n".utf8)) else { return nil }
        let head = String(decoding: answer[..<end.lowerBound], as: UTF8.self)
        let length = head.lowercased().split(separator: "\r\n").first { $0.hasPrefix("content-length:") }
            .flatMap { Int($0.dropFirst("content-length:".count).drop { $0 == " " }) }
        let body = answer[end.upperBound...]
        return length.map { body.count >= $0 } ?? false ? (head, Data(body)) : nil
    }

    private static func good(_ answer: (head: String, body: Data)) throws -> Data {
        guard answer.head.split(separator: " ").dropFirst().first?.hasPrefix("2") == true else {
            throw BenchFault("the hub refused: \(String(decoding: answer.body, as: UTF8.self))")
        }
        return answer.body
    }
}

/// The hub's service, in a process that the measurements start.
struct ServeHubCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve-hub", abstract: "Run a hub as waybill-hub does.", shouldDisplay: false)

    @Argument var home: String

    func run() async throws {
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        let folder = try HubHome(existing: home)
        var logger = Logger(label: "waybill-hub")
        logger.logLevel = Logger.Level(rawValue: try HubConfiguration(reading: folder.configuration).logLevel) ?? .info
        let hub = try Hub(home: folder, logger: logger)
        var quiet = logger
        quiet.logLevel = .error
        try await ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [.init(service: hub, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
        ).run()
    }
}
