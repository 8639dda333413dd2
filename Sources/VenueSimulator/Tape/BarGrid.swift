// Where the bars of one stream are cut: an interval in a time zone, with the phase of three-day bars.
// Plain value, any thread.

package import FastFeed

package struct BarGrid: Hashable, Sendable {
    package let interval: Interval
    /// Local time minus UTC; bars are cut at local boundaries while all instants stay UTC.
    package let offsetMs: Int64
    /// Open of any three-day bar, at local midnight.
    package let anchorMs: Int64

    package init(_ interval: Interval, offsetMs: Int64 = 0, anchorMs: Int64 = 0) {
        self.interval = interval
        self.offsetMs = offsetMs
        self.anchorMs = anchorMs
    }

    package func openTime(containing instantMs: Int64) -> Int64 {
        interval.openTime(containing: instantMs + offsetMs, anchorMs: anchorMs) - offsetMs
    }

    package func nextOpen(after openMs: Int64) -> Int64 {
        interval.nextOpenTime(after: openMs + offsetMs) - offsetMs
    }

    package func previousOpen(before openMs: Int64) -> Int64 { openTime(containing: openMs - 1) }
}

/// A bar: where it lies and what was traded in it. Empty bars carry the previous close.
package struct Bar: Equatable, Sendable {
    package let openTimeMs: Int64
    /// Open of the bar after it.
    package let nextOpenMs: Int64
    package let sum: TradeSum

    package var closeTimeMs: Int64 { nextOpenMs - 1 }
}
