// When the last closed candle of a burst was acknowledged, as the engine's sink saw it. Main thread.

import FastFeed
import Foundation

extension WholeBenchmarks {
    /// So many closed candles were acknowledged, the newest of them at this instant.
    typealias Acks = (count: UInt64, newestNs: UInt64)

    /// Looks at the engine's books for a while. Only what two looks agree on counts: the count and the instant are two words.
    static func watchAcks(_ engine: Engine, seconds: Double) -> [Acks] {
        var seen: [Acks] = []
        var before: Acks = (0, 0)
        let endNs = MonotonicClock.nowNs() + UInt64(seconds * 1e9)
        while MonotonicClock.nowNs() < endNs {
            usleep(20_000)
            let now = engine.closedAcks
            if now == before && seen.last?.count != now.count { seen.append(now) }
            before = now
        }
        return seen
    }

    /// From the bars' end to the last acknowledgement of each burst, microseconds.
    /// - Parameter dueNs: the bursts' instants, a second apart.
    /// - Throws: when a burst was not through before the next one: then its last acknowledgement cannot be told.
    static func lastAcks(of dueNs: [UInt64], series: Int, _ seen: [Acks]) throws -> [Double] {
        try dueNs.enumerated().map { index, due in
            let earlier = seen.last { $0.newestNs < due }
            let last = seen.last { $0.newestNs < due + 1_000_000_000 }
            let count = (last?.count ?? 0) - (earlier?.count ?? 0)
            guard let last, count == UInt64(series) else {
                throw FeedError(.redis, "burst \(index + 1): \(count) of \(series) closed candles were acknowledged before the next one")
            }
            return Double(last.newestNs - due) / 1_000
        }
    }
}
