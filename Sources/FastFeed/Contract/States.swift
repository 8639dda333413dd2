// The words of the protocol that say how something stands or where it comes from. Plain values, any thread.
//
// A service may be newer than its client and use a word that the client's version does not know: whatever reads such a word
// gets nil, and the rest of the answer stays good.

/// How a flux stands.
public enum FluxState: String, CaseIterable, Sendable {
    /// Some of its series have not been heard yet.
    case starting
    /// Its candles come.
    case live
    /// Nothing has come for longer than its interval allows.
    case stale
    /// Missing candles are being fetched.
    case healing
    /// Nothing comes: none of its symbols trades now, and the exchange may resume one.
    case halted
    /// Nothing comes: the exchange does not list its symbols, or not any more.
    case delisted
    /// It was stopped; nothing comes for it.
    case stopped
}

/// A symbol of which nothing comes, or not now.
public struct RefusedSymbol: Sendable, Equatable {
    /// Why nothing comes.
    public enum Reason: Sendable, Equatable {
        /// It is not on the exchange's list.
        case unknown
        /// It was on the list, or the list says that its trading has ended.
        case delisted
        /// The exchange refuses its stream.
        case refused
        /// It does not trade now; the exchange's word: `BREAK`, `HALT` and others.
        case halted(String)

        package var word: String {
            switch self {
            case .unknown: "unknown"
            case .delisted: "delisted"
            case .refused: "refused"
            case .halted(let status): status
            }
        }
    }

    /// As it was asked for; the exchange need not know it.
    public let symbol: Symbol
    /// Why nothing comes of it.
    public let reason: Reason

    package init(_ symbol: Symbol, _ reason: Reason) { (self.symbol, self.reason) = (symbol, reason) }

    /// As it stands in answers and statuses: `lunausdt:BREAK`. Nil for another text.
    init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, let symbol = Symbol(parts[0]) else { return nil }
        let word = String(parts[1])
        self.init(symbol, [.unknown, .delisted, .refused].first { $0.word == word } ?? .halted(word))
    }

    var text: String { "\(symbol):\(reason.word)" }
}

extension FluxState {
    /// What a flux comes to when all its symbols are among these; nil when that is not for the list to say.
    package init?(ended refused: [RefusedSymbol]) {
        guard !refused.isEmpty, !refused.contains(where: { $0.reason == .refused }) else { return nil }
        self = refused.allSatisfy { $0.reason == .unknown || $0.reason == .delisted } ? .delisted : .halted
    }
}

/// How the service stands.
public enum ServiceState: String, CaseIterable, Sendable {
    /// Not all of its connections stand yet.
    case starting
    /// All of it works.
    case live
    /// Connections to the exchange are missing.
    case degraded
    /// It has ended in order.
    case stopped
}

/// What the service works with.
public enum ServicePart: String, CaseIterable, Sendable {
    /// The exchange's streams.
    case exchange
    /// The exchange's REST interface.
    case rest
    /// Redis, as candles are written to it.
    case redis
}

/// What a flux was made by.
public enum FluxOrigin: String, CaseIterable, Sendable {
    /// A command; the flux is kept in Redis.
    case command
    /// The configuration; the flux lives as long as the process.
    case configuration
}

/// How updates are published.
public enum UpdateMode: String, CaseIterable, Sendable {
    /// PUBLISH: whoever subscribes hears them, by name or by pattern, in a cluster at any node.
    case classic
    /// SPUBLISH, in a Redis Cluster of 7.0 or newer alone: whoever asks the channel's node with SSUBSCRIBE hears them, no other node gets
    /// them. There are no patterns.
    case sharded
    /// Not at all: what is stored can be read.
    case off
}

/// Where the rows of `data` come from.
public enum DataSource: String, CaseIterable, Sendable {
    /// Redis, as the service writes it.
    case redis
    /// A replica of Redis, at most a moment behind it.
    case replica
    /// What the exchange said a moment ago.
    case cache
    /// The exchange, asked for this.
    case exchange
    /// Rows of Redis and, where it has none, the exchange's of now or a moment ago.
    case completed
}
