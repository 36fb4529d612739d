import GRDB
import WaybillModel
import WaybillSessions

/// What a turn wants written, in the order in which it was decided, but each row once: what the turn itself has
/// overtaken is not written. Of a store that says it has downloaded and then that it has applied, `hub.db` sees one
/// update.
struct TurnWrites {
    private enum Step {
        /// And what `hub.db` had of it before the turn, if that is known.
        case delivery(Delivery, over: Delivery?)
        case contact(StoreRecord)
        case positions(StoreID, [JobID: Watermark])
        case position(StoreID, JobID, Watermark)
        case other((Database) throws -> Void)
    }

    /// What a step writes as a whole, so that a later one makes it needless.
    private enum Row: Hashable {
        /// By number, as the table's key has it.
        case delivery(Int64, StoreID)
        case contact(StoreID)
        case positions(StoreID)
        case position(StoreID, JobID)
    }

    /// nil: overtaken.
    private var steps: [Step?] = []
    private var places: [Row: Int] = [:]
    private var samples: [(store: StoreID, sample: StageSample)] = []

    var isEmpty: Bool { steps.isEmpty && samples.isEmpty }

    /// - Parameter stored: the delivery as `hub.db` had it before the turn, if that is known.
    mutating func save(_ delivery: Delivery, over stored: Delivery?) {
        put(.delivery(delivery, over: stored), at: .delivery(delivery.session.number, delivery.store))
    }

    mutating func saveContact(_ record: StoreRecord) { put(.contact(record), at: .contact(record.id)) }

    mutating func savePositions(_ positions: [JobID: Watermark], of store: StoreID) {
        put(.positions(store, positions), at: .positions(store))
    }

    mutating func savePosition(_ position: Watermark, at job: JobID, of store: StoreID) {
        put(.position(store, job, position), at: .position(store, job))
    }

    mutating func learn(_ more: [StageSample], of store: StoreID) {
        samples += more.map { (store: store, sample: $0) }
    }

    /// Something that nothing else of the turn makes needless.
    mutating func append(_ other: @escaping (Database) throws -> Void) { steps.append(.other(other)) }

    private mutating func put(_ step: Step, at row: Row) {
        if let overtaken = places.updateValue(steps.count, forKey: row) { steps[overtaken] = nil }
        steps.append(step)
    }

    func write(in db: Database) throws {
        let deliveries = try DeliveryWriter(in: db)
        for step in steps {
            switch step {
            case .delivery(let delivery, let stored): try deliveries.save(delivery, over: stored)
            case .contact(let record): try record.saveContact(in: db)
            case .positions(let store, let positions): try StoreRecord.savePositions(positions, of: store, in: db)
            case .position(let store, let job, let position):
                try StoreRecord.savePosition(position, at: job, of: store, in: db)
            case .other(let other): try other(db)
            case nil: break
            }
        }
        try StageHistoryRecord.add(samples, in: db)
    }
}
