// The exchange's truth as it left it at its end: some hundred bytes a candle, millions of candles. The file is mapped,
// its lines are found once, and only the lines of the series in hand are decoded. One thread.

import FastFeed
import Foundation
import VenueSimulator

struct TruthFile {
    private let data: Data
    /// Lines of closed candles by the part of the line that names the series.
    private var lines: [String: [Range<Int>]] = [:]
    private(set) var latest: [LatestState] = []

    init(_ url: URL) throws {
        data = try Data(contentsOf: url, options: .mappedIfSafe)
        var start = 0
        while start < data.count {
            let end = TruthFile.lineEnd(data, from: start)
            let line = start..<end
            let name = TruthFile.name(data[line.prefix(120)])
            if name.hasPrefix("{\"stream\"") {
                let (series, line) = try candle(line)
                latest.append(LatestState(stream: line.stream ?? "", series: series, candle: line.record(series)))
            } else {
                lines[name, default: []].append(line)
            }
            start = end + 1
        }
    }

    /// The closed candles of one series after the other, in the order they were announced.
    func forEachSeries(_ body: (Series, [ClosedCandle]) throws -> Void) throws {
        for name in lines.keys.sorted() {
            let candles = try lines[name]!.map { place in
                let (series, line) = try candle(place)
                return ClosedCandle(series: series, candle: line.record(series), delivered: line.delivered ?? false)
            }
            try body(candles[0].series, candles)
        }
    }

    private func candle(_ place: Range<Int>) throws -> (Series, Line) {
        let line = try JSONDecoder().decode(Line.self, from: data[place])
        guard let market = Market(rawValue: line.market), let symbol = Symbol(line.symbol), let interval = Interval(token: line.interval)
        else { throw FeedError(.venue, "a line of the truth of no series: \(line)") }
        return (Series(market: market, symbol: symbol, interval: interval), line)
    }

    /// A closed candle, or the newest state of a stream.
    private struct Line: Decodable {
        let market, symbol, interval: String
        let openTime, closeTime, eventTime: Int64
        let open, high, low, close, volume, quoteVolume, takerBuyVolume, takerBuyQuoteVolume: String
        let firstTradeId, lastTradeId, trades: Int64
        /// Of a closed candle: its frame reached us.
        let delivered: Bool?
        /// Of a newest state.
        let stream: String?
        let closed: Bool?

        func record(_ series: Series) -> CandleRecord {
            var record = CandleRecord()
            (record.intervalCode, record.isClosed, record.source) = (series.interval.rawValue, closed ?? true, .live)
            (record.openTimeMs, record.closeTimeMs, record.eventTimeMs) = (openTime, closeTime, eventTime)
            (record.firstTradeID, record.lastTradeID, record.tradeCount) = (firstTradeId, lastTradeId, trades)
            let texts: [(WritableKeyPath<CandleRecord, DecimalText>, String)] = [
                (\.open, open), (\.high, high), (\.low, low), (\.close, close), (\.volume, volume), (\.quoteVolume, quoteVolume),
                (\.takerBuyVolume, takerBuyVolume), (\.takerBuyQuoteVolume, takerBuyQuoteVolume),
            ]
            for (part, text) in texts { record[keyPath: part] = DecimalText(text)! }
            return record
        }
    }

    /// Market, symbol and interval come first in a line.
    private static func name(_ head: Data) -> String {
        let parts = String(decoding: head, as: UTF8.self).split(separator: ",", maxSplits: 3)
        return parts.prefix(3).joined(separator: ",")
    }

    private static func lineEnd(_ data: Data, from start: Int) -> Int {
        unsafe data.withUnsafeBytes { bytes in
            guard let found = unsafe memchr(bytes.baseAddress! + start, 10, bytes.count - start) else { return bytes.count }
            return unsafe UnsafeRawPointer(found) - bytes.baseAddress!
        }
    }
}
