import Foundation

/// Runs blocking work on a thread of its own and waits for it without blocking Swift's pool.
public func onOwnThread<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        Thread { continuation.resume(with: Result(catching: body)) }.start()
    }
}

/// Carries a value that is not Sendable to the one thread that will own it.
///
/// Unchecked, because: the maker gives the value away and keeps no reference, `take` hands it out once, and starting a
/// thread orders the two.
public final class Handover<Value>: @unchecked Sendable {
    private var value: Value?
    public init(_ value: Value) { self.value = value }
    public func take() -> Value? {
        defer { value = nil }
        return value
    }
}
