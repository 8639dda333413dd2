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
        out.putBulk("open")
        unsafe out.putBulk(candle.pointee.open)
        out.putBulk("high")
        unsafe out.putBulk(candle.pointee.high)
        out.putBulk("low")
        unsafe out.putBulk(candle.pointee.low)
        out.putBulk("close")
        unsafe out.putBulk(candle.pointee.close)
        out.putBulk("volume")
        unsafe out.putBulk(candle.pointee.volume)
        out.putBulk("close_time")
        unsafe out.putBulk(candle.pointee.closeTimeMs)
        out.putBulk("quote_volume")
        unsafe out.putBulk(candle.pointee.quoteVolume)
        out.putBulk("count")
        unsafe out.putBulk(candle.pointee.tradeCount)
        out.putBulk("taker_buy_volume")
        unsafe out.putBulk(candle.pointee.takerBuyVolume)
        out.putBulk("taker_buy_quote_volume")
        unsafe out.putBulk(candle.pointee.takerBuyQuoteVolume)
        out.putBulk("first_trade_id")
        unsafe out.putBulk(candle.pointee.firstTradeID)
        out.putBulk("last_trade_id")
        unsafe out.putBulk(candle.pointee.lastTradeID)
        out.putBulk("source")
        switch unsafe candle.pointee.source {
        case .live: out.putBulk("live")
        case .backfill: out.putBulk("backfill")
        case .built: out.putBulk("built")
        }
        out.putBulk("revision")
        out.putBulk(Int64(0))
    }

    /// The fourteen values alone, as bulk strings: what the merge script takes.
    static func putValues(_ candle: UnsafePointer<CandleRecord>, to out: inout ByteWriter) {
        unsafe out.putBulk(candle.pointee.open)
        unsafe out.putBulk(candle.pointee.high)
        unsafe out.putBulk(candle.pointee.low)
        unsafe out.putBulk(candle.pointee.close)
        unsafe out.putBulk(candle.pointee.volume)
        unsafe out.putBulk(candle.pointee.closeTimeMs)
        unsafe out.putBulk(candle.pointee.quoteVolume)
        unsafe out.putBulk(candle.pointee.tradeCount)
        unsafe out.putBulk(candle.pointee.takerBuyVolume)
        unsafe out.putBulk(candle.pointee.takerBuyQuoteVolume)
        unsafe out.putBulk(candle.pointee.firstTradeID)
        unsafe out.putBulk(candle.pointee.lastTradeID)
        unsafe RESP.bulk(candle.pointee.source.name).withUnsafeBufferPointer { unsafe out.put($0) }
        out.putBulk(Int64(0))
    }
}
