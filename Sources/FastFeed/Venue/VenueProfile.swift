// What differs between the exchange's markets: hosts, routes, limits. Facts from binance-spot-api-docs
// (web-socket-streams.md) and the USDⓈ-M documentation ("Important WebSocket Change Notice"). Constants.

/// How streams are asked for.
public enum SubscribeForm: String, CaseIterable, Sendable {
    /// In the URL when the names fit, else by messages.
    case automatic = "auto"
    /// In the connection's URL.
    case url
    /// By SUBSCRIBE messages after connecting.
    case message
}

/// One market's rules.
package struct VenueProfile: Sendable {
    package let market: Market
    package let productionEndpoint: WebSocketEndpoint
    /// Path of the kline streams in front of `/ws` and `/stream`. USD-M routes klines under `/market`; elsewhere
    /// they are acknowledged and never come.
    let route: String
    /// Control messages we send per second, at most: the exchange cuts at 5 (futures 10), pings and pongs
    /// included, so one is left for those.
    let controlMessagesPerSecond: UInt64 = 4
    /// Bytes of one control message: longer ones were seen to be ignored without a word at 4096.
    let controlBytesMax = 4_000
    /// Bytes of a request target that carries stream names. 8004 were accepted once; half of it is plenty.
    let targetBytesMax = 4_000

    package static func of(_ market: Market) -> VenueProfile {
        switch market {
        case .spot:
            VenueProfile(
                market: market, productionEndpoint: WebSocketEndpoint(isSecure: true, host: "stream.binance.com", port: 9443), route: "")
        case .um:
            VenueProfile(
                market: market, productionEndpoint: WebSocketEndpoint(isSecure: true, host: "fstream.binance.com", port: 443),
                route: "/market")
        }
    }

    /// `btcusdt@kline_1m`.
    package static func streamName(_ series: Series) -> String { "\(series.symbol.name)@kline_\(series.interval.token)" }
}
