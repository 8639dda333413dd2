// The status of the service and of a flux: what a status hash and the answer to `status:get` hold. Plain values, any thread.
//
// A status lists its fields once, in order and with their kinds; each shape outside is one renderer over that list. (Metrics for a
// monitoring system become the third.)

package enum StatusValue: Sendable, Equatable {
    case text(String)
    case number(Int64)
    /// A figure that has not been measured yet: an empty text.
    case unknown

    package var text: String {
        switch self {
        case .text(let text): text
        case .number(let number): String(number)
        case .unknown: ""
        }
    }

    package var json: JSONValue { if case .number(let number) = self { .integer(number) } else { .string(text) } }
}

package protocol StatusFields {
    var fields: [(name: String, value: StatusValue)] { get }
}

extension StatusFields {
    /// Names and values of the hash.
    package var hash: [(String, String)] { fields.map { ($0.name, $0.value.text) } }
    /// Members of the answer: numbers as numbers, texts as texts, whatever they look like.
    package var members: [(String, JSONValue)] { fields.map { ($0.name, $0.value.json) } }
}

/// How one flux stands.
public struct FluxStatus: Sendable, Equatable {
    public let flux: FluxSummary
    public let origin: FluxOrigin?
    /// Series of which something has come.
    public let seriesLive: Int
    /// Symbols that the exchange does not know.
    public let refusedSymbols: [Symbol]
    /// Closed candles since the start.
    public let candlesTotal: UInt64
    /// Closed candles that are missing.
    public let gapsOpen: UInt64
    /// Candles to backfill at the start.
    public let history: Int
}

extension FluxStatus: StatusFields {
    package init(_ value: JSONValue) throws(Malformed) {
        func symbols(_ key: String) throws(Malformed) -> [Symbol] {
            try value.text(key).split(separator: ",").map { name throws(Malformed) in try Symbol(.string(String(name))) }
        }
        self.init(
            flux: try FluxSummary(value, symbols: try symbols(Field.symbols)), origin: FluxOrigin(rawValue: try value.text(Field.origin)),
            seriesLive: Int(try value.number(Field.seriesLive)), refusedSymbols: try symbols(Field.refusedSymbols),
            candlesTotal: UInt64(clamping: try value.number(Field.candlesTotal)),
            gapsOpen: UInt64(clamping: try value.number(Field.gapsOpen)), history: Int(try value.number(Field.history)))
    }

    package var fields: [(name: String, value: StatusValue)] {
        func joined(_ symbols: [Symbol]) -> StatusValue { .text(symbols.map(\.name).joined(separator: ",")) }
        return [
            (Field.fluxID, .text(flux.id)), (Field.state, .text(flux.state?.rawValue ?? "")), (Field.symbols, joined(flux.symbols)),
            (Field.interval, .text(flux.interval.token)), (Field.origin, .text(origin?.rawValue ?? "")),
            (Field.createdAt, .number(flux.createdAt)), (Field.lastUpdateAt, .number(flux.lastUpdateAt ?? 0)),
            (Field.series, .number(Int64(flux.symbols.count))), (Field.seriesLive, .number(Int64(seriesLive))),
            (Field.refusedSymbols, joined(refusedSymbols)), (Field.candlesTotal, .number(Int64(clamping: candlesTotal))),
            (Field.gapsOpen, .number(Int64(clamping: gapsOpen))), (Field.history, .number(Int64(history))),
        ]
    }
}

/// How the service stands.
public struct ServiceStatus: Sendable, Equatable {
    public struct Figure: Sendable, Equatable {
        public let name: String
        /// Nil while it has not been measured.
        public let value: UInt64?

        init(_ name: String, _ value: UInt64?) { (self.name, self.value) = (name, value) }
    }

    /// Nil for a state that this version does not know.
    public let state: ServiceState?
    public let version: String
    /// The service's process, and its host's name.
    public let pid: Int32
    public let host: String
    public let market: Market?
    /// Unix ms.
    public let startedAt, heartbeatAt: Int64
    /// Counters, gauges and latencies (µs) by name, in the service's order: the list grows with the service.
    public let figures: [Figure]

    /// The figure of a name.
    public subscript(name: String) -> UInt64? { figures.first { $0.name == name }?.value }
}

extension ServiceStatus: StatusFields {
    package init(_ value: JSONValue) throws(Malformed) {
        let head = [Field.state, Field.version, Field.pid, Field.host, Field.market, Field.startedAt, Field.heartbeatAt]
        let others = (value.members ?? []).filter { !head.contains($0.key) }
        self.init(
            state: ServiceState(rawValue: try value.text(Field.state)), version: try value.text(Field.version),
            pid: Int32(clamping: try value.number(Field.pid)), host: try value.text(Field.host),
            market: Market(rawValue: try value.text(Field.market)), startedAt: try value.number(Field.startedAt),
            heartbeatAt: try value.number(Field.heartbeatAt),
            figures: others.compactMap { member in
                if member.value == StatusValue.unknown.json { return Figure(member.key, nil) }
                return member.value.integer.map { Figure(member.key, UInt64(clamping: $0)) }
            })
    }

    package var fields: [(name: String, value: StatusValue)] {
        [
            (Field.state, .text(state?.rawValue ?? "")), (Field.version, .text(version)), (Field.pid, .number(Int64(pid))),
            (Field.host, .text(host)), (Field.market, .text(market?.rawValue ?? "")), (Field.startedAt, .number(startedAt)),
            (Field.heartbeatAt, .number(heartbeatAt)),
        ] + figures.map { ($0.name, $0.value.map { .number(Int64(clamping: $0)) } ?? .unknown) }
    }
}
