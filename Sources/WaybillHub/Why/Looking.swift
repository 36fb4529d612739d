import WaybillAdmin
import WaybillPlan

extension Publisher {
    /// Has the publisher's thread look something up in `rows.db`, between two of its tasks and before those that wait.
    ///
    /// - Throws: also when the hub stops before it comes to that.
    func look<Value: Sendable>(_ body: @escaping @Sendable (Rows) throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.add(
                .look { rows in
                    guard let rows else {
                        return continuation.resume(throwing: AdminError.conflict("the hub is being stopped"))
                    }
                    continuation.resume(with: Result { try body(rows) })
                })
        }
    }
}
