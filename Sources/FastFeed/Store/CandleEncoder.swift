// A candle as bytes: the JSON object of `latest:*` and `updates:*`, and the XADD of its history entry. Field
// names and their order are those of Contract/CandleFields. The sink's thread alone.

package enum CandleEncoder: RecordEncoder {
    /// The most bytes of one JSON object: names 300, head 90, eight decimals 248, six integers 120.
    package static let jsonBytesMax = 800

    /// `{"symbol":…,"interval":…,"open_time":…,…,"closed":…,"event_time":…}`
    @inline(__always)
    package static func putJSON(_ candle: Lent<CandleRecord>, head: TextPiece, to out: inout ByteWriter) {
        out.put(head)
        out.put("\"open_time\":")
        out.put(candle.openTimeMs)
        out.put(",\"open\":\"")
        out.put(candle.open)
        out.put("\",\"high\":\"")
        out.put(candle.high)
        out.put("\",\"low\":\"")
        out.put(candle.low)
        out.put("\",\"close\":\"")
        out.put(candle.close)
        out.put("\",\"volume\":\"")
        out.put(candle.volume)
        out.put("\",\"close_time\":")
        out.put(candle.closeTimeMs)
        out.put(",\"quote_volume\":\"")
        out.put(candle.quoteVolume)
        out.put("\",\"count\":")
        out.put(candle.tradeCount)
        out.put(",\"taker_buy_volume\":\"")
        out.put(candle.takerBuyVolume)
        out.put("\",\"taker_buy_quote_volume\":\"")
        out.put(candle.takerBuyQuoteVolume)
        out.put("\",\"first_trade_id\":")
        out.put(candle.firstTradeID)
        out.put(",\"last_trade_id\":")
        out.put(candle.lastTradeID)
        switch candle.source {
        case .live: out.put(",\"source\":\"live\",\"revision\":0")
        case .backfill: out.put(",\"source\":\"backfill\",\"revision\":0")
        case .built: out.put(",\"source\":\"built\",\"revision\":0")
        }
        if candle.isClosed {
            out.put(",\"closed\":true,\"event_time\":")
        } else {
            out.put(",\"closed\":false,\"event_time\":")
        }
        out.put(candle.eventTimeMs)
        out.put(UInt8(ascii: "}"))
    }

    /// The cheap common case: append as the newest entry, `<open time>-0`.
    package static func putAppend(_ candle: Lent<CandleRecord>, _ text: SeriesText, to out: inout ByteWriter) {
        out.put(text.append)
        out.putBulkHead(DigitWriter.digitCount(candle.openTimeMs.magnitude) + 2)
        out.put(candle.openTimeMs)
        out.put("-0\r\n")
        putFields(candle, to: &out)
    }

    /// The fourteen fields as name and value bulk strings.
    static func putFields(_ candle: Lent<CandleRecord>, to out: inout ByteWriter) {
        put(candle, withNames: true, to: &out)
    }

    /// The fourteen values alone, as bulk strings: what the merge script takes.
    static func putValues(_ candle: Lent<CandleRecord>, to out: inout ByteWriter) {
        put(candle, withNames: false, to: &out)
    }

    @inline(__always)
    private static func put(_ candle: Lent<CandleRecord>, withNames: Bool, to out: inout ByteWriter) {
        if withNames { out.putBulk("open") }
        out.putBulk(candle.open)
        if withNames { out.putBulk("high") }
        out.putBulk(candle.high)
        if withNames { out.putBulk("low") }
        out.putBulk(candle.low)
        if withNames { out.putBulk("close") }
        out.putBulk(candle.close)
        if withNames { out.putBulk("volume") }
        out.putBulk(candle.volume)
        if withNames { out.putBulk("close_time") }
        out.putBulk(candle.closeTimeMs)
        if withNames { out.putBulk("quote_volume") }
        out.putBulk(candle.quoteVolume)
        if withNames { out.putBulk("count") }
        out.putBulk(candle.tradeCount)
        if withNames { out.putBulk("taker_buy_volume") }
        out.putBulk(candle.takerBuyVolume)
        if withNames { out.putBulk("taker_buy_quote_volume") }
        out.putBulk(candle.takerBuyQuoteVolume)
        if withNames { out.putBulk("first_trade_id") }
        out.putBulk(candle.firstTradeID)
        if withNames { out.putBulk("last_trade_id") }
        out.putBulk(candle.lastTradeID)
        if withNames { out.putBulk("source") }
        switch candle.source {
        case .live: out.putBulk("live")
        case .backfill: out.putBulk("backfill")
        case .built: out.putBulk("built")
        }
        if withNames { out.putBulk("revision") }
        out.putBulk(Int64(0))
    }
}
