// The record that travels: parsed into a ring slot, kept per series, encoded for Redis.
// A plain value of 320 bytes (five cache lines), no references, layout pinned by a test.

/// One state of one candle: a kline event as it came, decimals as exact text, times in Unix milliseconds.
package struct CandleRecord: BitwiseCopyable, Sendable {
    /// Dense id of the series, the index of every table.
    package var seriesID: UInt32 = 0
    /// Which use of the id this is; a stopped series' late frames carry an older one.
    package var generation: UInt16 = 0
    /// Bit 0: closed. Bits 1–2: source.
    package var flags: UInt8 = 0
    /// `Interval.rawValue` of the series, as the parser read it.
    package var intervalRawValue: UInt8 = 0
    package var openTimeMs: Int64 = 0
    package var closeTimeMs: Int64 = 0
    /// When the exchange produced the message, Unix ms.
    package var eventTimeMs: Int64 = 0
    /// −1 when the bar has no trade.
    package var firstTradeID: Int64 = -1
    package var lastTradeID: Int64 = -1
    package var tradeCount: Int64 = 0
    /// Monotonic nanoseconds when our thread saw the socket readable. What the bytes waited in the kernel while the
    /// thread was busy is not in it.
    package var receivedNs: UInt64 = 0
    package var open = DecimalText()
    package var high = DecimalText()
    package var low = DecimalText()
    package var close = DecimalText()
    package var volume = DecimalText()
    package var quoteVolume = DecimalText()
    package var takerBuyVolume = DecimalText()
    package var takerBuyQuoteVolume = DecimalText()

    static let closedFlag: UInt8 = 1

    /// A record to be filled: trade ids are −1, all else is 0 or empty.
    package init() {}

    /// True once the bar is final.
    package var isClosed: Bool {
        @inline(__always) get { flags & CandleRecord.closedFlag != 0 }
        set { flags = newValue ? flags | CandleRecord.closedFlag : flags & ~CandleRecord.closedFlag }
    }

    package var source: CandleSource {
        get { CandleSource(rawValue: (flags &>> 1) & 3) ?? .live }
        set { flags = (flags & ~6) | (newValue.rawValue &<< 1) }
    }
}
