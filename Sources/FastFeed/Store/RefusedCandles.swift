// Closed candles whose key Redis refuses while it takes others (an ACL without that key, a slot of another node). They wait here, apart
// from the queue, so that nobody waits behind them; each series has a pause of its own. Then one candle asks: refused again, it comes
// back and the pause grows; taken, all others of its series follow. Bounded by `Limits.refusedCandlesMax`; beyond, a candle is refused for
// good. The sink's thread alone.

package struct RefusedCandles {
    struct Waiting {
        var candles: [CandleRecord] = []
        var dueNs: UInt64 = 0
        var backoff: Backoff
        /// One of them is on its way to Redis.
        var isAsking = false
    }

    /// By series id.
    private(set) var series: [UInt32: Waiting] = [:]
    package internal(set) var count = 0
    /// No series asks before this; `.max` for never. May be too early, never too late.
    package private(set) var nextDueNs: UInt64 = .max
    private var random: SplitMix64

    package init(seed: UInt64) { random = SplitMix64(seed: seed) }

    /// No series is refused, as far as is known.
    package var isEmpty: Bool { series.isEmpty }

    /// The id may not be given to another series.
    package func mentions(_ id: UInt32) -> Bool { series[id]?.candles.isEmpty == false }

    /// False when there is no room.
    package mutating func put(_ candle: CandleRecord, nowNs: UInt64) -> Bool {
        let hasRoom = count < Limits.refusedCandlesMax
        // Without room, those of its series that have waited for its answer wait for a next one.
        guard hasRoom || series[candle.seriesID] != nil else { return false }
        var waiting = series[candle.seriesID] ?? Waiting(backoff: Backoff(Limits.refusedKeyPauseMs, seed: random.next()))
        if waiting.candles.isEmpty || waiting.isAsking { waiting.dueNs = nowNs + waiting.backoff.nextDelayNs() }
        waiting.isAsking = false
        if hasRoom {
            waiting.candles.append(candle)
            count += 1
        }
        series[candle.seriesID] = waiting.candles.isEmpty ? nil : waiting
        nextDueNs = min(nextDueNs, waiting.dueNs)
        return hasRoom
    }

    func openTimes(_ id: UInt32) -> [Int64] { series[id]?.candles.map(\.openTimeMs) ?? [] }

    /// The candles that are to ask, one of each series whose pause is over, taken out.
    package mutating func takeDue(nowNs: UInt64, most: Int) -> [CandleRecord] {
        guard nowNs >= nextDueNs && most > 0 else { return [] }
        var due: [CandleRecord] = []
        nextDueNs = .max
        // The same order in every run.
        for (id, waiting) in series.sorted(by: { $0.key < $1.key }) where !waiting.isAsking && !waiting.candles.isEmpty {
            if waiting.dueNs <= nowNs && due.count < most {
                series[id]!.isAsking = true
                due.append(series[id]!.candles.removeFirst())
            } else {
                nextDueNs = min(nextDueNs, waiting.dueNs)
            }
        }
        count -= due.count
        return due
    }

    /// A later word on a bar: what waits of it says the same from now on.
    package mutating func correct(_ candle: CandleRecord) {
        guard let waiting = series[candle.seriesID]?.candles else { return }
        for place in waiting.indices
        where waiting[place].openTimeMs == candle.openTimeMs && waiting[place].eventTimeMs < candle.eventTimeMs {
            series[candle.seriesID]!.candles[place] = candle
        }
    }

    /// Redis has taken a candle of this series, or refused it for good: those that have waited, taken out.
    package mutating func takeAll(_ id: UInt32) -> [CandleRecord] {
        guard let waiting = series.removeValue(forKey: id) else { return [] }
        count -= waiting.candles.count
        return waiting.candles
    }

    /// Another server may take what this one has refused; and whoever ends asks once more.
    package mutating func askNow() {
        for id in series.keys where !series[id]!.candles.isEmpty { (series[id]!.dueNs, series[id]!.isAsking) = (0, false) }
        nextDueNs = 0
    }
}
