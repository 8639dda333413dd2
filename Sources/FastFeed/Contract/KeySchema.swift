// Names of keys and channels, spelled here and nowhere else. Pure.
//
// The braces in candle keys are literal: a Redis Cluster hash tag, so that all keys of a symbol live in one slot. Markets other than
// spot carry their name (`um:`): in front of the symbol, inside the braces, and behind the first word of everything else. So services of
// several markets share one Redis, and nobody answers for another.

package struct KeySchema: Sendable {
    package let prefix: String
    package let market: Market

    package init(prefix: String, market: Market = .spot) { (self.prefix, self.market) = (prefix, market) }

    /// What may stand in front of keys and channels, for the service and its clients alike.
    package static func isPrefix(_ text: String) -> Bool {
        text.utf8.count <= 64 && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x7B && $0 != 0x7D }
    }
    package static let prefixRule = "key-prefix must be at most 64 printable characters without braces or spaces"

    private func tag(_ series: Series) -> String { "{\(series.market.keyPrefix)\(series.symbol)}" }
    /// What belongs to one service, not to a series: `status:`, `status:um:`.
    private func own(_ word: String) -> String { "\(prefix)\(word):\(market.keyPrefix)" }

    /// The stream of closed candles: `candles:{btcusdt}:1m`.
    package func historyKey(_ series: Series) -> String { "\(prefix)candles:\(tag(series)):\(series.interval.token)" }
    /// The stream of what was inserted behind the newest candle, or corrected: `changes:{btcusdt}:1m`.
    package func changesKey(_ series: Series) -> String { "\(prefix)changes:\(tag(series)):\(series.interval.token)" }
    /// The hash of a series' holes, a field per hole (`GapRow`): `gaps:{btcusdt}:1m`.
    package func gapsKey(_ series: Series) -> String { "\(prefix)gaps:\(tag(series)):\(series.interval.token)" }
    /// The hash of newest states, a field per symbol: `latest:1m`, `latest:um:1m`.
    package func latestKey(_ market: Market, _ interval: Interval) -> String { "\(prefix)latest:\(market.keyPrefix)\(interval.token)" }
    /// What the exchange has answered to one question, kept for a moment.
    package func cacheKey(_ series: Series, limit: Int, startMs: Int64?, endMs: Int64?) -> String {
        func text(_ time: Int64?) -> String { time.map(String.init) ?? "" }
        return "\(prefix)cache:\(tag(series)):\(series.interval.token):\(limit):\(text(startMs)):\(text(endMs))"
    }
    /// The registry, flux id → JSON definition: `fluxes`, `fluxes:um`.
    package var fluxesKey: String { String(own("fluxes").dropLast()) }
    /// `status:service`, `status:um:service`.
    package var serviceStatusKey: String { own("status") + "service" }
    package func fluxStatusKey(_ id: String) -> String { fluxStatusPrefix + id }
    /// What the keys of all fluxes' statuses begin with.
    package var fluxStatusPrefix: String { own("status") + "flux:" }
    /// Which of several services answers, keeps the registry and writes the status: `lease:service`, `lease:um:service`.
    package var leaseKey: String { own("lease") + "service" }
    /// Which holder of the lease has kept the registry last: `fluxes:keeper:{fluxes}`, in the registry's slot, so that a script may have
    /// both. It stays when the lease ends.
    package var keeperKey: String { "\(fluxesKey):keeper:{\(fluxesKey)}" }
    // What the members of a group agree on. One hash tag for all of it: its scripts have two keys.
    private var groupTag: String { market == .spot ? "{feedd}" : "{feedd:\(market.rawValue)}" }
    /// The hash of a group's members (`GroupMember`): `members:{feedd}`, `members:{feedd:um}`. Also the channel of their changes.
    package var membersKey: String { "\(prefix)members:\(groupTag)" }
    /// How often the members have changed: `members:{feedd}:epoch`.
    package var epochKey: String { membersKey + ":epoch" }
    /// What all members must have alike: `members:{feedd}:settings`.
    package var groupSettingsKey: String { membersKey + ":settings" }
    /// Who carries a request out, and what came of it: `claims:{feedd}:flux:create:ID`.
    package func claimKey(_ kind: CommandKind, requestID: String) -> String { "\(prefix)claims:\(groupTag):\(kind.rawValue):\(requestID)" }
    /// A member's part of the status: `status:part:{feedd}:NAME`.
    package func statusPartKey(_ member: String) -> String { "\(prefix)status:part:\(groupTag):\(member)" }
    /// A member's attempts to connect: `connects:{feedd}:NAME`.
    package func memberConnectsKey(_ member: String) -> String { "\(prefix)connects:\(groupTag):\(member)" }
    /// What one member of a group writes alone: `btcusdt`, `um:btcusdt`.
    package func unit(_ symbol: Symbol) -> String { market.keyPrefix + symbol.name }
    /// When the exchange was asked for a connection, newest first, Unix ms: `connects`, `connects:um`.
    package var connectsKey: String { String(own("connects").dropLast()) }
    // What the exchange lists. One hash tag for all of it, so that its sets can be intersected on a cluster, too.
    private var listTag: String { "{\(market.keyPrefix)symbols}" }
    /// The hash of an instrument: `symbol:{symbols}:btcusdt`, `symbol:{um:symbols}:btcusdt`.
    package func listedKey(_ symbol: Symbol) -> String { "\(prefix)symbol:\(listTag):\(symbol)" }
    /// An index of instruments: `symbols:{symbols}:all`, `symbols:{um:symbols}:quote:usdt`.
    package func listIndexKey(_ index: ListIndex) -> String { "\(prefix)symbols:\(listTag):\(index.name)" }
    /// An instrument's hash, or an index of them.
    package func isListKey(_ key: String) -> Bool { ["symbol", "symbols"].contains { key.hasPrefix("\(prefix)\($0):\(listTag):") } }
    /// The channel of updates: `updates:{btcusdt}:1m`.
    package func updatesChannel(_ series: Series) -> String { "\(prefix)updates:\(tag(series)):\(series.interval.token)" }
    /// The pattern of all channels of updates, whatever the market.
    package var updatesPattern: String { "\(prefix)updates:*" }
    /// The channel where requests come: `commands:flux:create`, `commands:um:flux:create`.
    package func commandChannel(_ kind: CommandKind) -> String { own("commands") + kind.rawValue }
    /// The channel of one request's answer: `responses:flux:create:ID`.
    package func responseChannel(_ kind: CommandKind, requestID: String) -> String { own("responses") + "\(kind.rawValue):\(requestID)" }
    /// The pattern of all answers' channels.
    package var responsesPattern: String { own("responses") + "*" }
}

/// An index of the exchange's instruments: which of them there are, or in which order.
package enum ListIndex: Hashable, Sendable {
    /// Every instrument.
    case all
    /// The names of the quote assets that have a set.
    case quotes
    /// The names of the statuses that have a set.
    case statuses
    case quote(String)
    case status(String)
    /// The sorted set: its scores are volumes in the quote asset.
    case byVolume
    /// When the exchange said the figures, Unix ms: a text.
    case updatedAt
    /// An index while a script makes it: it takes another's place when it is whole.
    case next

    var name: String {
        switch self {
        case .all: "all"
        case .quotes: "quotes"
        case .statuses: "statuses"
        case .quote(let asset): "quote:\(asset)"
        case .status(let word): "status:\(word)"
        case .byVolume: "by_volume"
        case .updatedAt: "updated_at"
        case .next: "next"
        }
    }
}
