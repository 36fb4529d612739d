/// What is to happen, by virtual time; what is due at the same moment comes in the order in which it was noted.
struct Agenda<Event> {
    private struct Entry {
        var at: Int64
        var number: Int
        var event: Event
    }

    private var heap: [Entry] = []
    private var count = 0

    var nextTime: Int64? { heap.first?.at }

    mutating func add(_ event: Event, at: Int64) {
        count += 1
        heap.append(Entry(at: at, number: count, event: event))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard isBefore(child, parent) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func next() -> (at: Int64, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return (first.at, first.event)
    }

    /// Takes out the earliest event that is looked for, before its time.
    mutating func takeFirst(where isWanted: (Event) -> Bool) -> Event? {
        let found = heap.indices.filter { isWanted(heap[$0].event) }.min { isBefore($0, $1) }
        guard let found else { return nil }
        let event = heap[found].event
        heap.remove(at: found)
        // Small and rare: built anew, the heap is in order again.
        let rest = heap
        heap = rest.sorted { ($0.at, $0.number) < ($1.at, $1.number) }
        return event
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, least) {
                least = child
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    private func isBefore(_ a: Int, _ b: Int) -> Bool { (heap[a].at, heap[a].number) < (heap[b].at, heap[b].number) }
}
