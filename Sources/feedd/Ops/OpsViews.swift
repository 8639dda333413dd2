// What `/api/…` and `/events` say, as JSON. Decimals stay texts; instants are Unix ms, latencies µs. Pure.

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
    ) -> JSONValue {
        let (minute, last) = (history.minute(facts), history.points.last)
        let counters = facts.snapshot.counters
        return .members([
            ("service", service(facts)),
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
        ])
    }

    private static func service(_ facts: OpsFacts) -> JSONValue {
        .members([
            ("state", .string(facts.service.state.rawValue)), ("version", .string(FastFeedVersion.text)),
            ("pid", .integer(Int64(getpid()))), ("uptime_seconds", count(facts.snapshot.uptimeNs / 1_000_000_000)),
            ("live", .bool(facts.health.isGood(.live))), ("ready", .bool(facts.health.isGood(.ready))),
            ("healthy", .bool(facts.health.isGood(.healthy))),
            ("complaints", .array(facts.health.checks.filter { $0.verdict != .ok }.map { .string("\($0.name): \($0.sentence)") })),
            ("now", .integer(facts.nowMs)),
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

    static func fluxes(_ facts: OpsFacts) -> JSONValue { .members([(Field.fluxes, .array(facts.fluxes.map(flux)))]) }

    static func flux(_ one: FluxOnBoard, _ gaps: [Gap]) -> JSONValue {
        let symbols = Set(one.flux.symbols)
        let own = gaps.filter { $0.series.interval == one.flux.interval && symbols.contains($0.series.symbol) }
        let series = one.series.map { symbol, standing in
            JSONValue.members([
                (Field.symbol, .string(symbol.name)), (Field.state, .string(standing.state.rawValue)),
                (Field.lastUpdateAt, .integer(standing.lastUpdateMs)), (Field.candlesTotal, count(standing.candlesTotal)),
                ("updates_total", count(standing.updatesTotal)), (Field.gapsOpen, count(standing.gapsOpen)),
            ])
        }
        return .members(fluxMembers(one) + [("symbols", .array(series)), (Field.gaps, list(own))])
    }

    // MARK: Gaps, connections

    static func gaps(_ facts: OpsFacts, _ gaps: [Gap]) -> JSONValue {
        let rest = facts.rest ?? RestStatistics()
        return .members([
            ("open", .integer(Int64(facts.gaps.open))), ("backfill", .integer(Int64(facts.gaps.backfill))),
            ("absent", .integer(Int64(facts.gaps.absent))), ("unlisted", .integer(Int64(facts.unlistedGaps))),
            ("healed", count(facts.snapshot.counters[.gapCandlesHealed])), (Field.gaps, list(gaps)),
            (
                "rest",
                .members([
                    ("weight_used", .integer(Int64(rest.weightSpent))), ("weight_allowed", .integer(Int64(rest.weightAllowed))),
                    ("weight_of_address", .integer(Int64(rest.weightReported))),
                    ("blocked_until", .integer(rest.blockedUntilMs > facts.nowMs ? rest.blockedUntilMs : 0)),
                ])
            ),
        ])
    }

    /// Those that may still be filled first.
    private static func list(_ gaps: [Gap]) -> JSONValue { .array(GapList(of: gaps).gaps.map(\.json)) }

    static func connections(_ facts: OpsFacts, _ reports: [ConnectionReport]) -> JSONValue {
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
        return .members([
            ("live", count(facts.snapshot.counters[.connectionsLive])), ("wanted", .integer(Int64(facts.service.connectionsWanted))),
            ("connections", .array(list)),
        ])
    }

    // MARK: Redis, system

    static func redis(_ sight: RedisSight) -> JSONValue {
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
        return .members(
            [
                ("connected", .bool(sight.isConnected)), ("reason", sight.reason.map { .string($0) } ?? .null),
                ("seen_at", .integer(sight.seenMs)),
            ]
                + texts.map(text) + numbers.map(number)
                + [
                    ("replication_lag_bytes", info.map { count($0.replicationLag) } ?? .null),
                    ("remarks", .array((info?.remarks ?? []).map { .string($0) })),
                    ("slow_commands", sight.slowCount.map { count($0) } ?? .null), ("slow_log", .array(sight.slowLog)),
                    ("latency_events", .array(sight.latencyEvents)),
                ])
    }

    static func system(_ facts: OpsFacts, settings: [(String, String)], logLinesDropped: UInt64) -> JSONValue {
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
        return .members([
            ("service", service(facts)), ("simd", .string(KlineParser.kernel)), ("threads", .array(threads)),
            ("rings", .array(facts.ringCounts.map { .integer(Int64(max(0, $0))) })),
            ("ring_capacity", .integer(Int64(Limits.ringRecordCount))),
            ("resident_bytes", count(facts.snapshot.residentBytes)), ("virtual_bytes", count(process.virtualBytes)),
            ("heap_allocated_bytes", facts.snapshot.heapAllocatedBytes.map { count($0) } ?? .null),
            ("cpu_seconds", .number("\(process.cpuSeconds)")), ("open_descriptors", .integer(Int64(process.openDescriptors))),
            ("max_descriptors", count(process.maxDescriptors)), ("log_lines_dropped", count(logLinesDropped)),
            ("settings", .members(settings.map { ($0.0, .string($0.1)) })), ("counters", .array(counters)),
        ])
    }
}
