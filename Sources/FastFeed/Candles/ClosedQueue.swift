// Closed candles on their way to Redis, in the order they came: head (oldest unacknowledged) ≤ sent ≤ tail.
// Positions only grow; an entry leaves when everything before it is acknowledged. The memory is reserved for
// the bound (`Limits.closedQueueCountMax`, or the user's) and touched only as far as it is used. The sink's thread alone; `links`, `sent`
// and the entries' states are marks of the batch builder. An index is a masked position; one that the head has passed is not marked.

@safe package struct ClosedQueue: ~Copyable {
    package enum EntryState: UInt8 {
        /// Not acknowledged; to be appended.
        case pending = 0
        case acknowledged = 1
        /// An append is on its way.
        case sent = 2
        /// To be appended, and in the queue of one of the cluster's nodes.
        case assigned = 3
    }

    private let candles: MappedArray<CandleRecord>
    private let states: MappedArray<UInt8>
    /// Per entry: from `receivedNs` until it stood in the ring.
    private let parsedAfter: MappedArray<UInt32>
    /// Per entry: queue offset of the next closed candle of the same series in the batch being built.
    private let links: MappedArray<UInt32>
    private let mask: Int
    package private(set) var head = 0
    package private(set) var tail = 0
    /// Entries that are not acknowledged.
    package private(set) var pendingCount = 0
    /// Before this position nothing waits to be sent.
    package var sent = 0

    /// As many entries as a busy moment needs (0.7 MB).
    private static let busyCount = 2_048

    package init(capacity: Int) {
        precondition(capacity.nonzeroBitCount == 1)
        candles = MappedArray(zeroed: capacity)
        states = MappedArray(zeroed: capacity)
        parsedAfter = MappedArray(zeroed: capacity)
        links = MappedArray(zeroed: capacity)
        mask = capacity - 1
    }

    package var count: Int { tail - head }
    package var isFull: Bool { tail - head > mask }
    package var room: Int { mask + 1 - count }
    package var unsentCount: Int { tail - sent }

    package mutating func append(_ candle: Lent<CandleRecord>, parsedAfterNs: UInt32 = 0) {
        precondition(!isFull)
        if head == tail && head & mask > 1_024 { restart() }
        candles[tail & mask] = candle.value
        states[tail & mask] = EntryState.pending.rawValue
        parsedAfter[tail & mask] = parsedAfterNs
        tail += 1
        pendingCount += 1
    }

    /// A later word on a bar: what waits of the same bar, or must be sent once more, says the same from now on, so that it cannot come
    /// behind the correction with older values.
    package mutating func correct(_ candle: Lent<CandleRecord>) {
        for position in head..<tail {
            let known = candles.row(position & mask)
            if known.seriesID == candle.seriesID && known.openTimeMs == candle.openTimeMs { known.value = candle.value }
        }
    }

    /// Empty: begin again at the first cell, so that a long life touches no more memory than a busy moment.
    /// Positions still only grow: a reply to an entry that was sent twice must not find a new entry under its number.
    /// What an outage has touched goes back to the system.
    private mutating func restart() {
        if head & mask > ClosedQueue.busyCount {
            candles.discard(from: ClosedQueue.busyCount)
            states.discard(from: ClosedQueue.busyCount)
            parsedAfter.discard(from: ClosedQueue.busyCount)
            links.discard(from: ClosedQueue.busyCount)
        }
        let start = (tail + mask) & ~mask
        (head, tail, sent) = (start, start, start)
    }

    /// The candle of an entry.
    package subscript(position: Int) -> CandleRecord {
        @inline(__always)
        unsafeAddress { unsafe UnsafePointer(candles.row(position & mask).pointer) }
    }
    func lent(_ position: Int) -> Lent<CandleRecord> { candles.lent(position & mask) }
    package func parsedAfterNs(_ position: Int) -> UInt32 { parsedAfter[position & mask] }
    package func offset(_ position: Int) -> UInt32 { UInt32(position & mask) }
    package func lent(offset: UInt32) -> Lent<CandleRecord> { candles.lent(Int(offset)) }
    package func link(_ offset: UInt32) -> UInt32 { links[Int(offset)] }
    package func setLink(_ offset: UInt32, _ next: UInt32) { links[Int(offset)] = next }

    package func state(_ position: Int) -> EntryState { EntryState(rawValue: states[position & mask])! }

    package mutating func mark(_ position: Int, _ state: EntryState) {
        guard position >= head else { return }
        if state == .acknowledged && self.state(position) != .acknowledged { pendingCount -= 1 }
        states[position & mask] = state.rawValue
        if state == .pending { sent = min(sent, position) }
    }

    /// Nothing is on its way for this entry, and it is to be sent.
    package func isWaiting(_ position: Int) -> Bool {
        let state = state(position)
        return state == .pending || state == .assigned
    }

    /// What was sent for this entry came to nothing: it is to be sent again.
    package mutating func unsend(_ position: Int) {
        if position >= head && state(position) == .sent { mark(position, .pending) }
    }

    /// Lets go of everything acknowledged at the front.
    package mutating func advance() {
        while head < tail && states[head & mask] == EntryState.acknowledged.rawValue { head += 1 }
        sent = max(sent, head)
        assert(sent <= tail && pendingCount >= 0 && pendingCount <= count)
    }

    /// All that is unacknowledged is to be sent again.
    package mutating func rewind() { for position in head..<tail { unsend(position) } }

    /// The oldest entry, given up; the caller makes a gap of it.
    package mutating func dropOldest() -> CandleRecord {
        let candle = candles[head & mask]
        mark(head, .acknowledged)
        advance()
        return candle
    }
}
