// The status of a group: each member writes its part, and one of them adds the parts up. Pure: parts come in, the whole comes out.

package struct StatusSum: Sendable {
    /// One member's part: the service as it sees itself, and of each flux what it writes.
    package struct Part: Sendable {
        package let service: ServiceStatus
        /// By flux id.
        package let fluxes: [String: FluxStatus]

        package init(service: ServiceStatus, fluxes: [String: FluxStatus]) { (self.service, self.fluxes) = (service, fluxes) }

        /// Nil for what this version cannot read.
        package init?(_ text: String) {
            guard text.utf8.count <= Limits.statusPartBytesMax, let value = try? JSONValue(message: Array(text.utf8)),
                let head = value[Field.service], let service = try? ServiceStatus(head), let list = value[Field.fluxes]?.array
            else { return nil }
            // Of fluxes one that cannot be read is left out.
            let fluxes = list.compactMap { try? FluxStatus($0) }
            self.init(service: service, fluxes: Dictionary(fluxes.map { ($0.flux.id, $0) }) { $1 })
        }

        package var text: String {
            let list = fluxes.sorted { $0.key < $1.key }.map { JSONValue.members($0.value.members) }
            return JSONValue.members([(Field.service, .members(service.members)), (Field.fluxes, .array(list))]).text
        }
    }

    package let service: ServiceStatus
    private let parts: [Part]

    /// - Parameters:
    ///   - own: of the member that adds them up, which is among them.
    ///   - figures: of the group.
    package init(_ parts: [Part], own: ServiceStatus, figures: [ServiceStatus.Figure]) {
        self.parts = parts
        let services = parts.map(\.service)
        let named = Set(figures.map(\.name))
        var sums = own.figures.filter { !named.contains($0.name) }.map { figure in
            ServiceStatus.Figure(figure.name, StatusSum.joined(figure.name, services.compactMap { $0[figure.name] }))
        }
        sums += figures
        let states = services.compactMap(\.state).filter { $0 != .stopped }
        let state: ServiceState = states.contains(.degraded) ? .degraded : states.contains(.starting) ? .starting : .live
        let troubles = ServicePart.allCases.compactMap { part in
            services.flatMap(\.troubles).filter { $0.part == part }.max { $0.at < $1.at }
        }
        service = ServiceStatus(
            state: state, version: own.version, pid: own.pid, host: own.host, market: own.market,
            startedAt: services.map(\.startedAt).min() ?? own.startedAt, heartbeatAt: own.heartbeatAt, troubles: troubles,
            redisMode: own.redisMode, redisPrimary: own.redisPrimary, updates: own.updates, figures: sums)
    }

    /// What is not of one member alone is not added up.
    private static func joined(_ name: String, _ values: [UInt64]) -> UInt64? {
        guard let most = values.max() else { return nil }
        let isShared =
            name.hasPrefix("latency_")
            || [
                Field.fluxes, Field.refusedSymbols, Field.clockDifference, Field.redisReplicas, Field.redisReplicaLag,
                Field.restWeightOfAddress, Field.rival,
            ].contains(name)
        return isShared ? most : values.reduce(0, &+)
    }

    /// How a flux stands, whoever writes what of it.
    package func flux(_ flux: Flux) -> FluxStatus {
        let found = parts.compactMap { $0.fluxes[flux.id] }
        let known = found.reduce(0) { $0 + $1.flux.symbols.count }
        let summary = FluxSummary(
            id: flux.id, symbols: flux.symbols, interval: flux.interval,
            state: StatusSum.state(found.compactMap(\.flux.state), isWhole: known >= flux.symbols.count), createdAt: flux.createdAtMs,
            lastUpdateAt: found.compactMap(\.flux.lastUpdateAt).max(), seriesLive: found.reduce(0) { $0 + $1.flux.seriesLive })
        return FluxStatus(
            flux: summary, origin: flux.origin, refusedSymbols: found.flatMap(\.refusedSymbols),
            candlesTotal: found.reduce(0) { $0 &+ $1.candlesTotal }, gapsOpen: found.reduce(0) { $0 &+ $1.gapsOpen }, history: flux.history)
    }

    /// The worst there is; of those whose symbols have ended, only where all have.
    private static func state(_ states: [FluxState], isWhole: Bool) -> FluxState {
        if states.contains(.stale) { return .stale }
        if !isWhole || states.contains(.starting) { return .starting }
        if states.contains(.healing) { return .healing }
        if states.contains(.live) { return .live }
        return states.contains(.halted) ? .halted : states.first ?? .starting
    }
}

extension StatusDesk {
    /// Our part of the status, as Redis is to keep it for a moment.
    mutating func part(_ book: FluxBook, _ figures: EngineHandles.Figures, member: String, nowMs: Int64) -> [[String]] {
        let fluxes = book.parts.map { ($0.id, fluxStatus($0, book)) }
        let part = StatusSum.Part(
            service: serviceStatus(book, figures, nowMs: nowMs), fluxes: Dictionary(fluxes) { $1 })
        return [["SET", schema.statusPartKey(member), part.text, "EX", String(StatusDesk.expirySeconds)]]
    }

    /// Adds up the parts that Redis has: what it is to be told.
    mutating func add(
        _ parts: [StatusSum.Part], _ book: FluxBook, _ figures: EngineHandles.Figures, group: [ServiceStatus.Figure], nowMs: Int64
    ) -> [[String]] {
        let sum = StatusSum(parts, own: serviceStatus(book, figures, nowMs: nowMs), figures: group)
        self.sum = sum
        var commands: [[String]] = []
        var latest: [String: (status: FluxStatus, atMs: Int64)] = [:]
        for flux in book.list {
            let status = sum.flux(flux)
            if let last = summed[flux.id], last.status == status, (0..<Limits.sumRefreshMs).contains(nowMs &- last.atMs) {
                latest[flux.id] = last
            } else {
                latest[flux.id] = (status, nowMs)
                commands += write(schema.fluxStatusKey(flux.id), status.hash)
            }
        }
        summed = latest
        return commands + write(schema.serviceStatusKey, sum.service.hash)
    }
}
