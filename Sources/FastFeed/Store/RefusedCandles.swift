// Closed candles whose key Redis refuses while it takes others (an ACL without that key, a slot of another node). They wait here, apart
// from the queue, so that nobody waits behind them; each series has a pause of its own. Then one candle asks: refused again, it comes
// back and the pause grows; taken, all others of its series follow. Bounded; beyond the bound a candle is refused for good. The
// sink's thread alone.

struct RefusedCandles {
    private struct Waiting {
        var candles: [CandleRecord] = []
        var dueNs: UInt64 = 0
        var backoff: Backoff
        /// One of them is on its way to Redis.
        var isAsking = false
    }

    /// By series id.
    private var series: [UInt32: Waiting] = [:]
    private(set) var count = 0
    private var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    /// No series is refused, as far as is known.
    var isEmpty: Bool { series.isEmpty }

    /// The id may not be given to another series.
    func mentions(_ id: UInt32) -> Bool { series[id]?.candles.isEmpty == false }

    /// False when there is no room.
    mutating func put(_ candle: CandleRecord, nowNs: UInt64) -> Bool {
        guard count < Limits.refusedCandlesMax else { return false }
        var waiting = series[candle.seriesID] ?? Waiting(backoff: Backoff(Limits.refusedKeyPauseMs, seed: random.next()))
        if waiting.candles.isEmpty || waiting.isAsking { waiting.dueNs = nowNs + waiting.backoff.nextDelayNs() }
        waiting.isAsking = false
        waiting.candles.append(candle)
        series[candle.seriesID] = waiting
        count += 1
        return true
    }

    /// When the next one asks; `.max` for never.
    var nextDueNs: UInt64 { series.values.reduce(.max) { $1.isAsking ? $0 : min($0, $1.dueNs) } }

    /// The next candle that is to ask, taken out.
    mutating func takeDue(nowNs: UInt64) -> CandleRecord? {
        let due = series.first { !$0.value.isAsking && !$0.value.candles.isEmpty && $0.value.dueNs <= nowNs }
        guard let id = due?.key else { return nil }
        series[id]!.isAsking = true
        count -= 1
        return series[id]!.candles.removeFirst()
    }

    /// Redis has taken a candle of this series, or refused it for good: those that have waited, taken out.
    mutating func takeAll(_ id: UInt32) -> [CandleRecord] {
        guard let waiting = series.removeValue(forKey: id) else { return [] }
        count -= waiting.candles.count
        return waiting.candles
    }

    /// Another server may take what this one has refused; and whoever ends asks once more.
    mutating func askNow() {
        for id in series.keys where !series[id]!.candles.isEmpty { (series[id]!.dueNs, series[id]!.isAsking) = (0, false) }
    }
}
