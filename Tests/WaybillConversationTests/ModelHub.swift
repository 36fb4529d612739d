import WaybillHub
import WaybillModel
import WaybillSessions
import WaybillWire

/// What lies in `hub.db` and `rows.db`: what a hub that dies leaves to the next one.
struct HubDatabase {
    struct Session {
        var id: SessionID
        var job: JobID
        var status: SessionStatus
        var version: Version
        var isFull: Bool
        var stores: [StoreID]?
    }

    struct Package {
        var ref: PackageRef
        var signedBytes: [UInt8]
        var signature: [UInt8]
    }

    var stores: [StoreID: StoreRecord] = [:]
    var positions: [StoreID: [JobID: Watermark]] = [:]
    var deliveries: [SessionID: [StoreID: Delivery]] = [:]
    var sessions: [SessionID: Session] = [:]
    var packages: [PackageID: Package] = [:]
    private var lastNumber: Int64 = 0

    mutating func create(job: JobID, isFull: Bool, stores: [StoreID]?, random: UInt64) -> SessionID {
        lastNumber += 1
        let id = SessionID(number: lastNumber, random: random)
        sessions[id] = Session(
            id: id, job: job, status: .started, version: Version(epoch: 0, number: 0), isFull: isFull, stores: stores)
        return id
    }

    /// Sessions that are to be built by another process, under new names.
    mutating func takeUpUnfinished(_ chance: inout Chance) -> [SessionID] {
        sessionsInOrder.filter { $0.status == .started }.map { session in
            var renamed = session
            renamed.id = SessionID(number: session.id.number, random: chance.next())
            sessions[session.id] = nil
            sessions[renamed.id] = renamed
            return renamed.id
        }
    }

    func open(of store: StoreID) -> [Delivery] {
        deliveries.values.compactMap { $0[store] }.filter(\.isOpen).sorted { $0.session.number < $1.session.number }
    }

    var sessionsInOrder: [Session] { sessions.values.sorted { $0.id.number < $1.id.number } }
}

/// Headquarters' rows: one number for each job and version.
struct Headquarters {
    private(set) var history: [JobID: [Int]]

    init(jobs: [JobID]) { history = Dictionary(uniqueKeysWithValues: jobs.map { ($0, [0]) }) }

    func version(of job: JobID) -> Version { Version(epoch: 1, number: Int64((history[job]?.count ?? 1) - 1)) }
    func rows(of job: JobID, at version: Version) -> Int? {
        guard let rows = history[job], rows.indices.contains(Int(version.number)) else { return nil }
        return rows[Int(version.number)]
    }

    /// Gives the job other rows; sometimes rows it had before.
    mutating func change(_ job: JobID, _ chance: inout Chance) {
        guard var rows = history[job] else { return }
        rows.append(chance.happens(0.25) ? rows[Int(chance.next() % UInt64(rows.count))] : (rows.max() ?? 0) + 1)
        history[job] = rows
    }
}

/// What others ask of the wire thread.
enum HubOrder {
    case offer(HubDatabase.Session, [HubDatabase.Package], [Delivery])
    case prepared(SessionID, StoreID, Preparation, HubDatabase.Package?)
    case cancel(SessionID, stores: [StoreID]?)
    case rerun(SessionID, stores: [StoreID])
    case retry(SessionID)
}

enum PublisherTask {
    case build(SessionID)
    case prepare(SessionID, StoreID, base: Watermark?, isRepair: Bool)
}

/// One life of the hub's process. What is in here dies with it.
struct HubProcess {
    var settings: DeskSettings
    var desks: [StoreID: Desk] = [:]
    var orders: [HubOrder] = []
    var inbox: [(letter: AgentLetter, line: Int)] = []
    var tasks: [PublisherTask] = []
    var isTurnDue = false
    var isPublishing = false
}
