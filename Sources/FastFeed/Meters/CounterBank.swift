// One bank of counters per agent: written by its thread with plain loads and stores, read by any thread.

import Synchronization

@safe package final class CounterBank: @unchecked Sendable {
    // Never moved or resized; the only cross-thread access is through atomics.
    private let cells: UnsafeMutablePointer<Atomic<UInt64>>

    package init() {
        // On cache lines of its own, so that two banks never share one.
        let bytes = CounterID.allCases.count * MemoryLayout<Atomic<UInt64>>.stride
        let raw = UnsafeMutableRawPointer.allocate(byteCount: (bytes + 127) & ~63, alignment: 64)
        unsafe cells = unsafe raw.bindMemory(to: Atomic<UInt64>.self, capacity: CounterID.allCases.count)
        for index in 0..<CounterID.allCases.count { unsafe (cells + index).initialize(to: Atomic(0)) }
    }

    deinit { unsafe UnsafeMutableRawPointer(cells).deallocate() }

    /// Owner thread only: no read-modify-write is needed where there is one writer.
    @inline(__always)
    package func add(_ id: CounterID, _ amount: Int = 1) {
        let cell = unsafe cells + id.rawValue
        unsafe cell.pointee.store(cell.pointee.load(ordering: .relaxed) &+ UInt64(truncatingIfNeeded: amount), ordering: .relaxed)
    }

    /// Owner thread only: for a gauge that is measured, not counted up and down.
    package func set(_ id: CounterID, _ value: Int) {
        unsafe cells[id.rawValue].store(UInt64(truncatingIfNeeded: value), ordering: .relaxed)
    }

    package func value(_ id: CounterID) -> UInt64 { unsafe cells[id.rawValue].load(ordering: .relaxed) }
}

/// All banks summed, at one instant (each counter read once; not one consistent cut across threads).
public struct CounterSnapshot: Sendable {
    private var values: [UInt64]

    package init(_ banks: [CounterBank]) {
        self.init { id in banks.reduce(0) { $0 &+ $1.value(id) } }
    }

    /// From wherever the values stand, such as a report in a log.
    package init(_ value: (CounterID) -> UInt64) { values = CounterID.allCases.map(value) }

    /// The value of one counter or gauge, in its own unit.
    public internal(set) subscript(id: CounterID) -> UInt64 {
        get { values[id.rawValue] }
        set { values[id.rawValue] = newValue }
    }

    /// Refused frames, all reasons together.
    public var rejected: UInt64 { CounterID.allCases.filter(\.isRejection).reduce(0) { $0 + self[$1] } }
}
