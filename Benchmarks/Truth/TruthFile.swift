// The exchange's truth as it left it at its end: some hundred bytes a candle, millions of candles. The file is mapped,
// its lines are found once, and only the lines of the series in hand are decoded.

import FastFeed
import Foundation

/// A line of the truth: a closed candle, or the newest state of a stream.
struct TruthCandle: Decodable {
    let symbol, interval: String
    let openTime, closeTime, eventTime: Int64
    let open, high, low, close, volume, quoteVolume, takerBuyVolume, takerBuyQuoteVolume: String
    let firstTradeId, lastTradeId, trades: Int64
    /// Of a closed candle: its frame reached us.
    let delivered: Bool?
    /// Of a newest state.
    let closed: Bool?

    /// As the data contract has them in a history entry.
    var fields: [String: String] {
        [
            "open": open, "high": high, "low": low, "close": close, "volume": volume, "close_time": "\(closeTime)",
            "quote_volume": quoteVolume, "count": "\(trades)", "taker_buy_volume": takerBuyVolume,
            "taker_buy_quote_volume": takerBuyQuoteVolume, "first_trade_id": "\(firstTradeId)", "last_trade_id": "\(lastTradeId)",
            "source": "live", "revision": "0",
        ]
    }

    /// And in `latest:*`.
    var latestFields: [String: String] {
        let own = ["symbol": symbol, "interval": interval, "open_time": "\(openTime)", "event_time": "\(eventTime)"]
        return fields.merging(own) { $1 }
    }
}

struct TruthFile {
    private let data: Data
    /// Lines of closed candles by the part of the line that names the series.
    private var lines: [String: [Range<Int>]] = [:]
    private(set) var latest: [TruthCandle] = []
    private(set) var closedCount = 0

    init(_ url: URL) throws {
        data = try Data(contentsOf: url, options: .mappedIfSafe)
        var start = 0
        while start < data.count {
            let end = TruthFile.lineEnd(data, from: start)
            let line = start..<end
            let name = TruthFile.name(data[line.prefix(120)])
            if name.hasPrefix("{\"stream\"") {
                latest.append(try JSONDecoder().decode(TruthCandle.self, from: data[line]))
            } else {
                lines[name, default: []].append(line)
                closedCount += 1
            }
            start = end + 1
        }
    }

    /// The closed candles of one series after the other, in the order they were announced.
    func forEachSeries(_ body: ([TruthCandle]) throws -> Void) throws {
        let decoder = JSONDecoder()
        for name in lines.keys.sorted() {
            try body(lines[name]!.map { try decoder.decode(TruthCandle.self, from: data[$0]) })
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
