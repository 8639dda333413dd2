// The sink's part in healing: what it tells the healer and takes from it, and what it writes besides candles and states. The sink's thread
// alone; nothing of this is on the way of a forming state.

extension CandleWriter {
    /// Holes have changed: who waits for them goes on, and Redis is told.
    mutating func noteGaps() {
        gapsVersion = gaps.version
        for series in gaps.takeChanged() {
            table.onGapsChanged(series)
            gapKeys.add(series, afterHead: table.closed.tail)
        }
        let counts = gaps.counts
        counters.set(.gapsOpen, counts.open)
    }

    mutating func take(_ checked: [CheckedSeries]) {
        let queuedMs = table.queuedOpenTimes(of: Set(checked.compactMap { table.series($0.handle.id) }))
        let storedMs = isTakingOver ? table.stored.openTimes(of: Set(checked.map(\.handle))) : [:]
        for series in checked {
            let id = series.handle.id
            let waitingMs = (table.series(id).flatMap { queuedMs[$0] } ?? []) + (storedMs[series.handle] ?? [])
            table.take(series, queuedMs: waitingMs, refusedMs: refused.openTimes(id))
        }
    }

    /// What the healer brings, a little in each turn.
    mutating func takeHealed(_ consumer: Row<SPSCRing<CandleRecord>.Consumer>) {
        guard canTakeHealed else { return }
        let most = min(consumer.value.available(), Limits.healRecordsPerTurnMax)
        var count = 0
        while count < most, !table.closed.isFull {
            table.accept(consumer.value.record(count))
            count += 1
        }
        guard count > 0 else { return }
        consumer.value.free(count)
        healDueNs = table.held.nowNs &+ UInt64(count) * Limits.healRecordPaceNs
        counters.add(.healRecords, count)
    }

    @inline(never)
    mutating func tellSuspects() {
        if hasHealer { for bar in table.suspects { _ = words.offer(.suspect(bar.handle, fromMs: bar.fromMs, untilMs: bar.untilMs)) } }
        table.suspects = []
    }

    // MARK: Writing

    @inline(never)
    mutating func buildAsides(_ lane: Row<Lane>, _ batch: inout Batch) {
        guard lane.value.again.isEmpty else { return buildAgain(lane, &batch) }
        if mergeIsDue(lane) { buildMerges(lane, &batch) }
        var count = 0
        while count < Limits.gapKeysPerBatchMax,
            let series = gapKeys.next(head: table.closed.head, where: { historyIsOf(lane, $0) })
        {
            // What Redis says of the holes of one that was stopped, or that another writes, stays.
            guard table.writes(series) else {
                gapKeys.remove(series)
                continue
            }
            guard builder.writeGaps(series, gaps.gaps(of: series), to: &batch) else { break }
            gapKeys.remove(series)
            count += 1
        }
        buildRemovals(lane, &batch)
        if !batch.asides.isEmpty { lane.value.asidesInFlight += 1 }
    }

    private mutating func buildRemovals(_ lane: Row<Lane>, _ batch: inout Batch) {
        var (left, kept, isFull) = (Limits.removalsPerBatchMax, [Series](), false)
        for series in removals {
            guard left > 0, !isFull, latestIsOf(lane, series) else {
                kept.append(series)
                continue
            }
            left -= 1
            // Who came back meanwhile writes the field again.
            if table.isFollowed(series) || builder.remove(series, from: &batch) { continue }
            isFull = true
            kept.append(series)
        }
        removals = kept
    }

    // MARK: Again

    /// A new connection: the server behind it may have lost what was acknowledged.
    mutating func beginRewriting(_ lane: Row<Lane>) {
        endTakeOvers(lane)
        rewrite(lane)
        (lane.value.rewritten, lane.value.isNewConnection) = ((0, 0), true)
        if lane.value.again.isEmpty { endRewriting(lane) }
    }

    /// What is kept of these series, followed ones or not, goes there again, the next run last.
    mutating func rewrite(_ lane: Row<Lane>, of isWanted: (Series) -> Bool = { _ in true }) {
        let runs = table.stored.runs(nowNs: table.held.nowNs, most: Limits.mergeRunMax).filter {
            isOf(lane, $0.candles) && series(of: $0.candles).map(isWanted) ?? true
        }
        // Who writes a series may know better what its bars are: of those only what is missing is written.
        let watched = runs.map { $0.isWatched || table.isGivenAway($0.series.id) }
        lane.value.again = runs.indices.reversed().filter { !watched[$0] }.map { runs[$0].candles } + lane.value.again
        table.merges.takeOver(runs.indices.filter { watched[$0] }.map { runs[$0].candles })
        if !lane.value.again.isEmpty { lane.value.isRewriting = true }
    }

    private mutating func buildAgain(_ lane: Row<Lane>, _ batch: inout Batch) {
        while let run = lane.value.again.last, builder.mergeRoom >= run.count {
            lane.value.again.removeLast()
            guard let series = series(of: run) else { continue }
            builder.writeAgain(run, series, sha: lane.value.mergeSHA, to: &batch)
        }
        if !batch.asides.isEmpty {
            lane.value.asidesInFlight += 1
        } else if lane.value.again.isEmpty {
            // What was left has no name any more.
            endRewriting(lane)
        }
    }

    /// Of candles that are written again: followed, stopped, or one whose id another series has now.
    func series(of run: [CandleRecord]) -> Series? {
        let handle = SeriesHandle(id: run[0].seriesID, generation: run[0].generation)
        return table.series(handle) ?? former[handle]?.series
    }

    /// Before their ids are given out anew. Bound: as many as there are ids; the candles of further ones are not written again.
    mutating func keepNames(_ released: [UInt32]) {
        guard table.stored.keepNs > 0, !released.isEmpty else { return }
        let nowNs = table.held.nowNs
        former = former.filter { $0.value.untilNs > nowNs }
        for id in released where former.count < Limits.seriesCountMax {
            guard let handle = table.handle(id), let series = table.series(id) else { continue }
            former[handle] = (series, nowNs + table.stored.keepNs)
        }
    }

    /// Their series may be followed again by other ids: who looked at a history before the last candles of its former id were stored saw too
    /// little. (Whoever is not followed, or not yet, is looked at when it is.)
    func lookAtReturned(_ released: [UInt32]) {
        guard hasHealer, !released.isEmpty else { return }
        _ = words.offer(.lookAt(Set(released.compactMap { table.series($0) })))
    }

    /// All of it is there. Now the healer may look.
    mutating func endRewriting(_ lane: Row<Lane>) {
        lane.value.isRewriting = false
        let (rewritten, isNewConnection, gained) = (lane.value.rewritten, lane.value.isNewConnection, lane.value.gained)
        (lane.value.rewritten, lane.value.isNewConnection, lane.value.gained) = ((0, 0), false, [])
        counters.add(.closedAgain, rewritten.count)
        if rewritten.missing > 0 {
            counters.add(.closedAgainMissing, rewritten.missing)
            journal.note(
                .warning, "Redis had lost candles that it had acknowledged; they are there again", key: "redis-again",
                ("candles", "\(rewritten.missing)"))
        }
        guard hasHealer else { return }
        if isNewConnection || rewritten.missing > 0 {
            _ = words.offer(.connected)
        } else if !gained.isEmpty {
            _ = words.offer(.lookAt(gained))
        }
    }

    private mutating func takeRun(_ lane: Row<Lane>, most: Int) -> MergeQueue.Run? {
        guard isCluster else { return table.merges.take(most: most) }
        let ids = Set(table.merges.order.filter { table.series($0) != nil && route.historyLane($0) == lane.value.place })
        let removals = Set(table.merges.removals.map(\.series).filter { historyIsOf(lane, $0) })
        return table.merges.take(most: most, of: { ids.contains($0) }, removals: { removals.contains($0) })
    }

    mutating func buildMerges(_ lane: Row<Lane>, _ batch: inout Batch) {
        if table.merges.takeOvers.contains(where: { isOf(lane, $0) }) { return buildTakeOvers(lane, &batch) }
        var left = table.mergeRunLength
        while left > 0, builder.mergeRoom > 0, let run = takeRun(lane, most: min(left, builder.mergeRoom)) {
            switch run {
            case .candles(let candles): left -= candles.count
            case .removal(_, let ids): left -= ids.count
            }
            builder.writeMerge(run, table, sha: lane.value.mergeSHA, to: &batch)
        }
    }
}
