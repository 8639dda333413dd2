// The status hashes: asked of the sink every two seconds, written on change and before they expire, so that a dead
// service is visibly dead.

import Glibc

extension Control {
    /// Asks the sink when it is time; `settle` writes what it answers.
    func refreshStatus(_ nowNs: UInt64) {
        guard status.isDue(nowNs) else { return }
        let list = fluxes.values.sorted { $0.id < $1.id }
        var ids: [UInt32] = []
        var asked: [(flux: String, count: Int)] = []
        for flux in list {
            let handles = flux.series(settings.market).compactMap { placement.handle($0) }
            ids += handles.map(\.id)
            asked.append((flux.id, handles.count))
        }
        guard ports.sink.commands.offer(.report(ids: ids)) else { return status.askLater(nowNs) }
        status.ask(asked, nowNs: nowNs)
    }

    func settle(_ reports: [SeriesReport], _ nowNs: UInt64) {
        let asked = status.asked
        status.endAsking()
        guard reports.count == asked.reduce(0, { $0 + $1.count }) else { return }
        let nowMs = WallClock.nowMs()
        var place = 0
        for (id, count) in asked {
            defer { place += count }
            guard let flux = fluxes[id] else { continue }
            let refused = flux.series(settings.market).count { refusedStreams.contains(VenueProfile.streamName($0)) }
            let ageMs = nowMs - max(flux.createdAtMs, settings.startedAtMs)
            status.set(
                id, StatusBoard.judge(flux, reports[place..<place + count], refusedCount: refused, ageMs: ageMs, nowNs: nowNs))
            guard client != nil, status.mustWrite(id, nowNs: nowNs) else { continue }
            write(settings.schema.fluxStatusKey(id), fluxStatus(flux))
        }
        if client != nil { write(settings.schema.serviceStatusKey, serviceStatus()) }
    }

    private func write(_ key: String, _ pairs: [(String, String)], expirySeconds: Int = StatusBoard.expirySeconds) {
        outgoing.append(["HSET", key] + pairs.flatMap { [$0.0, $0.1] })
        outgoing.append(["EXPIRE", key, String(expirySeconds)])
    }

    /// For those who watch: the end was meant.
    func sayStopped() {
        guard client != nil else { return }
        let key = settings.schema.serviceStatusKey
        outgoing.append(["HSET", key, "state", "stopped", "heartbeat_at", String(WallClock.nowMs())])
        outgoing.append(["EXPIRE", key, "60"])
        for flux in fluxes.values {
            outgoing.append(["HSET", settings.schema.fluxStatusKey(flux.id), "state", "stopped"])
            outgoing.append(["EXPIRE", settings.schema.fluxStatusKey(flux.id), "60"])
        }
    }

    func fluxStatus(_ flux: Flux) -> [(String, String)] {
        let standing = status.standing(of: flux.id)
        let refused = flux.symbols.filter {
            refusedStreams.contains(VenueProfile.streamName(Series(market: settings.market, symbol: $0, interval: flux.interval)))
        }
        return [
            ("flux_id", flux.id), ("state", standing.state.rawValue), ("symbols", flux.symbols.map(\.name).joined(separator: ",")),
            ("interval", flux.interval.token), ("origin", flux.origin.rawValue), ("created_at", String(flux.createdAtMs)),
            ("last_update_at", String(standing.lastUpdateMs)), ("series", String(flux.symbols.count)),
            ("series_live", String(standing.seriesLive)), ("refused_symbols", refused.map(\.name).joined(separator: ",")),
            ("candles_total", String(standing.candlesTotal)), ("gaps_open", String(standing.gapsOpen)), ("history", String(flux.history)),
        ]
    }

    func serviceStatus() -> [(String, String)] {
        guard let snapshot = ports.figures() else { return [] }
        let c = snapshot.counters
        let nowMs = WallClock.nowMs()
        let isLive = c[.connectionsLive] >= UInt64(placement.connectionCount)
        var pairs: [(String, String)] = [
            ("state", isLive ? "live" : nowMs - settings.startedAtMs < 60_000 ? "starting" : "degraded"), ("version", settings.version),
            ("pid", String(getpid())), ("host", Control.hostName), ("market", settings.market.rawValue),
            ("started_at", String(settings.startedAtMs)), ("heartbeat_at", String(nowMs)), ("fluxes", String(fluxes.count)),
            ("series", String(placement.seriesCount)), ("series_ids_in_use", String(placement.idsInUse)),
            ("connections", String(placement.connectionCount)),
            ("messages_total", String(c[.messagesReceived])), ("rejected_total", String(c.rejected)),
            ("resident_bytes", String(snapshot.residentBytes)),
        ]
        let shown: [CounterID] = [
            .connectionsLive, .reconnects, .duplicates, .coalesced, .candlesWritten, .closedWritten, .closedPending, .gapsSeen,
            .gapCandlesMissing, .gapCandlesFilled, .redisReconnects, .commandsReceived, .commandsRefused, .commandsUnanswered, .cacheHits,
            .cacheMisses, .mailboxRefusals,
        ]
        pairs += shown.map { ($0.name, String(c[$0])) }
        func show(_ name: String, _ histogram: HistogramSnapshot) {
            for (figure, share) in [("p50", 0.5), ("p99", 0.99)] {
                pairs.append(("\(name)_\(figure)_us", histogram.quantile(share).map { String($0 / 1_000) } ?? ""))
            }
        }
        show("latency", snapshot.latency)
        for stage in LatencyStage.allCases { show("latency_\(stage.name)", snapshot.stages[stage]) }
        return pairs
    }

    private static let hostName: String = {
        var names = utsname()
        unsafe uname(&names)
        return unsafe withUnsafeBytes(of: names.nodename) { unsafe Ascii.printable($0.prefix { $0 != 0 }, limit: 64) }
    }()
}
