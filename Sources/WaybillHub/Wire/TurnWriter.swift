import Dispatch
import Synchronization
import WaybillModel
import WaybillSocket

/// Writes down what turns have decided, one turn at a time and in their order, while the wire thread takes in the next.
/// What a turn has to say waits for its commit all the same.
protocol TurnWriter: AnyObject {
    /// Begins to write a turn; the one before must have been waited for.
    func begin(_ writing: @escaping TurnWriting)
    /// Waits until what was begun is on disk, or is known not to be.
    func finish() -> Result<[SessionID], any Error>
}

/// One durable transaction; returns the sessions that it has begun.
typealias TurnWriting = @Sendable () -> Result<[SessionID], any Error>

/// Somebody waited for a turn that was never given to be written: a mistake of this program.
struct NothingBegun: Error {}

/// A thread that writes.
final class WritingThread: TurnWriter, Sendable {
    private enum Step {
        case idle
        case given(TurnWriting)
        case written(Result<[SessionID], any Error>)
        case over
    }

    /// What the two threads hand to each other; the semaphores say whose turn it is.
    private final class Slot: Sendable {
        let step = Mutex(Step.idle)
        let given = DispatchSemaphore(value: 0)
        let written = DispatchSemaphore(value: 0)

        func take() -> Step {
            given.wait()
            return step.withLock { $0 }
        }
    }

    private let slot: Slot
    private let thread: LoopThread

    init() throws(SocketError) {
        let slot = Slot()
        self.slot = slot
        thread = try LoopThread("hub-writer") {
            while case .given(let writing) = slot.take() {
                let result = writing()
                slot.step.withLock { $0 = .written(result) }
                slot.written.signal()
            }
        }
    }

    func begin(_ writing: @escaping TurnWriting) {
        slot.step.withLock { $0 = .given(writing) }
        slot.given.signal()
    }

    func finish() -> Result<[SessionID], any Error> {
        slot.written.wait()
        return slot.step.withLock { step in
            defer { step = .idle }
            guard case .written(let result) = step else { return .failure(NothingBegun()) }
            return result
        }
    }

    deinit {
        slot.step.withLock { $0 = .over }
        slot.given.signal()
        thread.join()
    }
}

/// Writes when it is waited for, in the thread that waits: for hubs that are stepped. A process that dies before has
/// written nothing.
final class LateWriter: TurnWriter {
    private var writing: TurnWriting?

    func begin(_ writing: @escaping TurnWriting) { self.writing = writing }

    func finish() -> Result<[SessionID], any Error> {
        guard let writing else { return .failure(NothingBegun()) }
        self.writing = nil
        return writing()
    }
}
