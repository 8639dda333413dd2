// A candle as bytes: the JSON object of `latest:*` and `updates:*`, and the XADD of its history entry. Field
// names and their order are those of Contract/CandleFields. The sink's thread alone.

package enum CandleEncoder {
    /// The most bytes of one JSON object: names 300, head 90, eight decimals 248, six integers 120.
    package static let jsonBytesMax = 800

    /// `{"symbol":…,"interval":…,"open_time":…,…,"closed":…,"event_time":…}`
    @inline(__always)
    package static func putJSON(_ candle: UnsafePointer<CandleRecord>, head: UnsafeBufferPointer<UInt8>, to out: inout ByteWriter) {
        unsafe out.put(head)
        out.put("\"open_time\":")
        unsafe out.put(candle.pointee.openTimeMs)
        out.put(",\"open\":\"")
        unsafe out.put(candle.pointee.open)
        out.put("\",\"high\":\"")
        unsafe out.put(candle.pointee.high)
        out.put("\",\"low\":\"")
        unsafe out.put(candle.pointee.low)
        out.put("\",\"close\":\"")
        unsafe out.put(candle.pointee.close)
        out.put("\",\"volume\":\"")
        unsafe out.put(candle.pointee.volume)
        out.put("\",\"close_time\":")
        unsafe out.put(candle.pointee.closeTimeMs)
        out.put(",\"quote_volume\":\"")
        unsafe out.put(candle.pointee.quoteVolume)
        out.put("\",\"count\":")
        unsafe out.put(candle.pointee.tradeCount)
        out.put(",\"taker_buy_volume\":\"")
        unsafe out.put(candle.pointee.takerBuyVolume)
        out.put("\",\"taker_buy_quote_volume\":\"")
        unsafe out.put(candle.pointee.takerBuyQuoteVolume)
        out.put("\",\"first_trade_id\":")
        unsafe out.put(candle.pointee.firstTradeID)
        out.put(",\"last_trade_id\":")
        unsafe out.put(candle.pointee.lastTradeID)
        switch unsafe candle.pointee.source {
        case .live: out.put(",\"source\":\"live\",\"revision\":0")
        case .backfill: out.put(",\"source\":\"backfill\",\"revision\":0")
        case .built: out.put(",\"source\":\"built\",\"revision\":0")
        }
        if unsafe candle.pointee.isClosed {
            out.put(",\"closed\":true,\"event_time\":")
        } else {
            out.put(",\"closed\":false,\"event_time\":")
        }
        unsafe out.put(candle.pointee.eventTimeMs)
        out.put(UInt8(ascii: "}"))
    }

    /// The cheap common case: append as the newest entry, `<open time>-0`.
    package static func putAppend(_ candle: UnsafePointer<CandleRecord>, _ text: SeriesText, to out: inout ByteWriter) {
        unsafe out.put(text.append)
        unsafe out.putBulkHead(DigitWriter.digitCount(candle.pointee.openTimeMs.magnitude) + 2)
        unsafe out.put(candle.pointee.openTimeMs)
        out.put("-0\r\n")
        unsafe putFields(candle, to: &out)
    }

    /// The fourteen fields as name and value bulk strings.
    static func putFields(_ candle: UnsafePointer<CandleRecord>, to out: inout ByteWriter) {
        unsafe put(candle, withNames: true, to: &out)
    }

    /// The fourteen values alone, as bulk strings: what the merge script takes.
    static func putValues(_ candle: UnsafePointer<CandleRecord>, to out: inout ByteWriter) {
        unsafe put(candle, withNames: false, to: &out)
    }

    @inline(__always)
    private static func put(_ candle: UnsafePointer<CandleRecord>, withNames: Bool, to out: inout ByteWriter) {
        if withNames { out.putBulk("open") }
        unsafe out.putBulk(candle.pointee.open)
        if withNames { out.putBulk("high") }
        unsafe out.putBulk(candle.pointee.high)
        if withNames { out.putBulk("low") }
        unsafe out.putBulk(candle.pointee.low)
        if withNames { out.putBulk("close") }
        unsafe out.putBulk(candle.pointee.close)
        if withNames { out.putBulk("volume") }
        unsafe out.putBulk(candle.pointee.volume)
        if withNames { out.putBulk("close_time") }
        unsafe out.putBulk(candle.pointee.closeTimeMs)
        if withNames { out.putBulk("quote_volume") }
        unsafe out.putBulk(candle.pointee.quoteVolume)
        if withNames { out.putBulk("count") }
        unsafe out.putBulk(candle.pointee.tradeCount)
        if withNames { out.putBulk("taker_buy_volume") }
        unsafe out.putBulk(candle.pointee.takerBuyVolume)
        if withNames { out.putBulk("taker_buy_quote_volume") }
        unsafe out.putBulk(candle.pointee.takerBuyQuoteVolume)
        if withNames { out.putBulk("first_trade_id") }
        unsafe out.putBulk(candle.pointee.firstTradeID)
        if withNames { out.putBulk("last_trade_id") }
        unsafe out.putBulk(candle.pointee.lastTradeID)
        if withNames { out.putBulk("source") }
        switch unsafe candle.pointee.source {
        case .live: out.putBulk("live")
        case .backfill: out.putBulk("backfill")
        case .built: out.putBulk("built")
        }
        if withNames { out.putBulk("revision") }
        out.putBulk(Int64(0))
    }
}
