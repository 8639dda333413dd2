// The sink's other half: what Redis answers, command by command, and what follows from it. The sink's thread alone.

import CShims

extension CandleWriter {
    mutating func readReplies(_ lane: Row<Lane>, _ nowNs: UInt64, _ port: PollerPort) {
        let ackNs = port.poller.nowNs
        var mayHaveMore = true
        while mayHaveMore {
            switch lane.value.link.fill() {
            case .empty: mayHaveMore = false
            case .ended(let reason): return lose(lane, reason, nowNs, peerIsGone: true)
            case .lost(let reason): return lose(lane, reason, nowNs)
            case .filled(let more):
                mayHaveMore = more
                if let reason = settleAll(lane, ackNs) { return lose(lane, reason, nowNs) }
            }
        }
        if lane.value.batchCount == 0 && lane.value.pausedUntilNs == 0 { lane.value.retryBackoff.succeeded() }
    }

    /// Settles every reply that has been read. A reason to reconnect, if there is one.
    private mutating func settleAll(_ lane: Row<Lane>, _ nowNs: UInt64) -> String? {
        while true {
            guard let count = lane.value.link.takeReplies() else { return lane.value.link.protocolError }
            counters.add(.repliesReceived, count)
            for index in 0..<count {
                if let reason = settle(lane, lane.value.link.reply(index), nowNs) { return reason }
            }
            // Not before there is none: behind the last one may be a protocol error.
            if count == 0 { return nil }
        }
    }

    /// One reply, for the oldest unanswered command. A reason to reconnect, if it is one.
    private mutating func settle(_ lane: Row<Lane>, _ reply: Row<ff_reply>, _ nowNs: UInt64) -> String? {
        guard lane.value.batchCount > 0 else { return "a reply that nobody asked for" }
        let batch = lane.value.batches.row(lane.value.firstBatch)
        if batch.value.isAsking {
            batch.value.hasAsked.toggle()
            if batch.value.hasAsked { return reply.isError ? "Redis says: \(reply.message)" : nil }
        }
        let command = batch.value.command(batch.value.answered)
        batch.value.answered &+= 1
        let isPublish = batch.value.isPublish(command)
        var verdict = ReplyVerdict.done
        if reply.isError { verdict = judge(reply, command, batch) }
        if case .closed(let index) = command {
            settleClosed(batch, index, verdict, nowNs)
        }
        if case .hash(let index) = command, verdict == .never || verdict == .apart {
            refuseHash(batch, index, owedNs: verdict == .apart ? nowNs : nil)
        }
        if case .aside(let index) = command { settleAside(lane, batch, index, verdict, Int(clamping: reply.integer), nowNs) }
        if isPublish && verdict != .done && verdict != .moved { counters.add(.updatesRefused) }
        switch verdict {
        case .later where isPublish, .elsewhere where isPublish: break
        case .later, .elsewhere:
            batch.value.mustRetry = true
            lane.value.isRefusing = true
            pause(lane, nowNs)
            if isCluster { wantMap() }
            guard verdict == .elsewhere else { break }
            lane.value.pausedUntilNs = min(lane.value.pausedUntilNs, nowNs + .ns(ms: Limits.redisElsewherePauseMs))
            if lane.value.elsewhere.note(nowNs) { return "Redis goes on saying: \(reply.message)" }
        case .reconnect: return "Redis says: \(reply.message)"
        case .moved, .ask: redirect(lane, reply, command, batch, nowNs)
        case .done, .notNewest, .never, .apart, .noScript: break
        }
        if batch.value.isAnswered { finish(lane, batch, nowNs) }
        return nil
    }

    /// Not now: the same again after a while.
    func pause(_ lane: Row<Lane>, _ nowNs: UInt64) {
        if lane.value.pausedUntilNs == 0 { lane.value.pausedUntilNs = nowNs + lane.value.retryBackoff.nextDelayNs() }
    }

    @inline(never)
    private mutating func judge(
        _ reply: Row<ff_reply>, _ command: Batch.Command, _ batch: Row<Batch>
    ) -> ReplyVerdict {
        let message = reply.message
        let verdict = ReplyVerdict(error: message, isCluster: isCluster)
        if command == .publish {
            // Its slot has moved: what was to be said is written, and published, at the new owner.
            if verdict == .moved { return verdict }
            journal.note(.warning, "Redis refuses to publish updates", key: "redis-publish", ("reply", message))
            return verdict
        }
        switch verdict {
        case .later, .elsewhere:
            noteTrouble("it refuses for now: \(message)")
            counters.add(.redisErrorsRetried)
            journal.note(.warning, "Redis refuses for now; trying again", key: "redis-later:\(message.prefix(12))", ("reply", message))
        case .apart:
            counters.add(.redisErrorsRetried)
            let key = key(of: command, batch)
            noteTrouble("it refuses \(key): \(message)")
            journal.note(
                .warning, "Redis refuses a key; it is tried again apart from the others", key: "redis-apart:\(key)", ("key", key),
                ("reply", message))
        case .never:
            let key = key(of: command, batch)
            noteTrouble("it refuses \(key): \(message)")
            journal.note(
                .error, "Redis refuses a write", key: "redis-never:\(message.prefix(12)):\(key)", ("key", key), ("reply", message))
        default: break
        }
        return verdict
    }

    /// What the command writes to; empty where that is not known any more.
    private func key(of command: Batch.Command, _ batch: Row<Batch>) -> String {
        switch command {
        case .closed(let index):
            let position = batch.value.closedPositions[index]
            guard position >= table.closed.head else { return "" }
            return table.series(table.closed[position].seriesID).map(schema.historyKey) ?? ""
        case .hash(let index):
            guard let place = batch.value.seriesRange(ofHash: index).first else { return "" }
            return table.series(batch.value.seriesIDs[place]).map { schema.latestKey($0.market, $0.interval) } ?? ""
        case .aside(let index):
            switch batch.value.asides[index] {
            case .removal(let series): return schema.latestKey(series.market, series.interval)
            case .gaps(let series): return schema.gapsKey(series)
            case .merge(.removal(let series, _)): return schema.historyKey(series)
            case .merge(.candles(let candles)): return table.series(candles[0].record.seriesID).map(schema.historyKey) ?? ""
            case .again(let records), .takeOver(let records): return series(of: records).map(schema.historyKey) ?? ""
            case .mergeUpdate, .settled: return ""
            }
        case .publish: return ""
        }
    }

    private mutating func settleClosed(_ batch: Row<Batch>, _ index: Int, _ verdict: ReplyVerdict, _ nowNs: UInt64) {
        let position = batch.value.closedPositions[index]
        guard position >= table.closed.head, table.closed.state(position) != .acknowledged else {
            if verdict == .done { hasTakenLost = true }
            return
        }
        switch verdict {
        case .done:
            table.closed.mark(position, .acknowledged)
            let candle = table.closed[position]
            table.stored.put(candle, nowNs: nowNs)
            counters.add(.closedWritten)
            counters.add(.candlesWritten)
            recordClosed(batch, index, ackNs: nowNs)
            if !refused.isEmpty { takeBack(table.closed[position].seriesID) }
        case .notNewest:
            table.merge(LateCandle(table.closed[position], parsedAfterNs: table.closed.parsedAfterNs(position)))
            table.closed.mark(position, .acknowledged)
        case .later, .elsewhere, .moved, .ask, .reconnect, .noScript: table.closed.unsend(position)
        case .apart, .never:
            let candle = table.closed[position]
            table.closed.mark(position, .acknowledged)
            if verdict == .apart && refused.put(candle, nowNs: nowNs) { break }
            giveUp(candle)
            if verdict == .never && !refused.isEmpty { takeBack(candle.seriesID) }
        }
    }

    private mutating func giveUp(_ candle: CandleRecord) {
        counters.add(.redisRejected)
        counters.add(.closedRejected)
        table.noteLost(candle, .refused)
    }

    /// Redis has decided about this series: what has waited apart goes after it.
    private mutating func takeBack(_ id: UInt32) {
        guard refused.series[id] != nil else { return }
        for candle in refused.takeAll(id) { table.merge(LateCandle(candle)) }
        // Who looked while it was refused saw no history, or less than there is now.
        if hasHealer, let series = table.series(id) { _ = words.offer(.lookAt([series])) }
    }

    // MARK: Asides

    /// - Parameter changes: of the history, as the merge script counts them.
    private mutating func settleAside(
        _ lane: Row<Lane>, _ batch: Row<Batch>, _ index: Int, _ verdict: ReplyVerdict, _ changes: Int, _ nowNs: UInt64
    ) {
        let aside = batch.value.asides[index]
        switch verdict {
        // With its batch (`restore`), which is sent again.
        case .later, .elsewhere, .reconnect: return
        default: batch.value.asides[index] = .settled
        }
        switch (aside, verdict) {
        // (Who gains a slot writes all of it again; but not each MOVED is followed.)
        case (.again(let records), .moved), (.again(let records), .ask): lane.value.againLater.append(records)
        // It goes to another node, this one alone.
        case (_, .moved), (_, .ask): restore(aside, lane)
        case (.removal(let series), .apart): owe(removals: [series], nowNs)
        case (.removal(let series), .done):
            if removed.count >= Limits.seriesCountMax { removed = removed.filter { $0.value > nowNs } }
            if removed.count < Limits.seriesCountMax { removed[series] = nowNs + table.stored.keepNs }
        case (.gaps(let series), .apart): owe(gaps: [series], nowNs)
        case (.removal, _), (.gaps, _), (.mergeUpdate, _), (.settled, _): break
        case (.again(let records), .done):
            lane.value.rewritten.count += records.count
            lane.value.rewritten.missing += max(0, changes)
        case (.again(let records), .noScript):
            lane.value.mergeSHA = nil
            lane.value.again.append(records)
        case (.takeOver, .done):
            takenOverMissing += max(0, changes)
            paceMerges(lane, batch, nowNs)
        case (.takeOver(let records), .noScript):
            lane.value.mergeSHA = nil
            table.merges.takeOver([records])
        // The key may be well again while they are kept; behind that the healer finds what is missing.
        case (.again(let records), _), (.takeOver(let records), _): if let series = series(of: records) { owe(again: [series], nowNs) }
        case (.merge(let run), .done): endMerge(lane, batch, run, nowNs)
        case (.merge(let run), .noScript):
            // Somebody has flushed the scripts: the source goes with the next one, and is known again.
            lane.value.mergeSHA = nil
            table.merges.putBack(run)
        case (.merge(let run), _):
            table.merges.end(run)
            guard case .candles(let candles) = run else { return }
            for candle in candles where verdict != .apart || !refused.put(candle.record, nowNs: nowNs) { giveUp(candle.record) }
            if verdict == .never && !refused.isEmpty { takeBack(candles[0].record.seriesID) }
        }
    }

    private mutating func endMerge(_ lane: Row<Lane>, _ batch: Row<Batch>, _ run: MergeQueue.Run, _ nowNs: UInt64) {
        table.merges.end(run)
        counters.add(.historyScripts)
        paceMerges(lane, batch, nowNs)
        guard case .candles(let candles) = run else { return }
        counters.add(.closedWritten, candles.count)
        counters.add(.candlesWritten, candles.count)
        for candle in candles {
            recordMerged(batch, candle, ackNs: nowNs)
            table.stored.correct(candle.record)
            table.stored.put(candle.record, nowNs: nowNs)
        }
        if !refused.isEmpty { takeBack(candles[0].record.seriesID) }
    }

    private func paceMerges(_ lane: Row<Lane>, _ batch: Row<Batch>, _ nowNs: UInt64) {
        // What it took of Redis's time is not more than this.
        let tookNs = nowNs &- batch.value.writtenNs
        lane.value.mergesDueNs = max(lane.value.mergesDueNs, nowNs + min(3 * tookNs, Limits.mergePauseNsMax))
    }

    private mutating func refuseHash(_ batch: Row<Batch>, _ index: Int, owedNs: UInt64?) {
        for place in batch.value.seriesRange(ofHash: index) {
            if let owedNs { owe([batch.value.seriesIDs[place]], owedNs) }
            guard batch.value.seriesWasForming[place] else { continue }
            batch.value.seriesWasForming[place] = false
            counters.add(.redisRejected)
        }
    }

    /// All replies of the oldest batch are in.
    private mutating func finish(_ lane: Row<Lane>, _ batch: Row<Batch>, _ nowNs: UInt64) {
        if batch.value.mustRetry {
            restore(lane, batch)
        } else {
            lane.value.isRefusing = false
            lane.value.elsewhere.end()
            if hasTrouble { endTrouble() }
            let written = recordForming(batch, ackNs: nowNs)
            counters.add(.candlesWritten, written)
        }
        table.closed.advance()
        if hasTakenLost { lookAtAll() }
        if !batch.value.asides.isEmpty {
            lane.value.asidesInFlight -= 1
            if lane.value.isRewriting && lane.value.again.isEmpty && lane.value.asidesInFlight == 0 { endRewriting(lane) }
            if takenOverMissing > 0 && table.merges.takeOvers.isEmpty { noteTakenOver() }
        }
        if isCluster && batch.value.hashCount > 0 { lane.value.hashesInFlight &-= 1 }
        lane.value.candlesInFlight &-= batch.value.candleCount
        lane.value.firstBatch = (lane.value.firstBatch &+ 1) % lane.value.batches.count
        lane.value.batchCount &-= 1
    }

    /// Whose candles those were is not known any more. The healer may have asked Redis for them before they were there.
    @inline(never)
    private mutating func lookAtAll() {
        hasTakenLost = false
        guard hasHealer else { return }
        _ = words.offer(.lookAt(Set((0..<UInt32(table.seriesCount)).compactMap { table.series($0) })))
    }

    @inline(never)
    mutating func restore(_ lane: Row<Lane>, _ batch: Row<Batch>) {
        for place in 0..<batch.value.seriesCount {
            table.restore(Int(batch.value.seriesIDs[place]), wasForming: batch.value.seriesWasForming[place])
        }
        for aside in batch.value.asides { restore(aside, lane) }
    }

    @inline(never)
    private mutating func restore(_ aside: Batch.Aside, _ lane: Row<Lane>) {
        switch aside {
        case .removal(let series): removals.append(series)
        case .gaps(let series): gapKeys.add(series, afterHead: table.closed.head)
        case .merge(let run): table.merges.putBack(run)
        case .again(let records): lane.value.again.append(records)
        case .takeOver(let records): table.merges.takeOver([records])
        case .mergeUpdate, .settled: break
        }
    }

    // MARK: What was refused, again

    /// What was refused by its key and has waited is tried again. The script puts it in its place, whatever has come since.
    mutating func askAgain(_ nowNs: UInt64) {
        for candle in refused.takeDue(nowNs: nowNs, most: Limits.mergeRunMax) { table.merge(LateCandle(candle)) }
    }

    /// After a pause for all of them: another update may come first.
    mutating func owe(_ ids: [UInt32] = [], removals: [Series] = [], gaps: [Series] = [], again: [Series] = [], _ nowNs: UInt64) {
        if owed.dueNs == .max { owed.dueNs = nowNs + owedBackoff.nextDelayNs() }
        owed.ids.formUnion(ids)
        owed.removals.formUnion(removals)
        owed.gaps.formUnion(gaps)
        owed.again.formUnion(again)
    }

    mutating func writeOwed() {
        for id in owed.ids.sorted() { table.markDirty(Int(id)) }
        // The same order in every run.
        removals += owed.removals.sorted { $0.description < $1.description }
        for series in owed.gaps.sorted(by: { $0.description < $1.description }) { gapKeys.add(series, afterHead: table.closed.head) }
        let again = owed.again
        owed = RefusedKeys()
        guard !again.isEmpty else { return }
        // A new connection writes all of it.
        for place in 0..<lanes.count where lanes[place].link.isReady { rewrite(lanes.row(place)) { again.contains($0) } }
    }

    /// What a key has refused, or what waits for a hole, goes now: nothing more will come, or another server may take it.
    mutating func askNow() {
        refused.askNow()
        writeOwed()
    }

    /// Nothing more will come: nothing waits for anything any more.
    mutating func drain() {
        table.held.canHeal = false
        table.endWatching()
        askNow()
    }

    mutating func noteTrouble(_ reason: String) {
        hasTrouble = true
        troubles.note(.redis, reason)
    }

    /// A batch was taken whole; a key that is refused may still have something to wait for.
    @inline(never)
    mutating func endTrouble() {
        guard refused.isEmpty, owed.dueNs == .max else { return }
        owedBackoff.succeeded()
        hasTrouble = false
        troubles.clear(.redis)
    }
}
