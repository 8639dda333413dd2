// When each stream is due: a wheel of one-millisecond slots, intrusive lists of stream indexes. One thread.
//
// Every stream has at most one entry. A time beyond the wheel's turn is put at its far end and looked at
// again there, so any distance is allowed and insertion never searches.

package struct TimerWheel {
    package static let slotCount = 4_096
    private static let none: Int32 = -1

    /// The slot being served; nothing before it is pending.
    package private(set) var nowMs: Int64
    package private(set) var pendingCount = 0
    private var heads: [Int32]
    /// A bit for each slot with entries, so that empty time is passed 64 slots at a look.
    private var occupied = [UInt64](repeating: 0, count: TimerWheel.slotCount / 64)
    private var nextInSlot: [Int32] = []
    private var dueMs: [Int64] = []

    package init(startMs: Int64) {
        nowMs = startMs
        heads = Array(repeating: TimerWheel.none, count: TimerWheel.slotCount)
    }

    /// Sets an index that is not pending. A time in the past is due now.
    package mutating func insert(_ index: Int, atMs timeMs: Int64) {
        while dueMs.count <= index {
            dueMs.append(0)
            nextInSlot.append(TimerWheel.none)
        }
        dueMs[index] = timeMs
        pendingCount += 1
        link(index)
    }

    /// An index that is due at `nowMs`, or nil when the slot is served.
    package mutating func popDue() -> Int? {
        let slot = Int(nowMs) & (TimerWheel.slotCount - 1)
        while heads[slot] != TimerWheel.none {
            let index = Int(heads[slot])
            heads[slot] = nextInSlot[index]
            if dueMs[index] <= nowMs {
                pendingCount -= 1
                return index
            }
            link(index)
        }
        occupied[slot >> 6] &= ~(1 << UInt64(slot & 63))
        return nil
    }

    /// Moves on to the next slot with entries, at most to `limitMs`. The present slot must be served.
    package mutating func advance(toMs limitMs: Int64) {
        guard limitMs > nowMs else { return }
        let first = Int(nowMs + 1) & (TimerWheel.slotCount - 1)
        var distance: Int64 = 1
        var word = first >> 6
        // The first word from the first slot on, then whole words, once around.
        var bits = occupied[word] & (UInt64.max << UInt64(first & 63))
        distance -= Int64(first & 63)
        for _ in 0...(TimerWheel.slotCount / 64) {
            if bits != 0 {
                nowMs = min(limitMs, nowMs + distance + Int64(bits.trailingZeroBitCount))
                return
            }
            distance += 64
            word = (word + 1) & (TimerWheel.slotCount / 64 - 1)
            bits = occupied[word]
        }
        nowMs = limitMs
    }

    private mutating func link(_ index: Int) {
        let farthest = nowMs + Int64(TimerWheel.slotCount) - 1
        let slot = Int(min(max(dueMs[index], nowMs), farthest)) & (TimerWheel.slotCount - 1)
        nextInSlot[index] = heads[slot]
        heads[slot] = Int32(index)
        occupied[slot >> 6] |= 1 << UInt64(slot & 63)
    }
}
