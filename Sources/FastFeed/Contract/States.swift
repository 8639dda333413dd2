// The words of the protocol that say how something stands or where it comes from. Plain values, any thread.
//
// A service may be newer than its client and use a word that the client's version does not know: whatever reads such a word
// gets nil, and the rest of the answer stays good.

/// How a flux stands.
public enum FluxState: String, CaseIterable, Sendable {
    /// Some of its series have not been heard yet.
    case starting
    case live
    /// Nothing has come for longer than its interval allows.
    case stale
    /// Missing candles are being fetched.
    case healing
    case stopped
}

/// How the service stands.
public enum ServiceState: String, CaseIterable, Sendable {
    case starting, live
    /// Connections to the exchange are missing.
    case degraded
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

/// Where the rows of `data` come from.
public enum DataSource: String, CaseIterable, Sendable {
    case redis
    /// What the exchange said a moment ago.
    case cache
    case exchange
    /// Rows of Redis and, where it has none, the exchange's of now or a moment ago.
    case completed
}
