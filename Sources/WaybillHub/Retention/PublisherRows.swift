import Foundation
import WaybillPlan

/// Has work done by the publisher's thread, which alone may touch `rows.db`, and waits for it.
struct PublisherRows: RowsKeeper {
    let queue: PublisherQueue
    let isStopping: @Sendable () -> Bool

    func onRows<T: Sendable>(_ body: @escaping @Sendable (Rows) throws -> T) throws -> T {
        let answer = Answer<T>()
        queue.add(.use { rows in answer.give(Result { try body(rows) }) })
        return try answer.wait(isStopping: isStopping).get()
    }

    /// NSCondition guards the field: it is touched between lock and unlock only, which is why this may be shared.
    private final class Answer<T: Sendable>: @unchecked Sendable {
        private let condition = NSCondition()
        private var result: Result<T, any Error>?

        func give(_ result: Result<T, any Error>) {
            condition.lock()
            defer { condition.unlock() }
            self.result = result
            condition.signal()
        }

        /// A publisher that stops does not answer any more, hence the look around.
        func wait(isStopping: () -> Bool) -> Result<T, any Error> {
            condition.lock()
            defer { condition.unlock() }
            while true {
                if let result { return result }
                if isStopping() { return .failure(RetentionInterrupted()) }
                _ = condition.wait(until: Date(timeIntervalSinceNow: 0.1))
            }
        }
    }
}
