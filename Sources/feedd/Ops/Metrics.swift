// The metrics of `/metrics`: which name each figure has, and how it is labelled. Pure. docs/operations.md lists them all, and a test
// compares that table with what is written here.
//
// Every series is there from the first scrape, at zero: Prometheus does not see the first step of a series that comes later.

import FastFeed

enum Metrics {
    /// What the ops server knows of itself.
    struct OwnFigures {
        var answers: [Int: UInt64] = [:]
        var (connections, streams) = (0, 0)
        var evicted: UInt64 = 0
        var scrapeSeconds = 0.0
        var logLinesDropped: UInt64 = 0
        var fluxesExportedMax = OpsLimits.fluxesExported
        var closedQueueMax = 0
        var durations: [(kind: CommandKind, histogram: HistogramSnapshot)] = []
    }

    /// The counters and gauges that the engine's banks keep, under their metrics' names; those of one name stand together.
    static let ofBanks: [(id: CounterID, name: String, label: (String, String)?)] =
        [
            (.bytesReceived, "feedd_received_bytes_total", nil), (.messagesReceived, "feedd_messages_total", nil),
            (.noticesReceived, "feedd_notices_total", nil), (.layoutMisses, "feedd_layout_misses_total", nil),
        ]
        + CounterID.allCases.filter(\.isRejection).map {
            ($0, "feedd_rejected_total", ("reason", String($0.name.dropFirst("rejected_".count))))
        }
        + [
            (.connectionsLive, "feedd_connections", nil), (.connectionsOpened, "feedd_connections_opened_total", nil),
            (.reconnects, "feedd_reconnects_total", nil), (.rollovers, "feedd_rollovers_total", nil),
            (.protocolViolations, "feedd_protocol_violations_total", nil),
        ]
        + [CounterID.endedByPeer, .endedByNetwork, .endedBySilence, .endedByViolation, .endedByRollover, .endedByStop].map {
            ($0, "feedd_connections_closed_total", ("reason", String($0.name.dropFirst("ended_by_".count))))
        }
        + [
            CounterID.connectFailedDns, .connectFailedTcp, .connectFailedProxy, .connectFailedTls, .connectFailedHttp,
            .connectFailedTimeout,
        ].map { ($0, "feedd_connect_failures_total", ("reason", String($0.name.dropFirst("connect_failed_".count)))) }
        + [
            (.subscribeRequests, "feedd_subscribe_requests_total", nil), (.subscribeErrors, "feedd_subscribe_errors_total", nil),
            (.backPressureStalls, "feedd_back_pressure_stalls_total", nil),
            (.recordsTaken, "feedd_records_total", nil), (.duplicates, "feedd_duplicates_total", nil),
            (.coalesced, "feedd_coalesced_total", nil), (.staleGeneration, "feedd_stale_generation_total", nil),
            (.closedReceived, "feedd_closed_candles_received_total", nil), (.closedPending, "feedd_closed_candles_pending", nil),
            (.closedHeld, "feedd_closed_candles_held", nil), (.closedQueueOverflow, "feedd_closed_queue_overflow_total", nil),
            (.gapsSeen, "feedd_gaps_total", nil), (.gapCandlesMissing, "feedd_gap_candles_missing_total", nil),
            (.gapCandlesFilled, "feedd_gap_candles_filled_total", nil), (.gapCandlesHealed, "feedd_gap_candles_healed_total", nil),
            (.tradeIDBreaks, "feedd_trade_id_breaks_total", nil), (.lateCloses, "feedd_late_closes_total", nil),
            (.muteStreams, "feedd_mute_streams_total", nil), (.auditChecked, "feedd_audit_candles_total", nil),
            (.auditMismatches, "feedd_audit_mismatches_total", nil), (.healRequests, "feedd_heal_requests_total", nil),
            (.healRequestsFailed, "feedd_heal_request_failures_total", nil), (.healRecords, "feedd_heal_records_total", nil),
            (.healedWritten, "feedd_healed_candles_written_total", nil), (.candlesWritten, "feedd_candles_written_total", nil),
            (.closedWritten, "feedd_closed_candles_written_total", nil), (.batchesSent, "feedd_batches_total", nil),
            (.bytesSent, "feedd_sent_bytes_total", nil), (.repliesReceived, "feedd_replies_total", nil),
            (.historyScripts, "feedd_history_scripts_total", nil), (.redisReconnects, "feedd_redis_reconnects_total", nil),
            (.redisFailovers, "feedd_redis_failovers_total", nil), (.closedAgain, "feedd_closed_candles_again_total", nil),
            (.closedAgainMissing, "feedd_closed_candles_again_missing_total", nil),
            (.redisRedirects, "feedd_redis_redirects_total", nil), (.redisLanes, "feedd_redis_lanes", nil),
            (.redisLanesUp, "feedd_redis_lanes_up", nil),
            (.redisErrorsRetried, "feedd_redis_errors_retried_total", nil), (.redisRejected, "feedd_candles_rejected_total", nil),
            (.closedRejected, "feedd_closed_candles_rejected_total", nil), (.updatesRefused, "feedd_updates_refused_total", nil),
            (.commandsReceived, "feedd_commands_received_total", nil), (.commandsAnswered, "feedd_commands_answered_total", nil),
            (.commandsRefused, "feedd_commands_refused_total", nil), (.commandsRepeated, "feedd_commands_repeated_total", nil),
            (.commandsUnanswered, "feedd_commands_unanswered_total", nil), (.cacheHits, "feedd_cache_hits_total", nil),
            (.mailboxRefusals, "feedd_mailbox_refusals_total", nil),
            (.groupMembers, "feedd_group_members", nil), (.groupWriters, "feedd_group_writers", nil),
            (.groupBlind, "feedd_group_blind", nil), (.groupEpoch, "feedd_group_epoch", nil), (.groupUnits, "feedd_group_symbols", nil),
            (.seriesWatched, "feedd_series_watched", nil), (.closedWatched, "feedd_closed_candles_watched_total", nil),
        ]

    /// What labelled families say; the others say their counter's sentence.
    private static let helpOfFamilies = [
        "feedd_rejected_total": "Messages refused, by reason.",
        "feedd_connections_closed_total": "Exchange connections that ended, by reason.",
        "feedd_connect_failures_total": "Attempts that ended before the upgrade was complete, by where they failed.",
    ]

    private static func label(_ name: String, _ value: String) -> String { MetricsText.label(name, value) }

    static func text(_ facts: OpsFacts, _ own: OwnFigures) -> String {
        var out = MetricsText()
        writeProcess(facts, &out)
        writeBanks(facts.snapshot.counters, &out)
        writeGauges(facts, own, &out)
        writeHistograms(facts, own, &out)
        writeREST(facts, &out)
        writeFluxes(facts, own, &out)
        writeRedis(facts, own, &out)
        writeOwn(own, &out)
        return out.text
    }

    private static func writeProcess(_ facts: OpsFacts, _ out: inout MetricsText) {
        let figures = ProcessFigures()
        out.begin("feedd_build_info", .gauge, "Which program this is.")
        let labels = [
            label("version", FastFeedVersion.text), label("commit", Build.commit ?? "unknown"), label("simd", KlineParser.kernel),
        ]
        out.add(1, labels.joined(separator: ","))
        out.single("process_start_time_seconds", .gauge, "Start of the process, Unix seconds.", ProcessFigures.startSeconds)
        out.single("process_cpu_seconds_total", .counter, "CPU time, user and system.", figures.cpuSeconds)
        out.single("process_resident_memory_bytes", .gauge, "Resident memory.", facts.snapshot.residentBytes)
        out.single("process_virtual_memory_bytes", .gauge, "Virtual memory.", figures.virtualBytes)
        out.single("process_open_fds", .gauge, "Open file descriptors.", UInt64(figures.openDescriptors))
        out.single("process_max_fds", .gauge, "The most file descriptors.", figures.maxDescriptors)
        out.single("feedd_heap_allocated_bytes", .gauge, "Bytes in live allocations.", facts.snapshot.heapAllocatedBytes ?? 0)
        out.single(
            "feedd_data_path_allocated_bytes_total", .counter,
            "Bytes ever allocated by the threads of the data path; stands still while nothing but data flows.",
            facts.snapshot.dataThreadsAllocatedBytes ?? 0)
        for (name, scope) in [("live", HealthReport.Scope.live), ("ready", .ready), ("healthy", .healthy)] {
            out.begin("feedd_\(name)", .gauge, "1 while the probe says so.")
            out.add(facts.health.isGood(scope))
        }
        out.begin("feedd_thread_busy_seconds_total", .counter, "Time that a thread has spent in turns, waiting left out.")
        for thread in facts.threads { out.add(Double(thread.busyNs) / 1e9, label("thread", thread.name)) }
        out.begin("feedd_thread_stalled_seconds", .gauge, "How long a thread has not answered a wake-up; 0 while it does.")
        for thread in facts.threads { out.add(Double(thread.stalledNs) / 1e9, label("thread", thread.name)) }
        out.begin("feedd_ring_records", .gauge, "Records between a reader and the sink.")
        for (reader, count) in facts.ringCounts.enumerated() { out.add(max(0, count), label("reader", "\(reader)")) }
        out.begin("feedd_ring_capacity_records", .gauge, "Places for records between a reader and the sink.")
        for reader in facts.ringCounts.indices { out.add(Limits.ringRecordCount, label("reader", "\(reader)")) }
    }

    private static func writeBanks(_ counters: CounterSnapshot, _ out: inout MetricsText) {
        var family = ""
        for (id, name, own) in ofBanks {
            if name != family {
                out.begin(name, id.kind == .gauge ? .gauge : .counter, helpOfFamilies[name] ?? id.sentence)
                family = name
            }
            out.add(counters[id], own.map { label($0.0, $0.1) } ?? "")
        }
    }

    private static func writeGauges(_ facts: OpsFacts, _ own: OwnFigures, _ out: inout MetricsText) {
        let counters = facts.snapshot.counters
        out.single(
            "feedd_connections_wanted", .gauge, "Exchange connections that the fluxes need.", UInt64(facts.service.connectionsWanted))
        out.single(
            "feedd_closed_candles_pending_max", .gauge, "Closed candles that may wait; beyond, the oldest become gaps.",
            UInt64(own.closedQueueMax))
        out.single(
            "feedd_closed_candle_oldest_pending_seconds", .gauge, "For how long the oldest closed candle in the queue has waited.",
            Double(facts.oldestPendingNs) / 1e9)
        out.single("feedd_gap_candles_open", .gauge, "Missed closed candles that are not filled yet.", UInt64(facts.gaps.open))
        out.single("feedd_gap_candles_absent", .gauge, "Open times of which the exchange has no bar.", UInt64(facts.gaps.absent))
        out.single(
            "feedd_backfill_candles_open", .gauge, "Older closed candles that are wanted and not there yet.", UInt64(facts.gaps.backfill))
        out.single(
            "feedd_gaps_unlisted_total", .counter, "Gaps that did not fit the list and were only counted.", UInt64(facts.unlistedGaps))
        out.single(
            "feedd_cache_requests_total", .counter, "Requests for data that the cache of the exchange's answers was asked for.",
            counters[.cacheHits] &+ counters[.cacheMisses])
    }

    private static func writeHistograms(_ facts: OpsFacts, _ own: OwnFigures, _ out: inout MetricsText) {
        let remark = " Buckets err to the slow side by at most 1.6 %, the sum by 0.8 %."
        out.begin("feedd_latency_seconds", .histogram, "From the readable socket to Redis's acknowledgement, each candle state." + remark)
        out.add(facts.snapshot.latency)
        out.begin("feedd_latency_step_seconds", .histogram, "The parts of that way." + remark)
        for stage in LatencyStage.allCases { out.add(facts.snapshot.stages[stage], label("step", stage.name)) }
        out.begin(
            "feedd_closed_candle_delay_seconds", .histogram,
            "From the end of a bar, by the exchange's clock, to the acknowledgement of its live closed candle." + remark)
        out.add(facts.delays.closed)
        out.begin(
            "feedd_exchange_delay_seconds", .histogram,
            "From the exchange's event to our socket, by both clocks, less than nothing counted as nothing; the newest event of a turn."
                + remark)
        out.add(facts.delays.exchange)
        out.begin("feedd_command_duration_seconds", .histogram, "From a request to its answer, of those carried out." + remark)
        for (kind, histogram) in own.durations { out.add(histogram, label("command", kind.rawValue)) }
    }

    private static func writeREST(_ facts: OpsFacts, _ out: inout MetricsText) {
        let rest = facts.rest ?? RestStatistics()
        out.begin("feedd_rest_requests_total", .counter, "Requests to the exchange's REST interface, by what became of them.")
        for (outcome, count) in [("served", rest.served), ("limited", rest.limited), ("failed", rest.failed)] {
            out.add(count, label("outcome", outcome))
        }
        out.single("feedd_rest_weight_used", .gauge, "Our request weight of this minute.", UInt64(max(0, rest.weightSpent)))
        out.single("feedd_rest_weight_max", .gauge, "What we allow ourselves of it.", UInt64(max(0, rest.weightAllowed)))
        let blockedMs = rest.blockedUntilMs > facts.nowMs ? rest.blockedUntilMs - facts.nowMs : 0
        out.single(
            "feedd_rest_blocked_seconds", .gauge, "How long we keep away still, after the exchange's 429 or 418.", Double(blockedMs) / 1_000
        )
    }

    private static func writeFluxes(_ facts: OpsFacts, _ own: OwnFigures, _ out: inout MetricsText) {
        out.begin("feedd_fluxes", .gauge, "Fluxes by state, all of them.")
        let found = Dictionary(grouping: facts.fluxes, by: \.standing.state).mapValues(\.count)
        for state in FluxState.allCases { out.add(found[state] ?? 0, label("state", state.rawValue)) }
        out.begin("feedd_series", .gauge, "Series by condition, all of them.")
        let series = facts.series
        let counts = [
            (SeriesTally.Condition.live, series.live), (.waiting, series.waiting), (.stale, series.stale), (.refused, series.refused),
        ]
        for (condition, count) in counts { out.add(count, label("condition", condition.rawValue)) }
        let shown = facts.fluxes.sorted { ($0.flux.createdAtMs, $0.flux.id) < ($1.flux.createdAtMs, $1.flux.id) }.prefix(
            own.fluxesExportedMax)
        out.single(
            "feedd_fluxes_not_exported", .gauge, "Fluxes that have no series of their own here: the oldest have.",
            UInt64(facts.fluxes.count - shown.count))
        // Each flux's label is rendered once: with many of them this is most of the text.
        let labels = shown.map { label("flux", $0.flux.id) }
        func each(_ name: String, _ kind: MetricsText.Kind, _ help: String, _ write: (FluxOnBoard, String) -> Void) {
            out.begin("feedd_flux_" + name, kind, help)
            for (one, own) in zip(shown, labels) { write(one, own) }
        }
        each("info", .gauge, "A flux.") { one, own in
            out.add(1, "\(own),\(label("interval", one.flux.interval.token)),\(label("origin", one.flux.origin.rawValue))")
        }
        let states = FluxState.allCases.map { ($0, "," + label("state", $0.rawValue)) }
        each("state", .gauge, "1 for the state in which the flux is.") { one, own in
            for (state, text) in states { out.add(one.standing.state == state, own + text) }
        }
        let conditions = SeriesTally.Condition.allCases.map { ($0, "," + label("condition", $0.rawValue)) }
        each("series", .gauge, "A flux's series by condition.") { one, own in
            var counts: [SeriesTally.Condition: Int] = [:]
            for (_, standing) in one.series { counts[SeriesTally.condition(standing), default: 0] += 1 }
            for (condition, text) in conditions { out.add(counts[condition] ?? 0, own + text) }
        }
        each("last_update_timestamp_seconds", .gauge, "When its newest update came, Unix seconds; 0 for never.") { one, own in
            out.add(Double(one.standing.lastUpdateMs) / 1_000, own)
        }
        each("gap_candles_open", .gauge, "Closed candles that its series lack.") { one, own in out.add(one.standing.gapsOpen, own) }
        each("updates_total", .counter, "Kline events that its series' update messages have stood for.") { one, own in
            out.add(one.standing.updatesTotal, own)
        }
        each("closed_candles_total", .counter, "Closed candles of its series.") { one, own in out.add(one.standing.candlesTotal, own) }
    }

    private static func writeRedis(_ facts: OpsFacts, _ own: OwnFigures, _ out: inout MetricsText) {
        out.begin("feedd_redis_up", .gauge, "1 while the connection to Redis stands.")
        out.add(facts.snapshot.isRedisConnected, label("link", "data"))
        out.add(facts.service.isRedisConnected, label("link", "control"))
        out.add(facts.redis.isConnected, label("link", "ops"))
        out.single("feedd_redis_sentinels", .gauge, "Sentinels that are asked for the primary.", UInt64(facts.sentinels.named))
        out.single(
            "feedd_redis_sentinels_answering", .gauge, "Of these, those whose last word was believed.", UInt64(facts.sentinels.answering))
        out.begin("feedd_redis_replica_read", .gauge, "1 while each primary has a replica that can be read from.")
        out.add(facts.isReplicaRead)
        guard let info = facts.redis.info else { return }
        func gauge(_ name: String, _ field: String, _ help: String) {
            out.single("feedd_redis_" + name, .gauge, help, info.number(field) ?? 0)
        }
        gauge("used_memory_bytes", "used_memory", "Memory that Redis uses.")
        gauge("max_memory_bytes", "maxmemory", "What it may use; 0 without a limit.")
        gauge("clients", "connected_clients", "Clients connected to Redis.")
        gauge("replicas", "connected_slaves", "Replicas connected to Redis.")
        out.single(
            "feedd_redis_replication_lag_bytes", .gauge, "How far the slowest replica is behind; 0 without one.", info.replicationLag)
        out.begin("feedd_redis_aof_enabled", .gauge, "1 when Redis writes a log of its own.")
        out.add(info.isAOFEnabled)
        out.begin("feedd_redis_aof_last_write_ok", .gauge, "1 when the last write to that log succeeded.")
        out.add(info.isLastWriteGood)
        func counter(_ name: String, _ value: UInt64?, _ help: String) {
            out.single("feedd_redis_" + name, .counter, help, value ?? 0)
        }
        counter("commands_total", info.number("total_commands_processed"), "Commands that Redis has carried out, of all its clients.")
        counter("keyspace_hits_total", info.number("keyspace_hits"), "Reads that have found their key.")
        counter("keyspace_misses_total", info.number("keyspace_misses"), "Reads that have not.")
        counter("evicted_keys_total", info.number("evicted_keys"), "Keys evicted because memory was short.")
        counter("slow_commands_total", facts.redis.slowCount, "Commands that got into Redis's slow log.")
        out.begin("feedd_redis_info", .gauge, "Which Redis this is.")
        out.add(
            1, [label("version", info.version), label("role", info.role), label("maxmemory_policy", info.policy)].joined(separator: ","))
    }

    private static func writeOwn(_ own: OwnFigures, _ out: inout MetricsText) {
        out.begin("feedd_http_requests_total", .counter, "Requests to this server, by status.")
        for (status, count) in own.answers.sorted(by: { $0.key < $1.key }) { out.add(count, label("code", "\(status)")) }
        out.single("feedd_http_connections", .gauge, "Connections to this server.", UInt64(own.connections))
        out.single("feedd_event_streams", .gauge, "Streams of events that are open.", UInt64(own.streams))
        out.single("feedd_http_evicted_total", .counter, "Connections ended because there were too many.", own.evicted)
        out.single("feedd_scrape_duration_seconds", .gauge, "How long the scrape before this one took here.", own.scrapeSeconds)
        out.single("feedd_log_lines_dropped_total", .counter, "Log lines that nobody took in time.", own.logLinesDropped)
    }
}
