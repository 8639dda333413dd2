// What the sink knows of a series besides its newest candle: one cache line each, indexed by series id.
// The sink's thread alone. Holds the marks of the batch builder, too.

/// What is so of a series, bit by bit.
package struct SeriesFlags: OptionSet, BitwiseCopyable {
    package let rawValue: UInt8

    /// The series is followed; records for it are taken.
    static let active = SeriesFlags(rawValue: 1)
    /// There is a newest candle.
    static let known = SeriesFlags(rawValue: 2)
    /// The newest candle must be written to `latest:*` and published. (Always, and in no list, where another member of the group writes.)
    package static let dirty = SeriesFlags(rawValue: 4)
    /// The newest candle is a forming state that no write has taken yet; it counts as one record.
    static let formingPending = SeriesFlags(rawValue: 8)
    /// The newest candle is closed.
    static let newestClosed = SeriesFlags(rawValue: 16)
    /// Scratch of the batch being built: the series has a place in it already.
    static let inBatch = SeriesFlags(rawValue: 32)
    /// The newest candle is among the closed ones of the batch being built.
    static let newestIsChained = SeriesFlags(rawValue: 64)
    /// Closed candles of the series wait: for the healer to look at its history, or for a hole before them.
    static let held = SeriesFlags(rawValue: 128)

    @inline(__always)
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    // As the standard library's, but without a branch on what was there before.
    @inline(__always)
    mutating func insert(_ flags: SeriesFlags) { formUnion(flags) }
    @inline(__always)
    mutating func remove(_ flags: SeriesFlags) { subtract(flags) }
}

package struct SeriesState: BitwiseCopyable {
    /// Both times are the newest candle's.
    var openTimeMs: Int64 = 0
    var eventTimeMs: Int64 = 0
    var tradeCount: Int64 = 0
    /// Open time of the closed candle that must come next; what makes a hole visible.
    var nextClosedOpenMs: Int64 = 0
    /// Kline events since the last flush of this series.
    var updates: UInt32 = 0
    /// Scratch of the batch being built: first and last closed candle of this series in it (queue offsets).
    var batchClosedFirst: UInt32 = .max
    var batchClosedLast: UInt32 = .max
    /// Where the newest candle's JSON lies in the batch's scratch.
    var batchJSON: UInt32 = 0
    var batchJSONCount: UInt16 = 0
    var batchClosedCount: UInt16 = 0
    /// Closed candles known to be missing.
    var missing: UInt32 = 0
    var generation: UInt16 = 0
    package var flags: SeriesFlags = []
    var interval: UInt8 = 0
    /// Of the newest candle: from `receivedNs` until it stood in the ring, 4.3 s at most.
    var parsedAfterNs: UInt32 = 0
}

/// How a series stands. All zero while nothing has come.
package struct SeriesReport: Sendable, Equatable {
    package var eventTimeMs: Int64
    /// When the newest state was read from its socket (monotonic); 0 for never.
    package var receivedNs: UInt64
    package var closedCount: UInt64
    package var missingCount: UInt32
    /// Kline events that update messages have stood for.
    package var updateCount: UInt64 = 0
    /// Nothing is to come, because nobody trades it: the healer's finding, which the sink does not know.
    package var isQuiet = false

    package init(eventTimeMs: Int64 = 0, receivedNs: UInt64 = 0, closedCount: UInt64 = 0, missingCount: UInt32 = 0) {
        (self.eventTimeMs, self.receivedNs, self.closedCount, self.missingCount) = (eventTimeMs, receivedNs, closedCount, missingCount)
    }
}
