// What is always so of the sink between two turns. Tests and simulated worlds ask for it, the product never does. The sink's thread, or
// whoever turns it.

extension Sink {
    /// The first invariant that does not hold, as a sentence; nil: all hold. Between two turns alone.
    package func checkInvariants() -> String? { writer.value.checkInvariants() }

    /// For a test: what the check must find.
    package func miscountFlight() { writer.value.candlesInFlight += 1 }
}

extension CandleWriter {
    func checkInvariants() -> String? {
        table.checkInvariants() ?? builder.checkInvariants() ?? refused.checkInvariants() ?? gapKeys.checkInvariants()
            ?? gaps.checkInvariants() ?? (gaps.version == gapsVersion ? table.checkTallies() : nil) ?? wrongFlight() ?? wrongMerges()
            ?? wrongEnds()
    }

    private func inFlight(_ index: Int) -> Row<Batch> { batches.row((firstBatch + index) % batches.count) }

    // MARK: Batches

    private func wrongFlight() -> String? {
        guard batchCount <= batches.count else { return "sink: \(batchCount) batches are in flight" }
        guard batchCount == 0 || link.isReady else { return "sink: \(batchCount) batches are in flight without a connection" }
        var (candles, asides) = (0, 0)
        var sent: Set<Int> = []
        for index in 0..<batchCount {
            let batch = inFlight(index)
            if let wrong = batch.value.checkInvariants() { return wrong }
            guard index == 0 || batch.value.answered == 0 else { return "sink: batch \(index) is answered before the one in front of it" }
            candles += batch.value.candleCount
            if !batch.value.asides.isEmpty { asides += 1 }
            for place in 0..<batch.value.seriesCount where Int(batch.value.seriesIDs[place]) >= table.seriesCount {
                return "sink: a batch has a state of series \(batch.value.seriesIDs[place]), which has no name"
            }
            for place in batch.value.openClosed {
                let position = batch.value.closedPositions[place]
                guard position < table.closed.tail else { return "sink: a batch has entry \(position), which has not come" }
                guard position >= table.closed.head else { continue }
                guard sent.insert(position).inserted else { return "sink: two commands for entry \(position) are on their way" }
                guard table.closed.state(position) == .sent else { return "sink: entry \(position) is on its way and not marked as sent" }
            }
        }
        let lost = (table.closed.head..<table.closed.tail).first { table.closed.state($0) == .sent && !sent.contains($0) }
        if let lost { return "sink: entry \(lost) is marked as sent, and no batch has it" }
        guard candles == candlesInFlight else { return "sink: \(candlesInFlight) candles counted as in flight, \(candles) are" }
        guard asides == asidesInFlight else { return "sink: \(asidesInFlight) batches with asides counted, \(asides) are" }
        guard unsentCount == 0 || unsentFrom + unsentCount == builder.out.count else {
            return "sink: \(unsentCount) bytes from \(unsentFrom) on are to be sent, of \(builder.out.count)"
        }
        return nil
    }

    /// Runs that are on their way stand in the batches, and the other way round.
    private func wrongMerges() -> String? {
        var (candles, removals) = (0, 0)
        for index in 0..<batchCount {
            for case .merge(let run) in inFlight(index).value.asides {
                if case .candles(let list) = run { candles += list.count } else { removals += 1 }
            }
        }
        guard candles == table.merges.flyingCount && removals == table.merges.removalsFlying else {
            return "sink: batches have \(candles) late candles and \(removals) removals, "
                + "on their way are \(table.merges.flyingCount) and \(table.merges.removalsFlying)"
        }
        let mute = refused.asking.first { !table.merges.mentions($0) }
        return mute.map { "sink: refused candles of series \($0) wait for an answer, and nothing is asked" }
    }

    // MARK: Ids and debts

    private func wrongEnds() -> String? {
        var seen: Set<UInt32> = []
        for one in retiring {
            guard seen.insert(one.id).inserted else { return "sink: series \(one.id) is stopped twice" }
            let isFollowed = table.states[Int(one.id)].flags.contains(.active)
            guard !isFollowed else { return "sink: series \(one.id) is followed and was not released" }
        }
        guard (owed.dueNs == .max) == (owed.ids.isEmpty && owed.removals.isEmpty && owed.gaps.isEmpty) else {
            return "sink: what refused keys are owed has no time, or the time nothing"
        }
        guard removed.count <= Limits.seriesCountMax && former.count <= Limits.seriesCountMax else {
            return "sink: \(removed.count) removed fields and \(former.count) former names are remembered"
        }
        return nil
    }
}

extension DueKeys {
    func checkInvariants() -> String? {
        guard order.count == afterHead.count, Set(order).count == order.count, order.allSatisfy({ afterHead[$0] != nil }) else {
            return "lists of holes: \(order.count) are in order, \(afterHead.count) wait"
        }
        let due = order.first.map { afterHead[$0]! } ?? .max
        return due == dueHead ? nil : "lists of holes: the next one is due at \(due), not at \(dueHead)"
    }
}
