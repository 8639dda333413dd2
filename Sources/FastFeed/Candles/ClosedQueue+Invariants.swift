// What is always so of the queue of closed candles. Tests and simulated worlds ask for it, the product never does. The queue's own thread.

extension ClosedQueue {
    /// The first invariant that does not hold, as a sentence; nil: all hold.
    package func checkInvariants() -> String? {
        guard head <= sent && sent <= tail else { return "closed queue: head \(head), sent \(sent) and tail \(tail) are out of order" }
        guard room >= 0 else { return "closed queue: \(count) entries are more than there are cells" }
        var pending = 0
        var lastOpenMs: [SeriesHandle: Int64] = [:]
        for position in head..<tail {
            let (candle, state) = (lent(position), state(position))
            if state != .acknowledged { pending += 1 }
            // Or it would never be sent.
            if state == .pending && position < sent { return "closed queue: entry \(position) waits before what is sent (\(sent))" }
            let handle = SeriesHandle(id: candle.seriesID, generation: candle.generation)
            if let last = lastOpenMs.updateValue(candle.openTimeMs, forKey: handle), last >= candle.openTimeMs {
                return "closed queue: series \(handle.id): \(candle.openTimeMs) stands behind \(last)"
            }
        }
        guard pending == pendingCount else { return "closed queue: \(pendingCount) counted as pending, \(pending) are" }
        return nil
    }
}
