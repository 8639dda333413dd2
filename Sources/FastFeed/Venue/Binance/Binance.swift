// Binance's dialect: hosts, paths, names, messages, weights, limits of its markets. Facts from binance-spot-api-docs
// (web-socket-streams.md, rest-api.md) and the USDⓈ-M documentation ("Important WebSocket Change Notice", "Kline/Candlestick
// Data"). Plain values, any thread.

/// One market's rules.
package struct Binance: VenueDialect {
    private let market: Market

    package init(_ market: Market) { self.market = market }

    // MARK: Streams

    package var productionEndpoint: WebSocketEndpoint {
        switch market {
        case .spot: WebSocketEndpoint(isSecure: true, host: "stream.binance.com", port: 9443)
        case .um: WebSocketEndpoint(isSecure: true, host: "fstream.binance.com", port: 443)
        }
    }

    package var barePaths: [String] { ["/ws", "/stream"] }

    /// Path of the kline streams in front of `/ws` and `/stream`. USD-M routes klines under `/market`; elsewhere
    /// they are acknowledged and never come.
    private var route: String { market == .um ? "/market" : "" }
    /// The exchange cuts at 5 (futures 10), pings and pongs included, so one is left for those.
    package var controlMessagesPerSecond: UInt64 { 4 }
    /// Longer ones were seen to be ignored without a word at 4096.
    package var controlBytesMax: Int { 4_000 }
    /// 8004 were accepted once; half of it is plenty.
    package var targetBytesMax: Int { 4_000 }

    /// Spot repeats a bar that has not changed; USD-M says nothing of a symbol that nobody trades.
    package var klineSilenceMs: UInt64 { market == .um ? 600_000 : 150_000 }

    /// `btcusdt@kline_1m`.
    package func streamName(_ series: Series) -> String { "\(series.symbol.name)@kline_\(series.interval.token)" }

    package func endsBarsEachMinute(_ stream: String) -> Bool { stream.hasSuffix("@kline_1m") || stream.hasSuffix("@kline_1s") }

    package func target(isCombined: Bool) -> String { route + (isCombined ? "/stream" : "/ws") }

    package func target(of streams: [String], isCombined: Bool) -> String {
        target(isCombined: isCombined) + (isCombined ? "?streams=" : "/") + streams.map(Binance.urlText).joined(separator: "/")
    }

    /// `{"method":"SUBSCRIBE","params":["btcusdt@kline_1m"],"id":1}`
    package func controlMessage(_ method: ControlMethod, id: Int64) -> (head: String, tail: String) {
        ("{\"method\":\"\(method == .subscribe ? "SUBSCRIBE" : "UNSUBSCRIBE")\",\"params\":[", "],\"id\":\(id)}")
    }

    /// A name as it stands in a URL: what is not ASCII is percent-encoded, byte by byte of its UTF-8.
    package static func urlText(_ name: String) -> String {
        guard name.utf8.contains(where: { $0 >= 0x80 }) else { return name }
        return name.utf8.map { $0 < 0x80 ? String(Unicode.Scalar($0)) : "%" + Ascii.hex($0).uppercased() }.joined()
    }

    // MARK: REST

    package var restEndpoint: RestEndpoint {
        switch market {
        case .spot: RestEndpoint(isSecure: true, host: "api.binance.com", port: 443)
        case .um: RestEndpoint(isSecure: true, host: "fapi.binance.com", port: 443)
        }
    }

    /// Request weight one address may spend in a minute.
    package var weightPerMinute: Int { market == .um ? 2_400 : 6_000 }
    package var usedWeightHeader: String { "X-MBX-USED-WEIGHT-1M" }
    /// Candles of one klines request; more is silently cut.
    package var klinesLimitMax: Int { market == .um ? 1_500 : 1_000 }

    package func klinesWeight(limit: Int) -> Int {
        guard market == .um else { return 2 }
        switch limit {
        case ..<100: return 1
        case ..<500: return 2
        case ...1_000: return 5
        default: return 10
        }
    }

    /// 429: too much was asked; 418: who does not stop is banned.
    package func isLimit(_ status: Int) -> Bool { status == 429 || status == 418 }
    package var unknownSymbolCode: Int64 { -1121 }

    package var exchangeInfoWeight: Int { market == .um ? 1 : 20 }

    package func klinesTarget(_ series: Series, _ page: KlinePages.Page) -> String {
        let path = market == .um ? "/fapi/v1/klines" : "/api/v3/klines"
        var target =
            "\(path)?symbol=\(Binance.urlText(series.symbol.upperCased))&interval=\(series.interval.token)&limit=\(page.limit)"
        if let startMs = page.startMs { target += "&startTime=\(startMs)" }
        if let endMs = page.endMs { target += "&endTime=\(endMs)" }
        return target
    }

    /// Without the permission sets, which are most of the spot answer and which nobody here reads.
    package var exchangeInfoTarget: String { market == .um ? "/fapi/v1/exchangeInfo" : "/api/v3/exchangeInfo?showPermissionSets=false" }

    /// Of all symbols: of one or a few it costs less.
    package var dayTickersWeight: Int { market == .um ? 40 : 80 }
    package var dayTickersTarget: String { market == .um ? "/fapi/v1/ticker/24hr" : "/api/v3/ticker/24hr" }

    /// Nil when the market has these klines.
    package func refusal(of series: Series) -> String? {
        if series.market != market { return "\(series) is not of the \(market.rawValue) market" }
        return market == .um && series.interval == .s1 ? "the um market has no 1s klines" : nil
    }
}
