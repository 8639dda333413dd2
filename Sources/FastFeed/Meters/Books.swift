// The books: what became of every kline message, as a sum of counters. Pure.

extension CounterSnapshot {
    /// Where a kline message may end, besides being refused as such (`rejected`); each ends in one of these, once.
    package static let ends: [CounterID] = [
        .duplicates, .coalesced, .candlesWritten, .redisRejected, .closedQueueOverflow, .staleGeneration, .closedWatched,
    ]
    /// Where a closed candle may end that was taken from the rings and was not a duplicate.
    package static let closedEnds: [CounterID] = [.closedWritten, .closedQueueOverflow, .closedRejected, .closedWatched]

    /// Kline messages received: all messages without notices.
    public var klinesReceived: UInt64 { self[.messagesReceived] &- self[.noticesReceived] }

    /// The law of the books, in messages:
    ///
    ///     messages + brought by the healer
    ///         = notices + rejected + duplicates + coalesced + written + refused by Redis + overflowed + stale
    ///         + left to another member of the group + unaccounted
    ///
    /// While the engine runs, what is unaccounted is under way: in a ring, in the table of newest states, in a queue, or in a batch
    /// that Redis has not acknowledged. (Banks are read one after the other, so that such a value may be off by what moved meanwhile,
    /// and below zero.) After a clean stop it is zero, exactly; anything else is a message lost or counted twice.
    public var unaccounted: Int64 {
        Int64(bitPattern: klinesReceived &+ self[.healRecords] &- rejected &- CounterSnapshot.ends.reduce(0) { $0 &+ self[$1] })
    }

    /// The same of closed candles, which never coalesce: received = written + overflowed + refused by Redis + left to another member
    /// + unaccounted. While the engine runs, this is `closedPending`; after a clean stop it is zero.
    public var closedUnaccounted: Int64 {
        Int64(bitPattern: self[.closedReceived] &- CounterSnapshot.closedEnds.reduce(0) { $0 &+ self[$1] })
    }

    /// Closed candles that were taken and will not be in Redis: pushed out of the full queue, or refused for good. Each is a gap. Status,
    /// reports, the last line and the exit code say this number.
    public var closedLost: UInt64 { self[.closedQueueOverflow] &+ self[.closedRejected] }

    /// Nothing is unaccounted: what holds after a clean stop.
    public var isBalanced: Bool { unaccounted == 0 && closedUnaccounted == 0 }

    /// Both books in a line, for people: the terms that are not zero.
    public var books: String {
        func sum(_ terms: [(String, UInt64)], _ rest: Int64) -> String {
            let named = terms.filter { $0.1 != 0 }.map { "\($0.1) \($0.0)" }
            return (named + (rest == 0 ? [] : ["\(rest) unaccounted"])).joined(separator: " + ")
        }
        let ends = CounterSnapshot.ends.map { ($0.name, self[$0]) }
        let closedEnds = CounterSnapshot.closedEnds.map { ($0.name, self[$0]) }
        let healed = self[.healRecords] == 0 ? "" : " + \(self[.healRecords]) healed"
        return "\(klinesReceived) klines\(healed) = \(sum([("rejected", rejected)] + ends, unaccounted)); "
            + "\(self[.closedReceived]) closed = \(sum(closedEnds, closedUnaccounted))"
    }
}
