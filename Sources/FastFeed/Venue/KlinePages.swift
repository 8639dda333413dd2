// One call for klines as a sequence of requests the exchange answers: pages by time. Pure.
//
// With a start the pages run forward from it, without one backward from the end or from now. A page is the last one
// when nothing can follow, never because it is short: the exchange may cut pages shorter than it says, and holes
// make short pages too. So an open end costs one more, empty, page.

package struct KlinePages: Sendable {
    package struct Page: Sendable, Equatable {
        package var startMs: Int64?
        package var endMs: Int64?
        package var limit: Int
    }

    private let interval: Interval
    private let pageLimit: Int
    private let endMs: Int64?
    /// Forward: the next page's start. Backward: its end; nil: the newest.
    private var cursorMs: Int64?
    private let isForward: Bool
    private var remaining: Int
    private var pagesLeft: Int
    /// Pages so far; each ascending.
    private var parts: [[CandleRecord]] = []
    package private(set) var isComplete = false

    package init(interval: Interval, startMs: Int64?, endMs: Int64?, limit: Int, pageLimit: Int) {
        self.interval = interval
        self.pageLimit = pageLimit
        self.endMs = endMs
        isForward = startMs != nil
        cursorMs = startMs ?? endMs
        remaining = limit
        // An exchange that hands out a candle at a time is not to be asked for ever.
        pagesLeft = 4 * ((limit + pageLimit - 1) / pageLimit) + 4
        if let startMs, let endMs, startMs > endMs { isComplete = true }
    }

    package var nextPage: Page {
        let limit = min(remaining, pageLimit)
        return isForward ? Page(startMs: cursorMs, endMs: endMs, limit: limit) : Page(startMs: nil, endMs: cursorMs, limit: limit)
    }

    /// Takes a page, ascending. Rows outside what was asked for are dropped: the exchange moves a start in the future
    /// to now. False: it makes no progress.
    package mutating func accept(_ rows: [CandleRecord], nowMs: Int64) -> Bool {
        var kept = rows[...]
        if isForward {
            kept = kept.drop { $0.openTimeMs < cursorMs! }
            if let endMs { kept = kept.prefix { $0.openTimeMs <= endMs } }
            kept = kept.prefix(remaining)
        } else {
            if let cursorMs { kept = kept.prefix { $0.openTimeMs <= cursorMs } }
            kept = kept.suffix(remaining)
        }
        guard let first = kept.first, let last = kept.last else {
            isComplete = true
            return true
        }
        parts.append(Array(kept))
        remaining -= kept.count
        pagesLeft -= 1
        if isForward {
            cursorMs = last.openTimeMs + 1
            isComplete = remaining == 0 || interval.nextOpenTime(after: last.openTimeMs) > min(endMs ?? .max, nowMs)
        } else {
            cursorMs = first.openTimeMs - 1
            isComplete = remaining == 0 || cursorMs! < 0
        }
        return isComplete || pagesLeft > 0
    }

    /// Everything, oldest first, each open time once.
    package var candles: [CandleRecord] { isForward ? Array(parts.joined()) : Array(parts.reversed().joined()) }
}
