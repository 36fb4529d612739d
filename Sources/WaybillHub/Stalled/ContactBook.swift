import Synchronization
import WaybillModel

/// What the wire thread says of the stores, and what it said last when it does not answer.
///
/// An administrator who asks why nothing gets on must get an answer just when that thread hangs.
final class ContactBook: Sendable {
    private let last = Mutex<[StoreID: HubOrder.Contact]>([:])

    /// How long the wire thread is waited for: its turns take milliseconds.
    private static let patience = Duration.seconds(2)

    func ask(_ wire: HubLoop) async -> [StoreID: HubOrder.Contact] {
        // While it is known to hang, nothing is put into its inbox that nobody waits for.
        if wire.parts.pulse.fault(now: wire.parts.clock.now())?.isHang == true { return last.withLock { $0 } }
        return await withCheckedContinuation { continuation in
            let answer = Answer(continuation)
            let timeout = Task { [self] in
                do { try await Task.sleep(for: Self.patience) } catch { return }
                answer.give(last.withLock { $0 })
            }
            wire.post(
                .contacts { [self] contacts in
                    timeout.cancel()
                    last.withLock { $0 = contacts }
                    answer.give(contacts)
                })
        }
    }

    /// The first of two answers counts.
    private final class Answer: Sendable {
        private let continuation: Mutex<CheckedContinuation<[StoreID: HubOrder.Contact], Never>?>

        init(_ continuation: CheckedContinuation<[StoreID: HubOrder.Contact], Never>) {
            self.continuation = Mutex(continuation)
        }

        func give(_ contacts: [StoreID: HubOrder.Contact]) {
            continuation.withLock { $0.take() }?.resume(returning: contacts)
        }
    }
}
