// What the exchange has of its bars whoever heard of them: what REST would answer, with the trade ids that only streams tell. The judge of a
// history that was healed asks for these; the truth log knows only what was announced, or due to somebody. The simulator's thread.

import FastFeed

extension PushEngine {
    /// Every bar that has ended, of each stream that was ever wanted (but for those of other time zones), oldest first within a stream.
    /// Bars in a time without trading do not exist, and what a delisting has cut was never closed.
    /// - Parameter fromMs: not before; nil: from the first one that was announced or due on the stream.
    package mutating func exchangeCandles(fromMs: Int64? = nil) -> [ClosedCandle] {
        var candles: [ClosedCandle] = []
        forEachExchangeCandle(fromMs: fromMs) { candles.append($0) }
        return candles
    }

    /// The same one by one: of hours of many streams they are too many to hold.
    mutating func forEachExchangeCandle(fromMs: Int64? = nil, _ body: (ClosedCandle) -> Void) {
        var announced: [Int32: [Int64: Int]] = [:]
        for position in 0..<truth.count {
            let entry = truth.entry(at: position)
            announced[entry.stream, default: [:]][entry.state.openTimeMs] = position
        }
        for stream in 0..<streamCount where streams[stream].offsetMs == 0 {
            let positions = announced[Int32(stream)] ?? [:]
            guard let fromMs = fromMs ?? positions.keys.min() else { continue }
            let (series, _, format) = series(ofStream: stream)
            for bar in endedBars(ofStream: stream, fromMs: fromMs) {
                let entry = positions[bar.openTimeMs].map { truth.entry(at: $0) }
                let state =
                    entry?.state
                    ?? KlineState(
                        eventTimeMs: bar.nextOpenMs, openTimeMs: bar.openTimeMs, nextOpenMs: bar.nextOpenMs, isClosed: true, sum: bar.sum)
                body(
                    ClosedCandle(
                        series: series, candle: state.candle(interval: series.interval, format: format),
                        delivered: entry.map { $0.deliveries > 0 } ?? false))
            }
        }
    }

    private mutating func endedBars(ofStream stream: Int, fromMs: Int64) -> [Bar] {
        let symbol = streams[stream].symbolIndex
        let grid = grid(symbolIndex: symbol, interval: streams[stream].interval, offsetMs: 0)
        let isListed = calendar.states[symbol] != .unlisted
        let endMs = isListed ? nowMs : histories[symbol].pauses.current?.fromMs ?? nowMs
        let range = BarHistory.Range(fromMs: fromMs, throughMs: endMs, limit: .max)
        return histories[symbol].bars(on: grid, in: range, nowMs: endMs).filter { $0.nextOpenMs <= endMs }
    }
}
