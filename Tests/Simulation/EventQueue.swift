// Virtual time: what is going to happen, in order. Two events of one instant happen in the order they were planned.

struct EventQueue {
    private struct Event {
        let atNs: UInt64
        let order: UInt64
        let action: () -> Void

        func isBefore(_ other: Event) -> Bool { atNs != other.atNs ? atNs < other.atNs : order < other.order }
    }

    /// A binary heap.
    private var events: [Event] = []
    private var planned: UInt64 = 0

    var nextNs: UInt64? { events.first?.atNs }

    mutating func plan(at atNs: UInt64, _ action: @escaping () -> Void) {
        planned += 1
        events.append(Event(atNs: atNs, order: planned, action: action))
        var child = events.count - 1
        while child > 0, events[child].isBefore(events[(child - 1) / 2]) {
            events.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// The next event that is due, if any.
    mutating func takeDue(nowNs: UInt64) -> (() -> Void)? {
        guard let first = events.first, first.atNs <= nowNs else { return nil }
        events.swapAt(0, events.count - 1)
        events.removeLast()
        sink(0)
        return first.action
    }

    private mutating func sink(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < events.count && events[child].isBefore(events[least]) {
                least = child
            }
            guard least != parent else { return }
            events.swapAt(parent, least)
            parent = least
        }
    }
}
