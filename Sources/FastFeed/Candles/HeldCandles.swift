// Closed candles that wait for a hole before them to be filled, so that a history grows in order. The sink's thread alone. Bounded by
// `Limits.heldCandlesMax` (then nothing waits any more; where the queue is full, too, because Redis is away, half of it goes, at the cost of the queue's oldest) and by time: a series waits for `holdNs` from its first candle on.

package struct LateCandle {
    package var record: CandleRecord
    /// From its `receivedNs` until it stood in the ring.
    package var parsedAfterNs: UInt32

    package init(_ record: CandleRecord, parsedAfterNs: UInt32 = 0) { (self.record, self.parsedAfterNs) = (record, parsedAfterNs) }
}

package struct HeldCandles {
    struct Waiting {
        /// Ascending by open time.
        var candles: [LateCandle] = []
        /// Since when one of them waits.
        var sinceNs: UInt64 = 0
        /// The healer has not looked at the history yet.
        var isUnchecked = false
    }

    private(set) var waiting: [UInt32: Waiting] = [:]
    /// Series whose candles wait for nothing but room in the queue: those before an open time.
    private(set) var crowded: [UInt32: Int64] = [:]
    /// Candles of all series.
    package private(set) var count = 0
    /// How long a series' candles may wait; 0: not at all.
    package var holdNs: UInt64 = 0
    /// Somebody heals, and the exchange can be asked.
    package var canHeal = false
    /// When the longest waiting series may wait no more.
    package private(set) var nextDueNs = UInt64.max
    /// The time of the present turn.
    package var nowNs: UInt64 = 0

    package init() {}

    var holds: Bool { holdNs > 0 && canHeal }
    var isEmpty: Bool { waiting.isEmpty }
    var ids: [UInt32] { waiting.keys.sorted() }

    subscript(id: UInt32) -> Waiting? { waiting[id] }

    /// A new series: its candles wait until the healer has looked.
    mutating func awaitCheck(_ id: UInt32) { waiting[id] = Waiting(isUnchecked: true) }

    /// A hole has been seen: what closes behind it waits.
    mutating func awaitHole(_ id: UInt32) { if waiting[id] == nil { waiting[id] = Waiting() } }

    mutating func noteChecked(_ id: UInt32) { waiting[id]?.isUnchecked = false }

    mutating func park(_ candle: LateCandle, _ id: UInt32) {
        var entry = waiting[id] ?? Waiting()
        if entry.candles.isEmpty {
            entry.sinceNs = nowNs
            nextDueNs = min(nextDueNs, nowNs &+ holdNs)
        }
        let place = (entry.candles.lastIndex { $0.record.openTimeMs <= candle.record.openTimeMs } ?? -1) + 1
        // A later word on the same bar goes behind the first.
        entry.candles.insert(candle, at: place)
        waiting[id] = entry
        count += 1
    }

    /// Those that open before the limit, `most` of them at most, taken out.
    mutating func take(_ id: UInt32, before limitMs: Int64, most: Int = .max) -> [LateCandle] {
        guard let entry = waiting[id] else { return [] }
        let free = entry.candles.prefix { $0.record.openTimeMs < limitMs }
        let taken = free.prefix(max(most, 0))
        if taken.count < free.count { crowded[id] = limitMs }
        guard !taken.isEmpty else { return [] }
        waiting[id]!.candles.removeFirst(taken.count)
        // A hole before the others has been filled: they wait for another.
        waiting[id]!.sinceNs = nowNs
        nextDueNs = min(nextDueNs, nowNs &+ holdNs)
        count -= taken.count
        return Array(taken)
    }

    /// Nothing of the series waits any more.
    mutating func end(_ id: UInt32) {
        if let entry = waiting.removeValue(forKey: id) { count -= entry.candles.count }
        crowded[id] = nil
        if waiting.isEmpty { nextDueNs = .max }
    }

    /// Takes the series whose candles wait for nothing but room in the queue.
    mutating func takeCrowded() -> [(id: UInt32, limitMs: Int64)] {
        defer { crowded = [:] }
        return crowded.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    var isCrowded: Bool { !crowded.isEmpty }

    /// Series whose candles have waited long enough.
    mutating func takeDue() -> [UInt32] {
        guard nowNs >= nextDueNs else { return [] }
        let due = waiting.filter { !$0.value.candles.isEmpty && nowNs &- $0.value.sinceNs >= holdNs }.map(\.key).sorted()
        nextDueNs = waiting.reduce(.max) { due.contains($1.key) || $1.value.candles.isEmpty ? $0 : min($0, $1.value.sinceNs &+ holdNs) }
        return due
    }
}
