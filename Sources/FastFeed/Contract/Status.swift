// The status of the service and of a flux: what a status hash and the answer to `status:get` hold. Plain values, any thread.
//
// A status lists its members once, in order and with their kinds; each shape outside is one renderer over that list. (Metrics for a
// monitoring system become the third.)

package protocol StatusMembers {
    /// Members of the answer: numbers as numbers, texts as texts, whatever they look like. A figure that has not been measured yet is
    /// an empty text.
    var members: [(String, JSONValue)] { get }
}

extension StatusMembers {
    /// Names and values of the status hash, all of them texts.
    package var hash: [(String, String)] { members.map { ($0, $1.string ?? $1.text) } }
}

/// How one flux stands, as `status:flux:<id>` has it.
public struct FluxStatus: Sendable, Equatable {
    /// Which flux, and how it stands.
    public let flux: FluxSummary
    /// What it was made by. Nil for an origin that this version does not know.
    public let origin: FluxOrigin?
    /// Symbols of which nothing comes, each with the reason.
    public let refusedSymbols: [RefusedSymbol]
    /// Closed candles since the start.
    public let candlesTotal: UInt64
    /// Closed candles that are missing.
    public let gapsOpen: UInt64
    /// Candles to backfill at the start.
    public let history: Int
}

extension FluxStatus: StatusMembers {
    package init(_ value: JSONValue) throws(Malformed) {
        self.init(
            flux: try FluxSummary(value), origin: FluxOrigin(rawValue: try value.text(Field.origin)),
            refusedSymbols: try value.refusedSymbols(Field.refusedSymbols),
            candlesTotal: UInt64(clamping: try value.number(Field.candlesTotal)),
            gapsOpen: UInt64(clamping: try value.number(Field.gapsOpen)), history: Int(try value.number(Field.history)))
    }

    package var members: [(String, JSONValue)] {
        func joined(_ names: [String]) -> JSONValue { .string(names.joined(separator: ",")) }
        return [
            (Field.fluxID, .string(flux.id)), (Field.state, .string(flux.state?.rawValue ?? "")),
            (Field.symbols, joined(flux.symbols.map(\.name))),
            (Field.interval, .string(flux.interval.token)), (Field.origin, .string(origin?.rawValue ?? "")),
            (Field.createdAt, .integer(flux.createdAt)), (Field.lastUpdateAt, .integer(flux.lastUpdateAt ?? 0)),
            (Field.series, .integer(Int64(flux.symbols.count))), (Field.seriesLive, .integer(Int64(flux.seriesLive))),
            (Field.refusedSymbols, joined(refusedSymbols.map(\.text))), (Field.candlesTotal, .integer(Int64(clamping: candlesTotal))),
            (Field.gapsOpen, .integer(Int64(clamping: gapsOpen))), (Field.history, .integer(Int64(history))),
        ]
    }
}

/// How the service stands, as `status:service` has it.
public struct ServiceStatus: Sendable, Equatable {
    /// A number of the service's, by its name.
    public struct Figure: Sendable, Equatable {
        /// As metrics and logs have it: `closed_pending`.
        public let name: String
        /// Nil while it has not been measured.
        public let value: UInt64?

        package init(_ name: String, _ value: UInt64?) { (self.name, self.value) = (name, value) }
    }

    /// Why a part does not work.
    public struct Trouble: Sendable, Equatable {
        /// Which part does not work.
        public let part: ServicePart
        /// One sentence, with what the other side has said.
        public let reason: String
        /// When it was last seen, Unix ms.
        public let at: Int64
    }

    /// Nil for a state that this version does not know.
    public let state: ServiceState?
    /// Version of the service, `major.minor.patch`.
    public let version: String
    /// Process id of the service, on its host.
    public let pid: Int32
    /// Name of the machine that the service runs on.
    public let host: String
    /// Nil for a market that this version does not know.
    public let market: Market?
    /// When the service started, and when it last wrote its status, Unix ms.
    public let startedAt, heartbeatAt: Int64
    /// Of each part that does not work, the newest; gone when the part works again.
    public let troubles: [Trouble]
    /// `single`, or `sentinel`; and where the server is that is written to, `host:port` or a path. Empty while nobody knows, and of a
    /// service that does not say it.
    public let redisMode, redisPrimary: String
    /// How updates are published. Nil for a word that this version does not know, and of a service that does not say it.
    public let updates: UpdateMode?
    /// Counters, gauges and latencies (µs) by name, in the service's order: the list grows with the service.
    public let figures: [Figure]

    /// The value of the figure with this name; nil when there is none, or while it has not been measured.
    public subscript(name: String) -> UInt64? { figures.first { $0.name == name }?.value }
}

extension ServiceStatus: StatusMembers {
    private static let unmeasured = JSONValue.string("")

    package init(_ value: JSONValue) throws(Malformed) {
        let head =
            [
                Field.state, Field.version, Field.pid, Field.host, Field.market, Field.startedAt, Field.heartbeatAt, Field.redisMode,
                Field.redisPrimary, Field.updateMode,
            ]
            + ServicePart.allCases.flatMap { [Field.reason($0), Field.reasonAt($0)] }
        let others = (value.members ?? []).filter { !head.contains($0.key) }
        var troubles: [Trouble] = []
        for part in ServicePart.allCases {
            guard let reason = try value.optional(Field.reason(part), "a text", \.string), !reason.isEmpty else { continue }
            troubles.append(Trouble(part: part, reason: reason, at: try value.instant(Field.reasonAt(part)) ?? 0))
        }
        self.init(
            state: ServiceState(rawValue: try value.text(Field.state)), version: try value.text(Field.version),
            pid: Int32(clamping: try value.number(Field.pid)), host: try value.text(Field.host),
            market: Market(rawValue: try value.text(Field.market)), startedAt: try value.number(Field.startedAt),
            heartbeatAt: try value.number(Field.heartbeatAt), troubles: troubles,
            redisMode: try value.optional(Field.redisMode, "a text", \.string) ?? "",
            redisPrimary: try value.optional(Field.redisPrimary, "a text", \.string) ?? "",
            updates: try value.optional(Field.updateMode, "a text", \.string).flatMap { UpdateMode(rawValue: $0) },
            figures: others.compactMap { member in
                if member.value == ServiceStatus.unmeasured { return Figure(member.key, nil) }
                return member.value.integer.map { Figure(member.key, UInt64(clamping: $0)) }
            })
    }

    package var members: [(String, JSONValue)] {
        let redis: [(String, JSONValue)] = [
            (Field.redisMode, .string(redisMode)), (Field.redisPrimary, .string(redisPrimary)),
            (Field.updateMode, .string(updates?.rawValue ?? "")),
        ]
        let errors = ServicePart.allCases.flatMap { part -> [(String, JSONValue)] in
            let trouble = troubles.first { $0.part == part }
            return [(Field.reason(part), .string(trouble?.reason ?? "")), (Field.reasonAt(part), .integer(trouble?.at ?? 0))]
        }
        return [
            (Field.state, .string(state?.rawValue ?? "")), (Field.version, .string(version)), (Field.pid, .integer(Int64(pid))),
            (Field.host, .string(host)), (Field.market, .string(market?.rawValue ?? "")), (Field.startedAt, .integer(startedAt)),
            (Field.heartbeatAt, .integer(heartbeatAt)),
        ] + errors + redis + figures.map { ($0.name, $0.value.map { .integer(Int64(clamping: $0)) } ?? ServiceStatus.unmeasured) }
    }
}
