// Names of keys and channels, spelled here and nowhere else. Pure.
//
// The braces in candle keys are literal: a Redis Cluster hash tag, so that all keys of a symbol live in one
// slot. Markets other than spot put `um:` in front of the symbol.

package struct KeySchema: Sendable {
    package let prefix: String

    package init(prefix: String) { self.prefix = prefix }

    /// What may stand in front of keys and channels, for the service and its clients alike.
    package static func isPrefix(_ text: String) -> Bool {
        text.utf8.count <= 64 && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x7B && $0 != 0x7D }
    }
    package static let prefixRule = "key-prefix must be at most 64 printable characters without braces or spaces"

    private func tag(_ series: Series) -> String { "{\(series.market.keyPrefix)\(series.symbol)}" }

    /// The stream of closed candles: `candles:{btcusdt}:1m`.
    package func historyKey(_ series: Series) -> String { "\(prefix)candles:\(tag(series)):\(series.interval.token)" }
    /// The hash of newest states, a field per symbol: `latest:1m`, `latest:um:1m`.
    package func latestKey(_ market: Market, _ interval: Interval) -> String { "\(prefix)latest:\(market.keyPrefix)\(interval.token)" }
    /// What the exchange has answered to one question, kept for a moment.
    package func cacheKey(_ series: Series, limit: Int, startMs: Int64?, endMs: Int64?) -> String {
        func text(_ time: Int64?) -> String { time.map(String.init) ?? "" }
        return "\(prefix)cache:\(tag(series)):\(series.interval.token):\(limit):\(text(startMs)):\(text(endMs))"
    }
    /// The registry: flux id → JSON definition.
    package var fluxesKey: String { "\(prefix)fluxes" }
    package var serviceStatusKey: String { "\(prefix)status:service" }
    package func fluxStatusKey(_ id: String) -> String { fluxStatusPrefix + id }
    /// What the keys of all fluxes' statuses begin with.
    package var fluxStatusPrefix: String { "\(prefix)status:flux:" }
    /// The channel of updates: `updates:{btcusdt}:1m`.
    package func updatesChannel(_ series: Series) -> String { "\(prefix)updates:\(tag(series)):\(series.interval.token)" }
    /// The pattern of all channels of updates.
    package var updatesPattern: String { "\(prefix)updates:*" }
    /// The channel where requests come: `commands:flux:create`.
    package func commandChannel(_ kind: CommandKind) -> String { "\(prefix)commands:\(kind.rawValue)" }
    /// The channel of one request's answer: `responses:flux:create:ID`.
    package func responseChannel(_ kind: CommandKind, requestID: String) -> String { "\(prefix)responses:\(kind.rawValue):\(requestID)" }
    /// The pattern of all answers' channels.
    package var responsesPattern: String { "\(prefix)responses:*" }
}
