// Binance's REST answers into values: one call into the simdjson shim per answer. Any thread.

import CShims

extension Binance {
    /// REST has no trade ids: both are −1, as for a bar without trades; `tradeCount` tells the two apart. The event
    /// time is `nowMs`; a bar is closed when it ended before it. Rows of no length and no trade, which the exchange
    /// has been seen to hand out, are left out.
    package func klines(
        _ bytes: PaddedBytes, _ series: Series, limit: Int, nowMs: Int64
    ) -> Result<[CandleRecord], RestFailure> {
        precondition(limit > 0)
        var fault = ff_klines_fault()
        var result = FF_KLINE_MALFORMED
        // No row has fewer bytes than this, `[0,"0","0","0","0","0",0,"0",0,"0","0",0]`: no more room than needed.
        let capacity = min(limit, bytes.count / 40 + 1)
        var candles = unsafe [CandleRecord](unsafeUninitializedCapacity: capacity) { rows, count in
            // A record is laid out as `ff_candle`: LayoutTests.
            let out = unsafe UnsafeMutableRawPointer(rows.baseAddress!).assumingMemoryBound(to: ff_candle.self)
            result = unsafe ff_klines_parse(
                bytes.text, bytes.count, out, capacity, &count, &fault)
            if result != FF_KLINE { count = 0 }
        }
        let column = fault.column < 0 ? "" : ", value \(fault.column)"
        guard result == FF_KLINE else { return .failure(.malformed("klines: row \(fault.row)\(column): " + reason(result))) }
        for index in candles.indices {
            let (open, close) = (candles[index].openTimeMs, candles[index].closeTimeMs)
            // Not before it opens: the calendar can carry both.
            guard Limits.instantsMs.contains(open), Limits.instantsMs.contains(close) else {
                return .failure(.malformed("klines: row \(index) lies beyond the year 9999"))
            }
            guard close <= series.interval.closeTime(ofBarOpening: open) else {
                return .failure(.malformed("klines: row \(index) is longer than \(series.interval.token)"))
            }
            candles[index].intervalRawValue = series.interval.rawValue
            candles[index].source = .backfill
            candles[index].eventTimeMs = nowMs
            candles[index].isClosed = candles[index].closeTimeMs < nowMs
        }
        candles.removeAll { $0.closeTimeMs == $0.openTimeMs && $0.tradeCount == 0 }
        return .success(candles)
    }

    package func exchangeInfo(_ bytes: PaddedBytes) -> Result<ExchangeInformation, RestFailure> {
        guard !bytes.isEmpty else { return .failure(.malformed("exchangeInfo: empty")) }
        var info = unsafe ff_exchange_info()
        let result = unsafe ff_exchange_info_parse(bytes.text, bytes.count, Limits.instrumentsMax, &info)
        guard result == FF_KLINE else { return .failure(.malformed("exchangeInfo: " + reason(result))) }
        defer { unsafe ff_exchange_info_free(&info) }
        var instruments: [Instrument] = []
        unsafe instruments.reserveCapacity(info.count)
        var seen = Set<Symbol>()
        for index in 0..<(unsafe info.count) {
            let raw = unsafe info.instruments[index]
            let status = unsafe withUnsafeBytes(of: raw.status) { unsafe word($0.prefix(Int(raw.status_length))) }
            guard let symbol = name(raw.symbol, raw.symbol_length), seen.insert(symbol).inserted else { continue }
            let (base, quote) = (name(raw.base, raw.base_length), name(raw.quote, raw.quote_length))
            instruments.append(
                Instrument(symbol: symbol, status: status, base: base?.upperCased ?? "", quote: quote?.upperCased ?? ""))
        }
        let skipped = unsafe Int(info.skipped) + Int(info.count) - instruments.count
        let information = unsafe ExchangeInformation(
            instruments: instruments, skipped: skipped, serverTimeMs: info.server_time >= 0 ? info.server_time : nil,
            weightPerMinute: info.weight_per_minute > 0 ? Int(info.weight_per_minute) : nil)
        return .success(information)
    }

    package func dayTickers(_ bytes: PaddedBytes) -> Result<DayTickers, RestFailure> {
        guard !bytes.isEmpty else { return .failure(.malformed("tickers: empty")) }
        var list = unsafe ff_tickers()
        let result = unsafe ff_tickers_parse(bytes.text, bytes.count, Limits.dayTickersMax, &list)
        guard result == FF_KLINE else { return .failure(.malformed("tickers: " + reason(result))) }
        defer { unsafe ff_tickers_free(&list) }
        var figures: [Symbol: DayFigures] = [:]
        unsafe figures.reserveCapacity(list.count)
        for index in 0..<(unsafe list.count) {
            let raw = unsafe list.rows[index]
            guard let symbol = name(raw.symbol, raw.symbol_length), figures[symbol] == nil else { continue }
            figures[symbol] = DayFigures(
                lastPrice: decimal(raw.last_price), priceChangePercent: decimal(raw.price_change_percent),
                quoteVolume: decimal(raw.quote_volume), tradeCount: raw.count)
        }
        return unsafe .success(DayTickers(figures: figures, skipped: Int(list.skipped) + Int(list.count) - figures.count))
    }

    /// Text of a fixed field and its length; nil when it does not have the form of a symbol.
    private func name<Bytes>(_ field: Bytes, _ length: UInt8) -> Symbol? {
        unsafe withUnsafeBytes(of: field) { unsafe Symbol(String(decoding: $0.prefix(Int(length)), as: UTF8.self)) }
    }

    /// The bytes as they are: both types have one layout.
    private func decimal(_ text: ff_decimal) -> DecimalText {
        unsafe withUnsafeBytes(of: text) { unsafe $0.loadUnaligned(as: DecimalText.self) }
    }

    /// A status as it can stand in lists and in front of marks; another text says nothing that we know.
    private func word(_ bytes: some Collection<UInt8>) -> String {
        let isWord = bytes.allSatisfy { Ascii.isLetter($0) || Ascii.isDigit($0) || $0 == UInt8(ascii: "_") }
        return isWord ? String(decoding: bytes, as: UTF8.self) : "UNKNOWN"
    }

    private func reason(_ result: ff_kline_result) -> String {
        switch result {
        case FF_KLINE_NOT_UTF8: "not UTF-8"
        case FF_KLINE_MISSING: "something that must be there is missing"
        case FF_KLINE_TYPE: "of the wrong type"
        case FF_KLINE_LONG: "longer than can be"
        case FF_KLINE_NUMBER: "no number, or out of range"
        case FF_KLINE_CONTRADICTION: "times that contradict each other"
        default: "not JSON"
        }
    }

    package func refusal(_ bytes: PaddedBytes) -> (code: Int64, message: String) {
        if case .error(_, let code, let message)? = notice(bytes) { return (code, message) }
        // White space is not shown: a little more than what is.
        return (0, Ascii.words(bytes.prefix(Limits.refusalBodyBytesMax), limit: Limits.refusalShownBytesMax))
    }

    /// "… IP banned until 1790001300000. …"
    package func banEnd(in message: String) -> Int64? {
        guard let mark = message.firstRange(of: "until ") else { return nil }
        let digits = message[mark.upperBound...].prefix { $0.isASCII && $0.isNumber }
        return digits.utf8.count == 13 ? Int64(digits) : nil
    }
}
