// Stream names as clients write them, judged as the exchange judges them: well-formed or not. Whether the
// symbol exists plays no part; an unknown one is acknowledged and stays silent. Pure, any thread.

package import FastFeed

package enum StreamName {
    /// What a well-formed name asks for.
    package enum Meaning: Equatable {
        case kline(symbol: String, interval: Interval, offsetMs: Int64)
        /// A market-data stream (`aggTrade`, `ticker`, …) that exists there and is not produced here.
        case market
        /// A stream of the order book's side of the futures routes; not produced here either.
        case book
        case malformed
    }

    private static let bookTypes: Set<Substring> = ["bookTicker", "depth", "depth5", "depth10", "depth20", "rpiDepth"]
    private static let marketTypes: Set<Substring> = [
        "trade", "aggTrade", "blockTrade", "avgPrice", "miniTicker", "ticker", "ticker_1h", "ticker_4h", "ticker_1d",
        "referencePrice", "markPrice", "forceOrder", "compositeIndex", "assetIndex",
    ]
    private static let allMarketNames: Set<String> = [
        "!miniTicker@arr", "!ticker@arr", "!ticker_1h@arr", "!ticker_4h@arr", "!ticker_1d@arr", "!markPrice@arr",
        "!markPrice@arr@1s", "!forceOrder@arr", "!contractInfo", "!assetIndex@arr", "tradingSession",
    ]

    /// The one offset the exchange serves.
    package static let offsetToken: Substring = "+08:00"
    package static let offsetMs: Int64 = 28_800_000

    package static func meaning(of name: String, market: Market) -> Meaning {
        if name == "!bookTicker" { return .book }
        if allMarketNames.contains(name) { return .market }
        let parts = name.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3, isSymbolPart(parts[0]) else { return .malformed }
        let type = parts[1]
        if type.hasPrefix("kline_") {
            guard let interval = Interval(token: type.dropFirst(6)), market == .spot || interval != .s1 else { return .malformed }
            if parts.count == 2 { return .kline(symbol: String(parts[0]), interval: interval, offsetMs: 0) }
            guard market == .spot, parts[2] == offsetToken else { return .malformed }
            return .kline(symbol: String(parts[0]), interval: interval, offsetMs: offsetMs)
        }
        if type.hasPrefix("continuousKline_") {
            return Interval(token: type.dropFirst(16)) != nil && market == .um && parts.count == 2 ? .market : .malformed
        }
        let speeds: Set<Substring> = ["100ms", "250ms", "500ms", "1s"]
        guard parts.count == 2 || speeds.contains(parts[2]) else { return .malformed }
        if bookTypes.contains(type) { return .book }
        return marketTypes.contains(type) ? .market : .malformed
    }

    /// Letters of any case pass (an upper-case symbol is well-formed and silent), and so do non-ASCII ones.
    private static func isSymbolPart(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.count <= 64
            && text.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") && $0 != 0x7F }
    }
}
