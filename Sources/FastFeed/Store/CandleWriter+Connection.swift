// What the sink does when its connection to Redis begins, ends, or must go elsewhere. The sink's thread alone; rare.

extension CandleWriter {
    mutating func onConnected() {
        journal.note(.info, "connected to Redis", key: "redis-connected")
        if link.hasMoved {
            counters.add(.redisFailovers)
            journal.note(.notice, "Redis has another primary; its Sentinels have said which", key: "redis-failover")
        } else if link.isAnotherRun {
            journal.note(
                .notice,
                "Redis was started again, or another server answers: candles that it had acknowledged and not kept are missing there",
                key: "redis-run")
        }
        if let refusal = link.scriptRefusal {
            journal.note(
                .warning, "Redis refuses scripts: candles that come late cannot be put in their place", key: "redis-scripts",
                ("reply", refusal))
        }
        // What Redis knows may be older than what it acknowledged (a failover, a restart without its log): the newest states are written
        // again, every closed candle it has not acknowledged, and those it has acknowledged a moment ago; what was removed then is removed
        // again. The healer looks at the rest.
        removed = removed.filter { $0.value > table.held.nowNs }
        removals += Set(removed.keys).subtracting(removals).sorted { $0.description < $1.description }
        mergeSHA = link.scriptSHA
        table.markAllDirty()
        table.closed.rewind()
        for series in Set(gaps.all.map(\.series)).sorted(by: { $0.description < $1.description }) {
            gapKeys.add(series, afterHead: table.closed.head)
        }
        beginRewriting()
        askNow()
        (unsentFrom, unsentCount, unwrittenCount, pausedUntilNs, isRefusing) = (0, 0, 0, 0, false)
        elsewhere.end()
        isReadable = true
        hasTrouble = false
        troubles.clear(.redis)
    }

    /// The Sentinels may have named another primary: nothing more goes to the old one.
    mutating func followPrimary(_ nowNs: UInt64) {
        if link.isOutdated { lose("another server is Redis's primary now", nowNs) }
        link.tryNow()
    }

    mutating func lose(_ reason: String, _ nowNs: UInt64, peerIsGone: Bool = false) {
        let wasReady = link.isReady
        isBlocked = false
        for index in 0..<batchCount { restore(batches.row((firstBatch + index) % batches.count)) }
        endedCount &+= batchCount
        (batchCount, candlesInFlight, asidesInFlight, unsentFrom, unsentCount, unwrittenCount) = (0, 0, 0, 0, 0, 0)
        (again, isRewriting) = ([], false)
        table.merges.endTakeOvers()
        mergesDueNs = 0
        table.closed.rewind()
        let delayNs = link.lose(nowNs: nowNs, peerIsGone: peerIsGone)
        counters.add(.redisReconnects)
        troubles.note(.redis, reason)
        journal.note(
            .warning, wasReady ? "connection to Redis lost" : "cannot connect to Redis", key: "redis-lost:\(reason)",
            ("reason", reason), ("retry_in_ms", "\(delayNs / 1_000_000)"))
    }
}
