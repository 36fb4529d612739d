// Whether a sanitizer sees what it is for, and nothing else: `deploy/sanitize` builds and runs this first.
//
//     sanitize-check race        must be found: two threads, one variable, no lock
//     sanitize-check overflow    must be found: a byte behind the end
//     sanitize-check mutex       must not be found: the same two threads with a Mutex that both want at once
import Foundation
import Synchronization

final class Guarded: Sendable {
    let numbers = Mutex<[Int]>([])
    nonisolated(unsafe) var bare = 0
}

let guarded = Guarded()

func onTwoThreads(_ body: @escaping @Sendable (Int) -> Void) {
    let threads = (0..<2).map { number in Thread { body(number) } }
    threads.forEach { $0.start() }
    while !threads.allSatisfy(\.isFinished) { usleep(1000) }
}

switch CommandLine.arguments.dropFirst().first {
case "race":
    onTwoThreads { _ in for _ in 0..<1000 { guarded.bare += 1 } }
case "mutex":
    onTwoThreads { number in
        for _ in 0..<2000 {
            guarded.numbers.withLock { numbers in
                numbers.append(number)
                // Held for long enough that the other one has to wait.
                if numbers.count % 100 == 0 { usleep(50) }
            }
        }
    }
case "overflow":
    let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 8)
    bytes.initialize(repeating: 1, count: 8)
    print(bytes[CommandLine.arguments.count + 6])
    bytes.deallocate()
default:
    exit(64)
}
