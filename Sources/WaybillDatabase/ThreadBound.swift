import Glibc

/// A value that holds for what one thread does while a closure runs, and for nobody else: how a whole hub or agent is
/// run with other clocks and disks than the machine's, without every function handing them down.
///
/// A task-local value would do the same, but not with Swift 6.3: optimised code that binds a closure so, outside of a
/// task, crashes in `swift_task_localValuePush`.
package struct ThreadBound<Value>: Sendable {
    private let key: pthread_key_t?

    private final class Box {
        let value: Value
        init(_ value: Value) { self.value = value }
    }

    package init() {
        var key = pthread_key_t()
        // A process has 1024 keys; we make three. Without one nothing is ever bound, as in every real process.
        self.key = pthread_key_create(&key, nil) == 0 ? key : nil
    }

    /// What is bound on this thread; nil for nothing.
    package var value: Value? {
        guard let key, let place = pthread_getspecific(key) else { return nil }
        // Held by ``withValue(_:_:)`` further up on this very thread.
        return Unmanaged<Box>.fromOpaque(place).takeUnretainedValue().value
    }

    /// Binds `value` on this thread until `body` ends.
    package func withValue<Result>(_ value: Value, _ body: () throws -> Result) rethrows -> Result {
        guard let key else { return try body() }
        let box = Box(value)
        let former = pthread_getspecific(key)
        pthread_setspecific(key, Unmanaged.passUnretained(box).toOpaque())
        defer { pthread_setspecific(key, former) }
        return try withExtendedLifetime(box) { try body() }
    }
}
