// What is always so of the sink between two turns. Tests and simulated worlds ask for it, the product never does. The sink's thread, or
// whoever turns it.

extension Sink {
    /// The first invariant that does not hold, as a sentence; nil: all hold. Between two turns alone.
    package func checkInvariants() -> String? { writer.value.checkInvariants() }

    /// For a test: what the check must find. No other module reaches the lanes of a writer.
    package func miscountFlight() { writer.value.lanes[0].candlesInFlight += 1 }
}

extension CandleWriter {
    func checkInvariants() -> String? {
        wrongPart() ?? wrongFlight() ?? wrongMerges() ?? wrongQueues() ?? wrongEnds()
    }

    private func wrongPart() -> String? {
        table.checkInvariants() ?? builder.checkInvariants() ?? refused.checkInvariants() ?? gapKeys.checkInvariants()
            ?? gaps.checkInvariants() ?? (gaps.version == gapsVersion ? table.checkTallies() : nil)
    }

    private var lanePlaces: Range<Int> { 0..<lanes.count }

    // MARK: Batches

    private func wrongFlight() -> String? {
        var sent: Set<Int> = []
        for place in lanePlaces { if let wrong = wrongFlight(lanes.row(place), &sent) { return wrong } }
        let lost = (table.closed.head..<table.closed.tail).first { table.closed.state($0) == .sent && !sent.contains($0) }
        return lost.map { "sink: entry \($0) is marked as sent, and no batch has it" }
    }

    private func wrongFlight(_ lane: Row<Lane>, _ sent: inout Set<Int>) -> String? {
        let count = lane.value.batchCount
        guard count <= lane.value.batches.count else { return "sink: \(count) batches are in flight" }
        guard count == 0 || lane.value.link.isReady else { return "sink: \(count) batches are in flight without a connection" }
        var (candles, asides) = (0, 0)
        for index in 0..<count {
            let batch = lane.value.batch(index)
            if let wrong = batch.value.checkInvariants(isRouted: isCluster, publishes: builder.updates != .off) { return wrong }
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
        guard candles == lane.value.candlesInFlight else {
            return "sink: \(lane.value.candlesInFlight) candles counted as in flight, \(candles) are"
        }
        guard asides == lane.value.asidesInFlight else {
            return "sink: \(lane.value.asidesInFlight) batches with asides counted, \(asides) are"
        }
        let (from, unsent) = (lane.value.unsentFrom, lane.value.unsentCount)
        let built = isCluster ? lane.value.restFrom + lane.value.rest.count : builder.out.count
        guard unsent == 0 || from + unsent == built else { return "sink: \(unsent) bytes from \(from) on are to be sent, of \(built)" }
        return nil
    }

    /// Runs that are on their way stand in the batches, and the other way round.
    private func wrongMerges() -> String? {
        var (candles, removals) = (0, 0)
        for place in lanePlaces {
            for index in 0..<lanes[place].batchCount {
                for case .merge(let run) in lanes[place].batch(index).value.asides {
                    if case .candles(let list) = run { candles += list.count } else { removals += 1 }
                }
            }
        }
        guard candles == table.merges.flyingCount && removals == table.merges.removalsFlying else {
            return "sink: batches have \(candles) late candles and \(removals) removals, "
                + "on their way are \(table.merges.flyingCount) and \(table.merges.removalsFlying)"
        }
        let mute = refused.asking.first { !table.merges.mentions($0) }
        return mute.map { "sink: refused candles of series \($0) wait for an answer, and nothing is asked" }
    }

    // MARK: Queues of a cluster

    /// What is marked as waiting stands in one queue, once; each assigned candle, too.
    private func wrongQueues() -> String? {
        var (assigned, updates, latest): (Set<Int>, Set<UInt32>, Set<UInt32>) = ([], [], [])
        for place in lanePlaces {
            for queue in [lanes[place].queue, lanes[place].asking] {
                for position in queue.closed.all where position >= table.closed.head && table.closed.state(position) == .assigned {
                    guard assigned.insert(position).inserted else { return "sink: entry \(position) waits in two queues" }
                }
                for id in queue.updates.all where !updates.insert(id).inserted { return "sink: messages of series \(id) wait twice" }
                for id in queue.latest.all where !latest.insert(id).inserted { return "sink: the newest state of series \(id) waits twice" }
            }
        }
        let lost = (table.closed.head..<table.closed.tail).first { table.closed.state($0) == .assigned && !assigned.contains($0) }
        if let lost { return "sink: entry \(lost) is in no lane's queue" }
        for id in 0..<table.seriesCount where isCluster {
            let marks = route.marks[id]
            guard (marks & LaneRoute.updateWaits != 0) == updates.contains(UInt32(id)),
                (marks & LaneRoute.latestWaits != 0) == latest.contains(UInt32(id))
            else { return "sink: series \(id) is not marked as it waits" }
            let waits = latest.contains(UInt32(id)) || table.states[id].flags.contains(.dirty)
            guard waits || !table.states[id].flags.contains(.formingPending) else {
                return "sink: a forming state of series \(id) waits nowhere"
            }
        }
        return nil
    }

    // MARK: Ids and debts

    private func wrongEnds() -> String? {
        var seen: Set<UInt32> = []
        for one in retiring {
            guard seen.insert(one.id).inserted else { return "sink: series \(one.id) is stopped twice" }
            let isFollowed = table.states[Int(one.id)].flags.contains(.active)
            guard !isFollowed else { return "sink: series \(one.id) is followed and was not released" }
        }
        guard (owed.dueNs == .max) == owed.isEmpty else {
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
