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
        for series in checked {
            let id = series.handle.id
            table.take(series, queuedMs: table.series(id).flatMap { queuedMs[$0] } ?? [], refusedMs: refused.openTimes(id))
        }
    }

    /// What the healer brings, a little in each turn.
    mutating func takeHealed(_ consumer: UnsafeMutablePointer<SPSCRing<CandleRecord>.Consumer>) {
        guard canTakeHealed else { return }
        let most = unsafe min(consumer.pointee.available(), Limits.healRecordsPerTurnMax)
        var count = 0
        while count < most, !table.closed.isFull {
            unsafe table.accept(consumer.pointee.record(count))
            count += 1
        }
        guard count > 0 else { return }
        unsafe consumer.pointee.free(count)
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
    mutating func buildAsides(_ batch: inout Batch) {
        if mergeIsDue { buildMerges(&batch) }
        var count = 0
        while count < Limits.gapKeysPerBatchMax, let series = gapKeys.next(head: table.closed.head) {
            // What Redis says of the holes of one that was stopped stays.
            guard table.isFollowed(series) else {
                gapKeys.removeFirst()
                continue
            }
            guard builder.writeGaps(series, gaps.gaps(of: series), to: &batch) else { break }
            gapKeys.removeFirst()
            count += 1
        }
        let taken = removals.prefix(Limits.removalsPerBatchMax)
        for (place, series) in taken.enumerated() {
            // Who came back meanwhile writes the field again.
            guard table.isFollowed(series) || builder.remove(series, from: &batch) else {
                removals.removeFirst(place)
                return asidesInFlight += batch.asides.isEmpty ? 0 : 1
            }
        }
        removals.removeFirst(taken.count)
        if !batch.asides.isEmpty { asidesInFlight += 1 }
    }

    mutating func buildMerges(_ batch: inout Batch) {
        var left = table.mergeRunLength
        while left > 0, builder.mergeRoom > 0, let run = table.merges.take(most: min(left, builder.mergeRoom)) {
            if case .candles(let candles) = run { left -= candles.count } else { left -= 1 }
            builder.writeMerge(run, table, sha: mergeSHA, to: &batch)
        }
    }
}
