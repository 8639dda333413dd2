// What `/api/…` and `/events` say, as members of JSON. Decimals stay texts; instants are Unix ms, latencies µs. Pure.

import FastFeed
import Glibc

enum OpsViews {
    private static func micros(_ ns: UInt64?) -> JSONValue { ns.map { .integer(Int64(clamping: $0 / 1_000)) } ?? .null }
    private static func count(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
    private static func decimal(_ value: Double) -> JSONValue { .number("\((value * 10).rounded() / 10)") }

    // MARK: Overview

    /// - Parameter isWhole: with the points of ten minutes; else with the newest alone.
    static func overview(
        _ facts: OpsFacts, _ history: OpsHistory, _ warnings: [WarningBoard.Line], isWhole: Bool = true
    ) -> [(String, JSONValue)] {
        let (minute, last) = (history.minute(facts), history.points.last)
        let counters = facts.snapshot.counters
        return [
            (
                "now",
                .members([
                    ("messages_per_second", decimal(last?.messages ?? 0)), ("candles_per_second", decimal(last?.candles ?? 0)),
                    ("closed_pending", count(counters[.closedPending])), ("gap_candles_open", .integer(Int64(facts.gaps.open))),
                    ("backfill_candles_open", .integer(Int64(facts.gaps.backfill))),
                    ("redis_connected", .bool(facts.snapshot.isRedisConnected)),
                    ("connections_live", count(counters[.connectionsLive])),
                    ("connections_wanted", .integer(Int64(facts.service.connectionsWanted))),
                    ("series_live", .integer(Int64(facts.series.live))), ("series_waiting", .integer(Int64(facts.series.waiting))),
                    ("series_stale", .integer(Int64(facts.series.stale))), ("series_refused", .integer(Int64(facts.series.refused))),
                ])
            ),
            ("latency", latency(minute.latency)),
            (
                "steps",
                .array(
                    LatencyStage.allCases.map { stage in
                        let histogram = minute.stages[stage]
                        return .members([
                            ("name", .string(stage.name)), ("p50_us", micros(histogram.quantile(0.5))),
                            ("p99_us", micros(histogram.quantile(0.99))),
                        ])
                    })
            ),
            ("points", points(isWhole ? history.points : history.points.suffix(1))),
            ("fluxes", .array(facts.fluxes.map(flux))),
            ("warnings", .array(warnings.map(warning))),
        ]
    }

    /// What every answer has: how the service stands, where its keys are, and what this reader may.
    static func service(_ facts: OpsFacts, _ place: OpsPlace) -> JSONValue {
        .members([
            ("state", .string(facts.service.state.rawValue)), ("version", .string(FastFeedVersion.text)),
            ("pid", .integer(Int64(getpid()))), ("uptime_seconds", count(facts.snapshot.uptimeNs / 1_000_000_000)),
            ("live", .bool(facts.health.isGood(.live))), ("ready", .bool(facts.health.isGood(.ready))),
            ("healthy", .bool(facts.health.isGood(.healthy))),
            ("complaints", .array(facts.health.checks.filter { $0.verdict != .ok }.map { .string("\($0.name): \($0.sentence)") })),
            ("now", .integer(facts.nowMs)), ("market", .string(place.schema.market.rawValue)), ("key_prefix", .string(place.schema.prefix)),
            ("redis", .string("\(place.redis)")), ("may_write", .bool(place.mayWrite)),
        ])
    }

    private static func latency(_ histogram: HistogramSnapshot) -> JSONValue {
        let edges = MetricsText.edges
        let sums = histogram.cumulative(edges.map(\.ns))
        var bars: [JSONValue] = []
        for (index, edge) in edges.enumerated() {
            let own = sums[index] - (index > 0 ? sums[index - 1] : 0)
            bars.append(.members([("le_us", .integer(Int64(edge.ns / 1_000))), ("count", count(own))]))
        }
        return .members([
            ("count", count(histogram.count)), ("p50_us", micros(histogram.quantile(0.5))), ("p99_us", micros(histogram.quantile(0.99))),
            ("p999_us", micros(histogram.quantile(0.999))), ("bars", .array(bars)),
            ("beyond", count(histogram.count - (sums.last ?? 0))),
        ])
    }

    /// In columns: shorter, and as a chart wants them.
    private static func points(_ points: some Collection<OpsHistory.Point>) -> JSONValue {
        func column(_ value: (OpsHistory.Point) -> JSONValue) -> JSONValue { .array(points.map(value)) }
        return .members([
            ("at", column { .integer($0.atMs) }), ("messages", column { decimal($0.messages) }),
            ("candles", column { decimal($0.candles) }), ("closed", column { decimal($0.closed) }),
            ("p50_us", column { micros($0.p50) }), ("p99_us", column { micros($0.p99) }),
            ("pending", column { count($0.pending) }), ("gap_candles_open", column { count($0.gapsOpen) }),
            ("redis_up", column { .bool($0.isRedisUp) }),
        ])
    }

    private static func warning(_ line: WarningBoard.Line) -> JSONValue {
        .members([
            ("at", .integer(line.atMs)), ("level", .string(line.level)), ("message", .string(line.message)),
            ("fields", .members(line.fields.map { ($0.0, .string($0.1)) })),
        ])
    }

    // MARK: Fluxes

    private static func flux(_ one: FluxOnBoard) -> JSONValue { .members(fluxMembers(one)) }

    private static func fluxMembers(_ one: FluxOnBoard) -> [(String, JSONValue)] {
        let silent = one.series.filter { SeriesTally.condition($0.standing) == .stale }
        return [
            (Field.fluxID, .string(one.flux.id)), (Field.interval, .string(one.flux.interval.token)),
            (Field.state, .string(one.standing.state.rawValue)), (Field.origin, .string(one.flux.origin.rawValue)),
            (Field.createdAt, .integer(one.flux.createdAtMs)), (Field.lastUpdateAt, .integer(one.standing.lastUpdateMs)),
            (Field.series, .integer(Int64(one.series.count))), (Field.seriesLive, .integer(Int64(one.standing.seriesLive))),
            ("series_stale", .integer(Int64(silent.count))), (Field.candlesTotal, count(one.standing.candlesTotal)),
            ("updates_total", count(one.standing.updatesTotal)), (Field.gapsOpen, count(one.standing.gapsOpen)),
            ("silent", .array(silent.prefix(5).map { .string($0.symbol.name) })),
        ]
    }

    static func fluxes(_ facts: OpsFacts) -> [(String, JSONValue)] { [(Field.fluxes, .array(facts.fluxes.map(flux)))] }

    static func flux(_ one: FluxOnBoard, _ gaps: [Gap], _ ended: [EndedGap]) -> [(String, JSONValue)] {
        let symbols = Set(one.flux.symbols)
        func isOwn(_ gap: Gap) -> Bool { gap.series.interval == one.flux.interval && symbols.contains(gap.series.symbol) }
        let series = one.series.map { JSONValue.members(seriesMembers($0.symbol, $0.standing)) }
        return fluxMembers(one) + [("symbols", .array(series))] + holes(gaps.filter(isOwn), ended.filter { isOwn($0.gap) })
    }

    private static func seriesMembers(_ symbol: Symbol, _ standing: FluxStanding) -> [(String, JSONValue)] {
        [
            (Field.symbol, .string(symbol.name)), (Field.state, .string(standing.state.rawValue)),
            (Field.lastUpdateAt, .integer(standing.lastUpdateMs)), (Field.candlesTotal, count(standing.candlesTotal)),
            ("updates_total", count(standing.updatesTotal)), (Field.gapsOpen, count(standing.gapsOpen)),
        ]
    }

    private struct Found {
        let symbol: Symbol
        let one: FluxOnBoard
        let standing: FluxStanding

        var json: JSONValue {
            .members(
                [(Field.interval, .string(one.flux.interval.token)), (Field.fluxID, .string(one.flux.id))]
                    + seriesMembers(symbol, standing))
        }
    }

    /// The symbol of that name first, then those that begin so, then those that have it in them.
    static func find(_ facts: OpsFacts, _ text: String) -> [(String, JSONValue)] {
        func rank(_ name: String) -> Int? {
            name == text ? 0 : name.hasPrefix(text) ? 1 : name.utf8.contains(text.utf8) ? 2 : nil
        }
        var (found, ranks): ([(rank: Int, series: Found)], [Symbol: Int?]) = ([], [:])
        for one in facts.fluxes {
            for (symbol, standing) in one.series {
                let known = ranks[symbol] ?? rank(symbol.name)
                ranks[symbol] = known
                if let known { found.append((known, Found(symbol: symbol, one: one, standing: standing))) }
            }
        }
        func order(_ one: (rank: Int, series: Found)) -> (Int, Symbol, UInt8) {
            (one.rank, one.series.symbol, one.series.one.flux.interval.rawValue)
        }
        found.sort { order($0) < order($1) }
        let shown = found.prefix(OpsLimits.foundMax)
        return [(Field.series, .array(shown.map(\.series.json))), (Field.more, .integer(Int64(found.count - shown.count)))]
    }

    static func followed(_ facts: OpsFacts, _ symbols: [Symbol]) -> [(String, JSONValue)] {
        var intervals: [Symbol: Set<Interval>] = Dictionary(symbols.map { ($0, []) }) { first, _ in first }
        for one in facts.fluxes {
            for symbol in one.flux.symbols where intervals[symbol] != nil { intervals[symbol]!.insert(one.flux.interval) }
        }
        let lists = intervals.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }
        return [
            (
                "followed",
                .members(lists.map { ($0.key.name, .array($0.value.sorted { $0.rawValue < $1.rawValue }.map { .string($0.token) })) })
            )
        ]
    }

    /// One series: the fluxes that follow it, its holes.
    static func series(_ facts: OpsFacts, _ series: Series, _ gaps: [Gap], _ ended: [EndedGap]) -> [(String, JSONValue)] {
        let found = facts.fluxes.filter { $0.flux.interval == series.interval }.compactMap { one in
            one.series.first { $0.symbol == series.symbol }.map { Found(symbol: $0.symbol, one: one, standing: $0.standing) }
        }
        return [(Field.fluxes, .array(found.map(\.json)))] + holes(gaps, ended.filter { $0.gap.series == series })
    }

    // MARK: Gaps, connections

    static func gaps(_ facts: OpsFacts, _ gaps: [Gap], _ ended: [EndedGap]) -> [(String, JSONValue)] {
        let rest = facts.rest ?? RestStatistics()
        return [
            ("open", .integer(Int64(facts.gaps.open))), ("backfill", .integer(Int64(facts.gaps.backfill))),
            ("absent", .integer(Int64(facts.gaps.absent))), ("unlisted", .integer(Int64(facts.unlistedGaps))),
            ("healed", count(facts.snapshot.counters[.gapCandlesHealed])),
            (
                "rest",
                .members([
                    ("weight_used", .integer(Int64(rest.weightSpent))), ("weight_allowed", .integer(Int64(rest.weightAllowed))),
                    ("weight_of_address", .integer(Int64(rest.weightReported))),
                    ("blocked_until", .integer(rest.blockedUntilMs > facts.nowMs ? rest.blockedUntilMs : 0)),
                ])
            ),
        ] + holes(gaps, ended)
    }

    /// Those that may still be filled first; and those that have ended, the newest.
    private static func holes(_ gaps: [Gap], _ ended: [EndedGap]) -> [(String, JSONValue)] {
        let ordered = gaps.filter { $0.state != .absent } + gaps.filter { $0.state == .absent }
        let listed = ordered.prefix(Limits.gapsListedMax)
        return [
            (Field.gaps, .array(listed.map { .members(members($0) + [("next", .integer($0.nextMs))]) })),
            (Field.more, .integer(Int64(ordered.count - listed.count))),
            (
                "ended",
                .array(
                    ended.prefix(OpsLimits.endedMax).map { one in
                        .members(
                            members(one.gap).filter { $0.0 != Field.state }
                                + [("ending", .string(one.ending.rawValue)), ("ended_at", .integer(one.endedMs))])
                    })
            ),
        ]
    }

    private static func members(_ gap: Gap) -> [(String, JSONValue)] { GapSummary(gap).members + [("since", .integer(gap.seenMs))] }

    static func connections(_ facts: OpsFacts, _ reports: [ConnectionReport]) -> [(String, JSONValue)] {
        func instant(_ ns: UInt64) -> JSONValue {
            ns == 0 || ns == .max ? .integer(0) : .integer(facts.nowMs - (Int64(clamping: facts.nowNs) - Int64(clamping: ns)) / 1_000_000)
        }
        let list = reports.map { report in
            JSONValue.members([
                ("connection", .string(report.label)), (Field.host, .string(report.host)), (Field.state, .string(report.state)),
                ("streams", .integer(Int64(report.streams))), ("attempts", .integer(Int64(report.attempts))),
                ("opened_at", instant(report.openedNs)), ("last_received_at", instant(report.lastReceivedNs)),
                ("replaced_at", instant(report.rollAtNs)), ("received_bytes", count(report.bytesReceived)),
                ("last_loss", .string(report.lastLoss)),
            ])
        }
        return [
            ("live", count(facts.snapshot.counters[.connectionsLive])), ("wanted", .integer(Int64(facts.service.connectionsWanted))),
            ("connections", .array(list)),
        ]
    }

    // MARK: Redis, system

    static func redis(_ sight: RedisSight, _ standing: RedisStanding, _ counters: CounterSnapshot) -> [(String, JSONValue)] {
        let info = sight.info
        func number(_ name: String) -> (String, JSONValue) { (name, info?.number(name).map { count($0) } ?? .null) }
        func text(_ name: String) -> (String, JSONValue) { (name, info?[name].map { .string($0) } ?? .null) }
        let numbers = [
            "uptime_in_seconds", "used_memory", "used_memory_peak", "maxmemory", "connected_clients", "blocked_clients",
            "instantaneous_ops_per_sec", "total_commands_processed", "keyspace_hits", "keyspace_misses", "evicted_keys", "expired_keys",
            "total_net_input_bytes", "total_net_output_bytes", "connected_slaves", "aof_delayed_fsync", "aof_current_size",
            "master_repl_offset",
        ]
        let texts = ["redis_version", "role", "maxmemory_policy", "aof_enabled", "aof_last_write_status", "aof_last_bgrewrite_status"]
        return [
            ("connected", .bool(sight.isConnected)), ("reason", sight.reason.map { .string($0) } ?? .null),
            ("seen_at", .integer(sight.seenMs)), ("mode", .string(standing.mode)), ("primary", .string(standing.primary)),
            ("failovers", count(counters[.redisFailovers])), ("closed_again", count(counters[.closedAgain])),
            ("closed_again_missing", count(counters[.closedAgainMissing])),
        ] + texts.map(text) + numbers.map(number) + [
            ("replication_lag_bytes", info.map { count($0.replicationLag) } ?? .null),
            ("remarks", .array((info?.remarks ?? []).map { .string($0) })),
            ("slow_commands", sight.slowCount.map { count($0) } ?? .null), ("slow_log", .array(sight.slowLog)),
            ("latency_events", .array(sight.latencyEvents)),
        ]
    }

    static func system(_ facts: OpsFacts, settings: [(String, String)], logLinesDropped: UInt64) -> [(String, JSONValue)] {
        let process = ProcessFigures()
        let counters = CounterID.allCases.map { id in
            JSONValue.members([
                ("name", .string(id.name)), ("unit", .string(id.unit)), ("sentence", .string(id.sentence)),
                ("value", count(facts.snapshot.counters[id])),
            ])
        }
        let threads = facts.threads.map { thread in
            JSONValue.members([
                ("name", .string(thread.name)), ("busy_ms", count(thread.busyNs / 1_000_000)),
                ("stalled_ms", count(thread.stalledNs / 1_000_000)),
            ])
        }
        return [
            ("simd", .string(KlineParser.kernel)), ("threads", .array(threads)),
            ("rings", .array(facts.ringCounts.map { .integer(Int64(max(0, $0))) })),
            ("ring_capacity", .integer(Int64(Limits.ringRecordCount))),
            ("resident_bytes", count(facts.snapshot.residentBytes)), ("virtual_bytes", count(process.virtualBytes)),
            ("heap_allocated_bytes", facts.snapshot.heapAllocatedBytes.map { count($0) } ?? .null),
            ("cpu_seconds", .number("\(process.cpuSeconds)")), ("open_descriptors", .integer(Int64(process.openDescriptors))),
            ("max_descriptors", count(process.maxDescriptors)), ("log_lines_dropped", count(logLinesDropped)),
            ("settings", .members(settings.map { ($0.0, .string($0.1)) })), ("counters", .array(counters)),
        ]
    }
}

/// Where the service's data is, and whether who may ask may also change something: with a token both need it, without nobody may.
struct OpsPlace {
    let schema: KeySchema
    /// Shown without credentials.
    let redis: RedisEndpoint
    let mayWrite: Bool
}
