// What is always so of the candles that wait because their key is refused. Tests and simulated worlds ask for it, the product never does.
// The sink's thread alone.

extension RefusedCandles {
    /// The first invariant that does not hold, as a sentence; nil: all hold.
    package func checkInvariants() -> String? {
        guard count <= Limits.refusedCandlesMax else { return "refused candles: \(count) are more than the bound" }
        var found = 0
        for (id, waiting) in series {
            found += waiting.candles.count
            guard waiting.candles.allSatisfy({ $0.seriesID == id }) else { return "refused candles: series \(id) has those of another" }
            if waiting.candles.isEmpty || waiting.isAsking { continue }
            guard nextDueNs <= waiting.dueNs else { return "refused candles: series \(id) waits for longer than its pause" }
        }
        return found == count ? nil : "refused candles: \(count) counted, \(found) are there"
    }

    /// Series of which a candle is on its way to ask.
    var asking: [UInt32] { series.filter { $0.value.isAsking }.map(\.key) }

    /// For a test: what the check must find. No other module can set the count.
    package mutating func miscount() { count += 1 }
}
