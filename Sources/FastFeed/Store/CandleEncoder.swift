// A candle as bytes: the JSON object of `latest:*` and `updates:*`, and the XADD of its history entry. Field
// names and their order are the contract of DESIGN section 4.

enum CandleEncoder {
    /// The most bytes of one JSON object: names 300, head 90, eight decimals 248, six integers 120.
    static let jsonBytesMax = 800

    /// `{"symbol":…,"interval":…,"open_time":…,…,"closed":…,"event_time":…}`
    @inline(__always)
    static func putJSON(_ candle: UnsafePointer<Candle>, head: UnsafeBufferPointer<UInt8>, revision: Int64 = 0, to out: inout ByteWriter) {
        out.put(head)
        out.put("\"open_time\":")
        out.put(candle.pointee.openTimeMs)
        out.put(",\"open\":\"")
        out.put(candle.pointee.open)
        out.put("\",\"high\":\"")
        out.put(candle.pointee.high)
        out.put("\",\"low\":\"")
        out.put(candle.pointee.low)
        out.put("\",\"close\":\"")
        out.put(candle.pointee.close)
        out.put("\",\"volume\":\"")
        out.put(candle.pointee.volume)
        out.put("\",\"close_time\":")
        out.put(candle.pointee.closeTimeMs)
        out.put(",\"quote_volume\":\"")
        out.put(candle.pointee.quoteVolume)
        out.put("\",\"count\":")
        out.put(candle.pointee.tradeCount)
        out.put(",\"taker_buy_volume\":\"")
        out.put(candle.pointee.takerBuyVolume)
        out.put("\",\"taker_buy_quote_volume\":\"")
        out.put(candle.pointee.takerBuyQuoteVolume)
        out.put("\",\"first_trade_id\":")
        out.put(candle.pointee.firstTradeID)
        out.put(",\"last_trade_id\":")
        out.put(candle.pointee.lastTradeID)
        switch candle.pointee.source {
        case .live: out.put(",\"source\":\"live\",\"revision\":")
        case .backfill: out.put(",\"source\":\"backfill\",\"revision\":")
        case .built: out.put(",\"source\":\"built\",\"revision\":")
        }
        out.put(revision)
        if candle.pointee.isClosed { out.put(",\"closed\":true,\"event_time\":") } else { out.put(",\"closed\":false,\"event_time\":") }
        out.put(candle.pointee.eventTimeMs)
        out.put(UInt8(ascii: "}"))
    }

    /// The cheap common case: append as the newest entry, `<open time>-0`.
    static func putAppend(_ candle: UnsafePointer<Candle>, _ text: SeriesText, to out: inout ByteWriter) {
        out.put(text.append)
        out.putBulkHead(DigitWriter.digitCount(candle.pointee.openTimeMs.magnitude) + 2)
        out.put(candle.pointee.openTimeMs)
        out.put("-0\r\n")
        putFields(candle, to: &out)
    }

    /// The fourteen fields as name and value bulk strings.
    static func putFields(_ candle: UnsafePointer<Candle>, to out: inout ByteWriter) {
        out.putBulk("open")
        out.putBulk(candle.pointee.open)
        out.putBulk("high")
        out.putBulk(candle.pointee.high)
        out.putBulk("low")
        out.putBulk(candle.pointee.low)
        out.putBulk("close")
        out.putBulk(candle.pointee.close)
        out.putBulk("volume")
        out.putBulk(candle.pointee.volume)
        out.putBulk("close_time")
        out.putBulk(candle.pointee.closeTimeMs)
        out.putBulk("quote_volume")
        out.putBulk(candle.pointee.quoteVolume)
        out.putBulk("count")
        out.putBulk(candle.pointee.tradeCount)
        out.putBulk("taker_buy_volume")
        out.putBulk(candle.pointee.takerBuyVolume)
        out.putBulk("taker_buy_quote_volume")
        out.putBulk(candle.pointee.takerBuyQuoteVolume)
        out.putBulk("first_trade_id")
        out.putBulk(candle.pointee.firstTradeID)
        out.putBulk("last_trade_id")
        out.putBulk(candle.pointee.lastTradeID)
        out.putBulk("source")
        switch candle.pointee.source {
        case .live: out.putBulk("live")
        case .backfill: out.putBulk("backfill")
        case .built: out.putBulk("built")
        }
        out.putBulk("revision")
        out.putBulk(Int64(0))
    }
}
