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
            let end = lineEnd(from: start)
            // Market, symbol and interval come first in a closed candle's line.
            let head = String(decoding: data[start..<min(end, start + 120)], as: UTF8.self)
            if head.hasPrefix("{\"stream\"") {
                latest.append(try LatestState(line: Array(data[start..<end])))
            } else {
                lines[head.split(separator: ",", maxSplits: 3).prefix(3).joined(separator: ","), default: []].append(start..<end)
            }
            start = end + 1
        }
    }

    /// The closed candles of one series after the other, in the order they were announced.
    func forEachSeries(_ body: (Series, [ClosedCandle]) throws -> Void) throws {
        for name in lines.keys.sorted() {
            let candles = try lines[name]!.map { try ClosedCandle(line: Array(data[$0])) }
            try body(candles[0].series, candles)
        }
    }

    private func lineEnd(from start: Int) -> Int {
        unsafe data.withUnsafeBytes { bytes in
            guard let found = unsafe memchr(bytes.baseAddress! + start, 10, bytes.count - start) else { return bytes.count }
            return unsafe UnsafeRawPointer(found) - bytes.baseAddress!
        }
    }
}
