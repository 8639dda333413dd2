// What the exchange says about each series, made as time goes by, and kept: the truth of a run.

import FastFeed

/// One kline event: the complete state of a candle so far.
final class KlineState {
    let series: Int
    let openMs, closeMs, eventMs: Int64
    let count, firstTradeID, lastTradeID: Int64
    let isClosed: Bool
    var source = "live"
    /// open high low close volume quote_volume taker_buy_volume taker_buy_quote_volume
    let decimals: [String]

    init(
        series: Int, openMs: Int64, closeMs: Int64, eventMs: Int64, count: Int64, firstTradeID: Int64, lastTradeID: Int64,
        isClosed: Bool, decimals: [String]
    ) {
        self.series = series
        self.openMs = openMs
        self.closeMs = closeMs
        self.eventMs = eventMs
        self.count = count
        self.firstTradeID = firstTradeID
        self.lastTradeID = lastTradeID
        self.isClosed = isClosed
        self.decimals = decimals
    }

    /// Which of two states of a candle is newer: open time, then closed over forming, then event time, then trades.
    func isOlder(than other: KlineState) -> Bool {
        if openMs != other.openMs { return openMs < other.openMs }
        if isClosed != other.isClosed { return !isClosed }
        if isClosed { return false }
        return (eventMs, count) < (other.eventMs, other.count)
    }

    /// The event as the exchange sends it. Key order varies: it must not matter.
    func text(_ series: Series, isCombined: Bool, variant: UInt64) -> String {
        let d = decimals
        let name = series.symbol.upperCased
        var parts = [
            "\"t\":\(openMs)", "\"T\":\(closeMs)", "\"s\":\"\(name)\"", "\"i\":\"\(series.interval.token)\"", "\"f\":\(firstTradeID)",
            "\"L\":\(lastTradeID)", "\"o\":\"\(d[0])\"", "\"c\":\"\(d[3])\"", "\"h\":\"\(d[1])\"", "\"l\":\"\(d[2])\"",
            "\"v\":\"\(d[4])\"", "\"n\":\(count)", "\"x\":\(isClosed)", "\"q\":\"\(d[5])\"", "\"V\":\"\(d[6])\"", "\"Q\":\"\(d[7])\"",
            "\"B\":\"0\"",
        ]
        if variant % 8 == 1 { parts.swapAt(Int(variant >> 8 % 17), Int(variant >> 16 % 17)) }
        if variant % 8 == 2 { parts.insert("\"new\":{\"a\":[1,null,\"}\"]}", at: Int(variant >> 8 % 17)) }
        let event = "{\"e\":\"kline\",\"E\":\(eventMs),\"s\":\"\(name)\",\"k\":{\(parts.joined(separator: ","))}}"
        return isCombined ? "{\"stream\":\"\(Binance(.spot).streamName(series))\",\"data\":\(event)}" : event
    }

    /// The state as `latest:*` and `updates:*` must show it.
    func json(_ series: Series) -> String {
        let d = decimals
        return "{\"symbol\":\"\(series.symbol)\",\"interval\":\"\(series.interval.token)\",\"open_time\":\(openMs),\"open\":\"\(d[0])\","
            + "\"high\":\"\(d[1])\",\"low\":\"\(d[2])\",\"close\":\"\(d[3])\",\"volume\":\"\(d[4])\",\"close_time\":\(closeMs),"
            + "\"quote_volume\":\"\(d[5])\",\"count\":\(count),\"taker_buy_volume\":\"\(d[6])\",\"taker_buy_quote_volume\":\"\(d[7])\","
            + "\"first_trade_id\":\(firstTradeID),\"last_trade_id\":\(lastTradeID),\"source\":\"\(source)\",\"revision\":0,"
            + "\"closed\":\(isClosed),\"event_time\":\(eventMs)}"
    }

    /// What the healer makes of it: without trade ids.
    func healed(eventMs: Int64) -> KlineState {
        let state = KlineState(
            series: series, openMs: openMs, closeMs: closeMs, eventMs: eventMs, count: count, firstTradeID: -1, lastTradeID: -1,
            isClosed: true, decimals: decimals)
        state.source = "backfill"
        return state
    }

    /// The candle that REST makes of it: without trade ids.
    func record(_ series: Series, dateMs: Int64) -> CandleRecord {
        var record = CandleRecord()
        let places: [WritableKeyPath<CandleRecord, DecimalText>] = [
            \.open, \.high, \.low, \.close, \.volume, \.quoteVolume, \.takerBuyVolume, \.takerBuyQuoteVolume,
        ]
        for (place, text) in zip(places, decimals) { record[keyPath: place] = DecimalText(text)! }
        (record.openTimeMs, record.closeTimeMs, record.tradeCount, record.eventTimeMs) = (openMs, closeMs, count, dateMs)
        (record.intervalRawValue, record.source, record.isClosed) = (series.interval.rawValue, .backfill, closeMs < dateMs)
        return record
    }

    /// Names and values of the history entry, but for the revision.
    var fields: [String] {
        let d = decimals
        return [
            "open", d[0], "high", d[1], "low", d[2], "close", d[3], "volume", d[4], "close_time", "\(closeMs)", "quote_volume", d[5],
            "count", "\(count)", "taker_buy_volume", d[6], "taker_buy_quote_volume", d[7], "first_trade_id", "\(firstTradeID)",
            "last_trade_id", "\(lastTradeID)", "source", source,
        ]
    }
}

/// One series' bars.
struct Tape {
    let index: Int
    let series: Series
    private var random: SplitMix64
    private(set) var openMs: Int64
    private var eventMs: Int64 = 0
    /// Its closed bars, oldest first.
    private(set) var history: [KlineState] = []
    /// The newest state that was not a bar's last.
    private(set) var forming: KlineState?
    /// Bars that REST does not have, though they were made.
    var unlisted: Set<Int64> = []
    private var count: Int64 = 0
    private var lastTradeID: Int64
    private var decimals: [String] = []

    /// - Parameter pastCount: closed bars from before.
    init(index: Int, series: Series, seed: UInt64, nowMs: Int64, pastCount: Int) {
        self.index = index
        self.series = series
        random = SplitMix64(seed: seed)
        openMs = series.interval.openTime(containing: nowMs)
        lastTradeID = Int64(random.number(0...1_000_000_000))
        decimals = Tape.decimals(&random)
        openMs -= Int64(pastCount) * series.interval.lengthMs!
        for _ in 0..<pastCount {
            _ = update(nowMs: openMs)
            _ = close(nowMs: endsMs)
        }
    }

    /// Bars that open before then are not made.
    mutating func skip(untilMs: Int64) { while openMs < untilMs { openMs = endsMs } }

    var endsMs: Int64 { series.interval.nextOpenTime(after: openMs) }

    private static func decimals(_ random: inout SplitMix64) -> [String] {
        (0..<8).map { _ in
            switch random.next() % 16 {
            case 0: "0.00000000"
            case 1: "\(random.next() >> 1).\(random.number(10_000_000...99_999_999))"
            case 2: "\(random.number(0...9))"
            default: "\(random.number(0...99_999)).\(random.number(10_000_000...99_999_999))"
            }
        }
    }

    /// Some trades, and the state after them.
    mutating func update(nowMs: Int64) -> KlineState {
        let trades = Int64(random.number(0...3))
        count += trades
        lastTradeID += trades
        // Several events may carry the same event time.
        eventMs = max(eventMs, nowMs)
        if trades > 0 { decimals = Tape.decimals(&random) }
        let state = state(isClosed: false)
        forming = state
        return state
    }

    /// The bar's end; the next one begins.
    mutating func close(nowMs: Int64) -> KlineState {
        eventMs = max(eventMs, nowMs)
        if random.chance(0.5) {
            count += 1
            lastTradeID += 1
            decimals = Tape.decimals(&random)
        }
        let closed = state(isClosed: true)
        history.append(closed)
        openMs = endsMs
        count = 0
        decimals = Tape.decimals(&random)
        return closed
    }

    private func state(isClosed: Bool) -> KlineState {
        KlineState(
            series: index, openMs: openMs, closeMs: endsMs - 1, eventMs: eventMs, count: count,
            firstTradeID: count == 0 ? -1 : lastTradeID - count + 1, lastTradeID: count == 0 ? -1 : lastTradeID, isClosed: isClosed,
            decimals: decimals)
    }
}
