// What is always so of the candles that wait for a hole. Tests and simulated worlds ask for it, the product never does. The sink's thread
// alone.

extension HeldCandles {
    /// The first invariant that does not hold, as a sentence; nil: all hold.
    package func checkInvariants() -> String? {
        var found = 0
        for (id, entry) in waiting {
            found += entry.candles.count
            if let wrong = LateCandle.disorder(entry.candles, of: id) { return "held candles: \(wrong)" }
            // Those who have found no room are looked at as soon as there is some.
            if entry.candles.isEmpty || crowded[id] != nil { continue }
            guard nextDueNs <= entry.sinceNs &+ holdNs else { return "held candles: series \(id) waits for longer than it may" }
        }
        guard count <= Limits.heldCandlesMax else { return "held candles: \(count) wait" }
        guard found == count else { return "held candles: \(count) counted, \(found) are there" }
        guard let lost = crowded.keys.first(where: { waiting[$0] == nil }) else { return nil }
        return "held candles: series \(lost) waits for room with nothing"
    }
}
