// What the exchange publishes about its REST interface: paths, weights, limits (binance-spot-api-docs rest-api.md,
// "LIMITS" and "Kline/Candlestick data"; USDⓈ-M documentation, "Kline/Candlestick Data"). Plain values, any thread.

extension VenueProfile {
    /// Request weight one address may spend in a minute.
    var weightPerMinute: Int { market == .um ? 2_400 : 6_000 }

    /// Candles of one klines request; more is silently cut.
    var klinesLimitMax: Int { market == .um ? 1_500 : 1_000 }

    func klinesWeight(limit: Int) -> Int {
        guard market == .um else { return 2 }
        switch limit {
        case ..<100: return 1
        case ..<500: return 2
        case ...1_000: return 5
        default: return 10
        }
    }

    var exchangeInfoWeight: Int { market == .um ? 1 : 20 }

    private var restPath: String { market == .um ? "/fapi/v1/" : "/api/v3/" }

    func klinesTarget(_ series: Series, _ page: KlinePages.Page) -> String {
        var target = "\(restPath)klines?symbol=\(series.symbol.upperCased)&interval=\(series.interval.token)&limit=\(page.limit)"
        if let startMs = page.startMs { target += "&startTime=\(startMs)" }
        if let endMs = page.endMs { target += "&endTime=\(endMs)" }
        return target
    }

    /// Without the permission sets, which are most of the spot answer and which nobody here reads.
    var exchangeInfoTarget: String { restPath + (market == .spot ? "exchangeInfo?showPermissionSets=false" : "exchangeInfo") }

    /// Nil when the market has these klines.
    func refusal(of series: Series) -> String? {
        if series.market != market { return "\(series) is not of the \(market.rawValue) market" }
        if market == .um && series.interval == .s1 { return "the um market has no 1s klines" }
        return nil
    }
}
