// The commands: their names, their fields, the codes of a refusal. Plain values, any thread.

/// Why the service refuses a request.
public enum CommandCode: String, CaseIterable, Sendable {
    case badRequest = "bad_request"
    case unknownSymbol = "unknown_symbol"
    case badInterval = "bad_interval"
    case unknownFlux = "unknown_flux"
    case tooLarge = "too_large"
    /// The same may succeed a little later.
    case busy
    /// Redis or the exchange failed the service.
    case `internal`
}

/// Why a request is refused, and in which words.
package struct CommandError: Error, Equatable {
    package let code: CommandCode
    package let message: String

    package init(_ code: CommandCode, _ message: String) {
        self.code = code
        self.message = message
    }
}

package enum CommandKind: String, CaseIterable, Sendable {
    case createFlux = "flux:create"
    case stopFlux = "flux:stop"
    case listFluxes = "flux:list"
    case getData = "data:get"
    case getStatus = "status:get"

    /// Fields it may have besides `request_id`.
    package var fields: [String] {
        switch self {
        case .createFlux: [Field.symbols, Field.interval, Field.name, Field.history]
        case .stopFlux: [Field.fluxID]
        case .listFluxes: []
        case .getData: [Field.symbol, Field.interval, Field.limit, Field.start, Field.end]
        case .getStatus: [Field.fluxID]
        }
    }
}

/// Names of members of requests, answers, updates and status hashes. (The candle's are in `CandleField`.)
package enum Field {
    package static let requestID = "request_id"
    package static let status = "status"
    package static let error = "error"
    package static let code = "code"
    package static let message = "message"
    package static let symbol = "symbol"
    package static let symbols = "symbols"
    package static let interval = "interval"
    package static let name = "name"
    package static let history = "history"
    package static let limit = "limit"
    package static let start = "start"
    package static let end = "end"
    package static let fluxID = "flux_id"
    package static let created = "created"
    package static let fluxes = "fluxes"
    package static let state = "state"
    package static let origin = "origin"
    package static let createdAt = "created_at"
    package static let lastUpdateAt = "last_update_at"
    package static let series = "series"
    package static let seriesLive = "series_live"
    package static let refusedSymbols = "refused_symbols"
    package static let candlesTotal = "candles_total"
    package static let gapsOpen = "gaps_open"
    package static let version = "version"
    package static let pid = "pid"
    package static let host = "host"
    package static let market = "market"
    package static let startedAt = "started_at"
    package static let heartbeatAt = "heartbeat_at"
    package static let source = "source"
    package static let tookMicroseconds = "took_us"
    package static let rows = "rows"
    package static let updates = "updates"
    package static let candles = "candles"
}
