// What the sink does when a connection to Redis begins, ends, or must go elsewhere. The sink's thread alone; rare.

extension CandleWriter {
    mutating func onConnected(_ lane: Row<Lane>) {
        let name = name(lane)
        journal.note(.info, "connected to Redis", key: "redis-connected\(name)", fields: fields(lane))
        if lane.value.link.hasMoved {
            counters.add(.redisFailovers)
            journal.note(.notice, "Redis has another primary; its Sentinels have said which", key: "redis-failover")
        } else if lane.value.link.isAnotherRun {
            journal.note(
                .notice,
                "Redis was started again, or another server answers: candles that it had acknowledged and not kept are missing there",
                key: "redis-run\(name)", fields: fields(lane))
        }
        if let refusal = lane.value.link.scriptRefusal {
            journal.note(
                .warning, "Redis refuses scripts: candles that come late cannot be put in their place", key: "redis-scripts",
                ("reply", refusal))
        }
        // What Redis knows may be older than what it acknowledged (a failover, a restart without its log): the newest states are written
        // again, every closed candle it has not acknowledged, and those it has acknowledged a moment ago; what was removed then is removed
        // again. The healer looks at the rest.
        lane.value.mergeSHA = lane.value.link.scriptSHA
        markDirty(of: lane)
        redo(
            removals: Set(removed.keys).filter { latestIsOf(lane, $0) }, gaps: Set(gaps.all.map(\.series)).filter { historyIsOf(lane, $0) })
        beginRewriting(lane)
        askNow()
        (lane.value.unsentFrom, lane.value.unsentCount, lane.value.unwrittenCount) = (0, 0, 0)
        (lane.value.pausedUntilNs, lane.value.isRefusing) = (0, false)
        lane.value.elsewhere.end()
        lane.value.isReadable = true
        guard isConnected else { return }
        hasTrouble = false
        troubles.clear(.redis)
    }

    /// Fields that were removed a moment ago are removed again, and lists of holes are written again, in the same order in every run.
    mutating func redo(removals again: Set<Series>, gaps: Set<Series>) {
        removed = removed.filter { $0.value > table.held.nowNs }
        removals += again.subtracting(removals).filter { removed[$0] != nil }.sorted { $0.description < $1.description }
        for series in gaps.sorted(by: { $0.description < $1.description }) { gapKeys.add(series, afterHead: table.closed.head) }
    }

    /// The Sentinels may have named another primary: nothing more goes to the old one.
    mutating func followPrimary(_ nowNs: UInt64) {
        guard !isCluster else { return }
        let lane = lanes.row(0)
        if lane.value.link.isOutdated { lose(lane, "another server is Redis's primary now", nowNs) }
        lane.value.link.tryNow()
    }

    mutating func lose(_ lane: Row<Lane>, _ reason: String, _ nowNs: UInt64, peerIsGone: Bool = false) {
        let wasReady = lane.value.link.isReady
        isBlocked = false
        restoreFlight(lane)
        endTakeOvers(lane)
        takeBackAsked(lane)
        if isIdle(lane) {
            close(lane)
            if wasReady { writeElsewhere() }
            return
        }
        let delayNs = lane.value.link.lose(nowNs: nowNs, peerIsGone: peerIsGone)
        counters.add(.redisReconnects)
        wantMap()
        troubles.note(.redis, lane.value.node.map { "\($0): \(reason)" } ?? reason)
        journal.note(
            .warning, wasReady ? "connection to Redis lost" : "cannot connect to Redis", key: "redis-lost:\(name(lane))\(reason)",
            fields: fields(lane) + [("reason", reason), ("retry_in_ms", "\(delayNs / 1_000_000)")])
    }

    /// What was in flight goes back to where it came from.
    mutating func restoreFlight(_ lane: Row<Lane>) {
        for index in 0..<lane.value.batchCount {
            let batch = lane.value.batch(index)
            restore(lane, batch)
            for place in batch.value.openClosed { table.closed.unsend(batch.value.closedPositions[place]) }
        }
        lane.value.forgetFlight()
    }

    private func name(_ lane: Row<Lane>) -> String { lane.value.node.map { ":\($0)" } ?? "" }
    private func fields(_ lane: Row<Lane>) -> [(String, String)] { lane.value.node.map { [("node", "\($0)")] } ?? [] }
}
