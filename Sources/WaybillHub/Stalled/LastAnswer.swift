import Synchronization
import WaybillModel
import WaybillSchedule

/// What a thread of the hub answers, and what it answered last when it does not.
///
/// An administrator who asks why nothing gets on must get an answer just when a thread hangs.
final class LastAnswer<Value: Sendable>: Sendable {
    private let last: Mutex<Value>

    /// How long a thread is waited for: its turns take milliseconds.
    private static var patience: Duration { .seconds(2) }

    init(_ initial: Value) { last = Mutex(initial) }

    var value: Value { last.withLock { $0 } }

    /// - Parameter post: hands the question to the thread, with what to call with the answer; nil for none.
    func ask(_ post: (@escaping @Sendable (Value?) -> Void) -> Void) async -> Value {
        await withCheckedContinuation { continuation in
            let answer = Once(continuation)
            let timeout = Task { [self] in
                do { try await Task.sleep(for: Self.patience) } catch { return }
                answer.give(value)
            }
            post { [self] new in
                timeout.cancel()
                if let new { last.withLock { $0 = new } }
                answer.give(new ?? value)
            }
        }
    }

    /// The first of two answers counts.
    private final class Once: Sendable {
        private let continuation: Mutex<CheckedContinuation<Value, Never>?>

        init(_ continuation: CheckedContinuation<Value, Never>) { self.continuation = Mutex(continuation) }

        func give(_ value: Value) { continuation.withLock { $0.take() }?.resume(returning: value) }
    }
}

/// What other threads know, asked in a way that always ends.
struct Hearsay: Sendable {
    let contacts = LastAnswer<[StoreID: HubOrder.Contact]>([:])
    let heldJobs = LastAnswer(0)
}

extension HubBackend {
    /// What the wire thread says of the stores.
    func hearContacts() async -> [StoreID: HubOrder.Contact] {
        // While it is known to hang, nothing is put into its inbox that nobody waits for.
        if wire.parts.pulse.fault(now: clock.now())?.isHang == true { return hearsay.contacts.value }
        return await hearsay.contacts.ask { give in wire.post(.contacts { give($0) }) }
    }

    /// How many jobs are on hold. The runner writes something down in each turn, and cannot while `hub.db` is locked.
    func heldJobs() async -> Int {
        await hearsay.heldJobs.ask { give in
            runner.post(.standings { result in give((try? result.get())?.values.count { $0.hold != nil }) })
        }
    }
}
