import Foundation
import GRDB
import Testing

/// A hub's home and the administrator's command on it.
final class TestHub {
    let world: World
    let home: String
    let port: Int
    private(set) var process: RunningProcess?

    /// Makes a home on three free ports, with short intervals.
    /// - Parameter automatic: whether jobs start by themselves. A test that counts sessions wants its own alone.
    init(_ world: World, name: String = "hub", automatic: Bool = false, settings: String = "") async throws {
        self.world = world
        home = world.folder + "/" + name
        port = try FreePorts.three()
        let made = try await world.run("waybill-hub", ["init", home, "--listen", "tcp://127.0.0.1:\(port)"])
        guard made.ending == .status(0) else { throw Trouble("init failed: \(made.err)") }
        let yaml =
            "listen: tcp://127.0.0.1:\(port)\nhello_seconds: 1\noffline_after_seconds: 3\n"
            + "automatic_runs: \(automatic)\n\(settings)\n"
        try yaml.write(toFile: home + "/hub.yaml", atomically: true, encoding: .utf8)
    }

    /// - Parameter crashAt: `name:k`, where the process shall die.
    func start(crashAt: String? = nil) async throws {
        let environment = crashAt.map { ["WAYBILL_CRASH_AT": $0] } ?? [:]
        let started = try world.start("waybill-hub", ["run", home], environment: environment)
        process = started
        try await eventually("the hub is ready or has ended", within: 20) {
            started.err.contains("is ready") || !started.isRunning
        }
        guard crashAt != nil || started.isRunning else { throw Trouble("the hub ended: \(started.err)") }
    }

    func running() throws -> RunningProcess {
        guard let process else { throw Trouble("the hub was not started") }
        return process
    }

    // MARK: the administrator's command

    struct Answer {
        let ending: Ending
        let out: String
        let err: String

        func decoded<Value: Decodable>(_ type: Value.Type) throws -> Value {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            do { return try decoder.decode(type, from: Data(out.utf8)) } catch {
                throw Trouble("not the JSON of \(type): \(out)\n\(err)")
            }
        }
    }

    func begin(_ arguments: [String]) throws -> RunningProcess {
        try world.start("waybill", ["--hub", home] + arguments)
    }

    func waybill(_ arguments: String...) async throws -> Answer { try await waybill(arguments) }

    func waybill(_ arguments: [String]) async throws -> Answer {
        let run = try await world.run("waybill", ["--hub", home] + arguments, within: 120)
        return Answer(ending: run.ending, out: run.out, err: run.err)
    }

    /// A command that must succeed.
    @discardableResult
    func done(_ arguments: String...) async throws -> Answer {
        let answer = try await waybill(arguments)
        guard answer.ending == .status(0) else {
            throw Trouble("waybill \(arguments.joined(separator: " ")): \(answer.ending)\n\(answer.out)\(answer.err)")
        }
        return answer
    }

    /// Publishes and waits; gives back the sessions as they are then, in the order of the jobs.
    func publish(_ arguments: String...) async throws -> [Session] { try await publish(arguments) }

    func publish(_ arguments: [String]) async throws -> [Session] {
        let answer = try await waybill(["publish", "--wait", "--json", "--timeout", "60"] + arguments)
        guard answer.ending == .status(0) else { throw Trouble("publish: \(answer.ending)\n\(answer.err)") }
        var sessions: [Session] = []
        for session in try answer.decoded(Published.self).sessions { sessions.append(try await show(session.id)) }
        return sessions
    }

    func show(_ session: String) async throws -> Session {
        try await done("session", "show", session, "--json").decoded(Session.self)
    }

    /// All sessions, newest first.
    func sessions() async throws -> [Session] {
        try await done("session", "list", "--all", "--json").decoded([Session].self)
    }

    func stores() async throws -> [Store] { try await done("store", "list", "--json").decoded([Store].self) }

    func code(for store: String) async throws -> String {
        try await done("store", "add", store, "--json").decoded(Code.self).code
    }

    // MARK: the databases, from another process than the hub

    /// Plain SQL, as an ERP or a script would run it.
    func sql(_ text: String) throws {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = false
        configuration.busyMode = .timeout(20)
        let queue = try DatabaseQueue(path: home + "/hq.db", configuration: configuration)
        try queue.write { try $0.execute(sql: text) }
        try queue.close()
    }

    /// Plain SQL in `hub.db`, for what takes days by itself.
    func operations(_ text: String) throws {
        var configuration = Configuration()
        configuration.busyMode = .timeout(20)
        let queue = try DatabaseQueue(path: home + "/hub.db", configuration: configuration)
        try queue.write { try $0.execute(sql: text) }
        try queue.close()
    }

    func hqRows(_ query: String) throws -> [[String?]] { try rows(of: home + "/hq.db", query) }
    func operationsRows(_ query: String) throws -> [[String?]] { try rows(of: home + "/hub.db", query) }
}

/// Every value as text, in the order of the query.
func rows(of path: String, _ query: String, _ arguments: StatementArguments = []) throws -> [[String?]] {
    var configuration = Configuration()
    configuration.readonly = true
    configuration.busyMode = .timeout(20)
    let queue = try DatabaseQueue(path: path, configuration: configuration)
    defer { try? queue.close() }
    return try queue.read { db in
        try Row.fetchAll(db, sql: query, arguments: arguments).map { row in
            row.databaseValues.map { $0.isNull ? nil : String.fromDatabaseValue($0) ?? "\($0)" }
        }
    }
}

// MARK: what the command prints

struct Published: Decodable {
    struct Session: Decodable { let id: String, job: String, status: String }
    let sessions: [Session]
}

struct Session: Decodable {
    struct Delivery: Decodable {
        let store: String, status: String, kind: String?, rows: Int, bytes: Int, appliedAt: String?, attempts: Int,
            message: String?
    }
    let id: String, job: String, status: String, kind: String?, rows: Int, bytes: Int, message: String?
    let deliveries: Deliveries

    /// `session list` has counts, `session show` has the deliveries themselves.
    struct Deliveries: Decodable {
        var counts: [String: Int] = [:]
        var each: [Delivery] = []

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let counts = try? container.decode([String: Int].self) {
                self.counts = counts
            } else {
                each = try container.decode([Delivery].self)
                for delivery in each { counts[delivery.status, default: 0] += 1 }
            }
        }
    }

    var counts: [String: Int] { deliveries.counts }

    func delivery(_ store: String) throws -> Delivery {
        guard let found = deliveries.each.first(where: { $0.store == store }) else {
            throw Trouble("session \(id) has no delivery for \(store)")
        }
        return found
    }
}

struct Store: Decodable {
    struct Mark: Decodable { let version: Int, session: String }
    let store: String, state: String, online: Bool, watermarks: [String: Mark]
}

struct Code: Decodable { let code: String }

struct Canceled: Decodable {
    struct Answer: Decodable { let store: String, answer: String, at: String? }
    let session: String, stores: [Answer]
}

struct Rerun: Decodable {
    struct Answer: Decodable { let store: String, accepted: Bool, message: String }
    let session: String, stores: [Answer]
}
