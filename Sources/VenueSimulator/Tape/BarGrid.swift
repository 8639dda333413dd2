// Where the bars of one stream are cut: an interval in a time zone, with the phase of three-day bars.
// Plain value, any thread.

import FastFeed

struct BarGrid: Hashable, Sendable {
    let interval: Interval
    /// Local time minus UTC; bars are cut at local boundaries while all instants stay UTC.
    let offsetMs: Int64
    /// Open of any three-day bar, at local midnight.
    let anchorMs: Int64

    init(_ interval: Interval, offsetMs: Int64 = 0, anchorMs: Int64 = 0) {
        self.interval = interval
        self.offsetMs = offsetMs
        self.anchorMs = anchorMs
    }

    func openTime(containing instantMs: Int64) -> Int64 {
        interval.openTime(containing: instantMs + offsetMs, anchorMs: anchorMs) - offsetMs
    }

    func nextOpen(after openMs: Int64) -> Int64 {
        interval.nextOpenTime(after: openMs + offsetMs) - offsetMs
    }

    func previousOpen(before openMs: Int64) -> Int64 { openTime(containing: openMs - 1) }
}

/// A bar: where it lies and what was traded in it. Empty bars carry the previous close.
struct Bar: Equatable, Sendable {
    let openTimeMs: Int64
    /// Open of the bar after it.
    let nextOpenMs: Int64
    let sum: TradeSum

    var closeTimeMs: Int64 { nextOpenMs - 1 }
}
