import WaybillModel

/// Lets in so many hellos a second and keeps the others for later, in the order of the stores, one for each.
///
/// A hello costs a look into `hub.db` and a Welcome; after a hub's restart, or a power cut, all stores send theirs at
/// once. Meanwhile requests, chunks and reports of those that were welcomed must get through. What is kept is bounded:
/// one hello a store, of a size that is bounded too, and no more than ``waitingMax``.
struct HelloAdmission<Hello> {
    private var waiting: [StoreID: Hello] = [:]
    /// Stores in the order in which they came; those before `next` are done.
    private var order: [StoreID] = []
    private var next = 0
    /// Thousandths of a hello that may be taken in now.
    private var allowance: Int64 = 0
    private var renewedAt: Timestamp?
    /// Hellos a second.
    var rate: Int64 = HelloLimits.rateMin

    init() {}

    var waitingCount: Int { waiting.count }

    enum Verdict: Equatable {
        case takeNow
        /// It is kept, and taken when its turn comes.
        case later
        /// There are too many: the agent shall ask again after so many milliseconds.
        case askAgain(Int64)
    }

    /// - Parameter isKeepable: small enough to be kept.
    mutating func admit(_ hello: Hello, of store: StoreID, isKeepable: Bool, now: Timestamp) -> Verdict {
        renew(now)
        // A newer hello of the same store takes the place of the one that waits, at its turn.
        if waiting[store] != nil, isKeepable {
            waiting[store] = hello
            return .later
        }
        // Those who wait go first.
        if waiting.isEmpty, allowance >= 1000 {
            allowance -= 1000
            return .takeNow
        }
        guard isKeepable, waiting.count < HelloLimits.waitingMax else {
            return .askAgain(max(1000, Int64(waiting.count + 1) * 1000 / rate))
        }
        waiting[store] = hello
        order.append(store)
        return .later
    }

    /// The hellos whose turn it is.
    mutating func due(now: Timestamp) -> [Hello] {
        guard !waiting.isEmpty else { return [] }
        renew(now)
        var hellos: [Hello] = []
        while allowance >= 1000, next < order.count {
            if let hello = waiting.removeValue(forKey: order[next]) {
                allowance -= 1000
                hellos.append(hello)
            }
            next += 1
        }
        if next == order.count {
            order = []
            next = 0
        }
        return hellos
    }

    /// No more than what one second allows is ever saved up.
    private mutating func renew(_ now: Timestamp) {
        guard let before = renewedAt else {
            renewedAt = now
            allowance = rate * 1000
            return
        }
        guard now > before else { return }
        renewedAt = now
        allowance = min(rate * 1000, allowance + min(now - before, 1000) * rate)
    }
}

/// Bounds of the admission, each with its reason.
enum HelloLimits {
    /// Hellos a second of a small chain: half a millisecond each leaves three quarters of the thread to what the stores
    /// then want.
    static let rateMin: Int64 = 500
    /// A chain that is all there says so many a second anyway, by its number and the interval; twice that is let in.
    static let surplus: Int64 = 2
    /// Hellos that are kept: at the lowest rate they are taken in within 40 s, about as soon as the agents would ask again.
    static let waitingMax = 20_000
    /// Bytes of a hello that is kept: hundreds of jobs.
    static let bytesMax = 16 * 1024
}
