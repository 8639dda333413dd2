// The commands: their names, their fields, the codes of a refusal. Plain values, any thread.

/// Why the service refuses a request.
public enum CommandCode: String, CaseIterable, Sendable {
    /// Not JSON, or a field is missing or not what it must be.
    case badRequest = "bad_request"
    /// The exchange does not list it.
    case unknownSymbol = "unknown_symbol"
    /// Not one of the intervals.
    case badInterval = "bad_interval"
    /// There is no such flux.
    case unknownFlux = "unknown_flux"
    /// More than one request, or the service, takes.
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
    case listGaps = "gaps:list"
    case backfill = "data:backfill"
    case audit = "data:audit"
    case listSymbols = "symbols:list"

    /// Fields it may have besides `request_id`.
    package var fields: [String] {
        switch self {
        case .createFlux: [Field.symbols, Field.interval, Field.name, Field.history]
        case .stopFlux: [Field.fluxID]
        case .listFluxes: []
        case .getData: [Field.symbol, Field.interval, Field.limit, Field.start, Field.end]
        case .getStatus: [Field.fluxID]
        case .listGaps: [Field.symbol, Field.interval, Field.fluxID]
        case .backfill: [Field.symbol, Field.interval, Field.count]
        case .audit: [Field.symbol, Field.interval, Field.limit, Field.repair]
        case .listSymbols: [Field.quote, Field.status, Field.search, Field.limit]
        }
    }
}

/// Names of members of requests, answers, updates and status hashes. (A candle's are in `CandleField`.)
package enum Field {
    // The envelope.
    package static let requestID = "request_id", status = "status", error = "error", code = "code", message = "message"
    // Fluxes.
    package static let fluxID = "flux_id", name = "name", symbols = "symbols", interval = "interval", history = "history"
    package static let fluxes = "fluxes", created = "created", createdAt = "created_at", lastUpdateAt = "last_update_at"
    package static let origin = "origin", seriesLive = "series_live", refusedSymbols = "refused_symbols"
    package static let candlesTotal = "candles_total", gapsOpen = "gaps_open"
    // Candles.
    package static let symbol = "symbol", limit = "limit", start = "start", end = "end", rows = "rows", incomplete = "incomplete"
    package static let source = "source", tookMicroseconds = "took_us", updates = "updates", candles = "candles"
    // Holes, and what is done about them.
    package static let gaps = "gaps", more = "more", from = "from", until = "until", cause = "cause", tries = "tries"
    package static let count = "count", repair = "repair", checked = "checked", findings = "findings", id = "id"
    package static let finding = "finding", repaired = "repaired"
    // What the exchange lists.
    package static let base = "base", quote = "quote", search = "search", total = "total", updatedAt = "updated_at"
    package static let lastPrice = "last_price", priceChangePercent = "price_change_percent", quoteVolume = "quote_volume",
        trades = "trades"
    // The service.
    package static let state = "state", version = "version", pid = "pid", host = "host", market = "market"
    package static let startedAt = "started_at", heartbeatAt = "heartbeat_at", series = "series"
    package static let seriesIDsInUse = "series_ids_in_use", connections = "connections", residentBytes = "resident_bytes"
    package static let messagesTotal = "messages_total", rejectedTotal = "rejected_total", closedLost = "closed_lost",
        clockDifference = "clock_difference_ms"
    package static let restWeightUsed = "rest_weight_used", restWeightAllowed = "rest_weight_allowed",
        restWeightOfAddress = "rest_weight_of_address"
    package static let redisMode = "redis_mode", redisPrimary = "redis_primary", redisReplicas = "redis_replicas",
        redisReplicaLag = "redis_replica_lag_bytes", updateMode = "update_mode"

    // A group.
    package static let nonce = "nonce", addressGroup = "address_group", units = "units", beat = "beat", done = "done"
    package static let group = "group", members = "members", epoch = "epoch", writers = "writers", blind = "blind", service = "service"
    package static let rival = "rival"

    /// `exchange_error`: why a part does not work.
    package static func reason(_ part: ServicePart) -> String { "\(part.rawValue)_error" }
    /// `exchange_error_at`: when that was last seen.
    package static func reasonAt(_ part: ServicePart) -> String { "\(reason(part))_at" }

    /// `latency_p99_us`; with a stage `latency_wire_p99_us`.
    package static func latency(_ quantile: String, stage: String? = nil) -> String {
        "latency_\(stage.map { $0 + "_" } ?? "")\(quantile)_us"
    }
}
