// Kline events as the exchange words them, into one reused buffer: an event is encoded once for each time
// unit in use and then copied to every subscriber. Nothing is allocated per event.
//
// A combined event is the bare one inside a wrapper, so one encoding holds both: the bare text is a part
// of the combined one.

package import FastFeed

/// Unit of all times of a connection.
package enum TimeUnit: Sendable {
    case millisecond, microsecond
}

/// A bar's state at one moment, ready to be written down.
package struct KlineState: BitwiseCopyable {
    package let eventTimeMs: Int64
    package let openTimeMs: Int64
    package let nextOpenMs: Int64
    package let isClosed: Bool
    package let sum: TradeSum

    package init(eventTimeMs: Int64, openTimeMs: Int64, nextOpenMs: Int64, isClosed: Bool, sum: TradeSum) {
        (self.eventTimeMs, self.openTimeMs, self.nextOpenMs) = (eventTimeMs, openTimeMs, nextOpenMs)
        (self.isClosed, self.sum) = (isClosed, sum)
    }
}

/// How many digits a symbol's values carry, in its integers and on the wire; and how a bar's members are set apart.
package struct ValueFormat: BitwiseCopyable, Sendable {
    package let priceScale: Int
    package let quantityScale: Int
    package let quoteScale: Int
    package let priceDigits: Int
    package let quantityDigits: Int
    package let quoteDigits: Int
    package let isSpaced: Bool

    /// Spot writes eight digits everywhere and no space; futures the symbol's own precision, and a space behind the commas inside `k`
    /// (recorded by seven people, 2025 and 2026).
    package init(_ spec: SymbolSpec, market: Market) {
        (priceScale, quantityScale, quoteScale) = (spec.priceDecimals, spec.quantityDecimals, spec.quoteDecimals)
        switch market {
        case .spot: (priceDigits, quantityDigits, quoteDigits) = (8, 8, 8)
        case .um: (priceDigits, quantityDigits, quoteDigits) = (priceScale, quantityScale, quoteScale)
        }
        isSpaced = market == .um
    }
}

/// The unchanging text of a stream's events, rendered once.
@safe package struct StreamTemplate: ~Copyable {
    private let text: UnsafeMutablePointer<UInt8>
    private let byteCount: Int
    /// Where the parts end: wrapper, head up to the event time, up to the open time, up to the first id.
    fileprivate let wrapperEnd: Int
    fileprivate let headEnd: Int
    fileprivate let symbolEnd: Int
    package let format: ValueFormat

    package init(streamName: String, symbol: String, interval: Interval, format: ValueFormat) {
        let comma = format.isSpaced ? ", " : ","
        let parts = [
            "{\"stream\":\"\(streamName)\",\"data\":",
            "{\"e\":\"kline\",\"E\":",
            ",\"s\":\"\(symbol)\",\"k\":{\"t\":",
            "\(comma)\"s\":\"\(symbol)\"\(comma)\"i\":\"\(interval.token)\"\(comma)\"f\":",
        ].map { Array($0.utf8) }
        let bytes = parts.flatMap { $0 }
        precondition(bytes.count <= KlineEncoder.templateBytesMax, "stream name is too long")
        byteCount = bytes.count
        unsafe text = .allocate(capacity: bytes.count)
        for (offset, byte) in bytes.enumerated() { unsafe (text + offset).initialize(to: byte) }
        wrapperEnd = parts[0].count
        headEnd = wrapperEnd + parts[1].count
        symbolEnd = headEnd + parts[2].count
        self.format = format
    }

    deinit { unsafe text.deallocate() }

    @inline(__always)
    fileprivate func write(from start: Int, until end: Int, to writer: inout TextWriter) {
        unsafe writer.copy(text + start, count: end &- start)
    }

    @inline(__always)
    fileprivate func writeTail(to writer: inout TextWriter) { write(from: symbolEnd, until: byteCount, to: &writer) }
}

/// The buffer events are written into. One thread.
@safe package struct KlineEncoder: ~Copyable {
    package static let templateBytesMax = 512
    /// Template, 15 numbers of at most 40 bytes, the keys between them.
    package static let frameBytesMax = 2_048

    private let start: UnsafeMutablePointer<UInt8>
    private var wrappedCount = 0
    private var bareStart = 0

    package init() { unsafe start = .allocate(capacity: KlineEncoder.frameBytesMax) }

    deinit { unsafe start.deallocate() }

    /// The last event with its `{"stream":…,"data":…}` wrapper.
    package var wrapped: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(start), byteCount: wrappedCount)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// The last event alone.
    package var bare: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(start + bareStart), byteCount: wrappedCount - bareStart - 1)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// Writes an event; read it from `wrapped` or `bare` before the next call. Key order as on the wire.
    package mutating func encode(_ state: KlineState, in unit: TimeUnit, as template: borrowing StreamTemplate) {
        let (perMs, format, sum): (Int64, ValueFormat, TradeSum) =
            (unit == .millisecond ? 1 : 1_000, template.format, state.sum)
        let spaced = format.isSpaced
        var writer = unsafe TextWriter(at: start)
        template.write(from: 0, until: template.headEnd, to: &writer)
        writer.integer(state.eventTimeMs &* perMs)
        template.write(from: template.headEnd, until: template.symbolEnd, to: &writer)
        writer.integer(state.openTimeMs &* perMs)
        writer.literal(",\"T\":", ", \"T\":", spaced)
        // One unit before the next open: …999 or …999999.
        writer.integer(state.nextOpenMs &* perMs &- 1)
        template.writeTail(to: &writer)
        writer.integer(sum.firstID)
        writer.literal(",\"L\":", ", \"L\":", spaced)
        writer.integer(sum.lastID)
        writer.literal(",\"o\":\"", ", \"o\":\"", spaced)
        writer.decimal(sum.open, scale: format.priceScale, digits: format.priceDigits)
        writer.literal("\",\"c\":\"", "\", \"c\":\"", spaced)
        writer.decimal(sum.close, scale: format.priceScale, digits: format.priceDigits)
        writer.literal("\",\"h\":\"", "\", \"h\":\"", spaced)
        writer.decimal(sum.high, scale: format.priceScale, digits: format.priceDigits)
        writer.literal("\",\"l\":\"", "\", \"l\":\"", spaced)
        writer.decimal(sum.low, scale: format.priceScale, digits: format.priceDigits)
        writer.literal("\",\"v\":\"", "\", \"v\":\"", spaced)
        writer.decimal(sum.volume, scale: format.quantityScale, digits: format.quantityDigits)
        writer.literal("\",\"n\":", "\", \"n\":", spaced)
        writer.integer(sum.count)
        writer.literal(",\"x\":", ", \"x\":", spaced)
        if state.isClosed { writer.literal("true") } else { writer.literal("false") }
        writer.literal(",\"q\":\"", ", \"q\":\"", spaced)
        writer.decimal(sum.quoteVolume, scale: format.quoteScale, digits: format.quoteDigits)
        writer.literal("\",\"V\":\"", "\", \"V\":\"", spaced)
        writer.decimal(sum.takerBuyVolume, scale: format.quantityScale, digits: format.quantityDigits)
        writer.literal("\",\"Q\":\"", "\", \"Q\":\"", spaced)
        writer.decimal(sum.takerBuyQuoteVolume, scale: format.quoteScale, digits: format.quoteDigits)
        writer.literal("\",\"B\":\"0\"}}}", "\", \"B\":\"0\"}}}", spaced)
        bareStart = template.wrapperEnd
        wrappedCount = unsafe writer.count(from: start)
    }
}
