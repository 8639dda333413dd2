// When each stream is due: a wheel of one-millisecond slots, intrusive lists of stream indexes. One thread.
//
// Every stream has at most one entry. A time beyond the wheel's turn is put at its far end and looked at
// again there, so any distance is allowed and insertion never searches.

struct TimerWheel {
    static let slotCount = 4_096
    private static let none: Int32 = -1

    /// The slot being served; nothing before it is pending.
    private(set) var nowMs: Int64
    private(set) var pendingCount = 0
    private var heads: [Int32]
    private var nextInSlot: [Int32] = []
    private var dueMs: [Int64] = []

    init(startMs: Int64) {
        nowMs = startMs
        heads = Array(repeating: TimerWheel.none, count: TimerWheel.slotCount)
    }

    /// Sets an index that is not pending. A time in the past is due now.
    mutating func insert(_ index: Int, atMs timeMs: Int64) {
        while dueMs.count <= index {
            dueMs.append(0)
            nextInSlot.append(TimerWheel.none)
        }
        dueMs[index] = timeMs
        pendingCount += 1
        link(index)
    }

    /// An index that is due at `nowMs`, or nil when the slot is served.
    mutating func popDue() -> Int? {
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
        return nil
    }

    /// Moves on by a slot; the present one must be empty.
    mutating func tick() { nowMs += 1 }

    /// Moves on without looking at slots; only when nothing is pending.
    mutating func skip(toMs timeMs: Int64) {
        precondition(pendingCount == 0, "pending entries would be passed over")
        nowMs = max(nowMs, timeMs)
    }

    private mutating func link(_ index: Int) {
        let farthest = nowMs + Int64(TimerWheel.slotCount) - 1
        let slot = Int(min(max(dueMs[index], nowMs), farthest)) & (TimerWheel.slotCount - 1)
        nextInSlot[index] = heads[slot]
        heads[slot] = Int32(index)
    }
}
