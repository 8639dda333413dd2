// Who waits for the healer, and what it has to say. The sink's thread alone; nothing of this is on the way of a forming state.

/// What Redis has of a series.
package struct CheckedSeries: Sendable {
    package var handle: SeriesHandle
    /// Open time of the newest stored candle; nil: nothing is stored.
    package var newestMs: Int64?
    /// Open time of the oldest stored candle; nil where it is not known.
    package var oldestMs: Int64?
    /// Open time of the bar that has not closed yet.
    package var presentMs = Int64.min
    /// Open time of the oldest bar that is being fetched; `.max`: none is.
    var wantedMs = Int64.max
    /// Holes in what is stored or before it.
    package var holes: [Gap]
    /// Those of which Redis says that the exchange lacks them.
    package var absent: [Gap]
    /// Open times of bars that are listed as missing, or as absent, and are stored all the same.
    package var storedMs: [Int64] = []

    package init(handle: SeriesHandle, newestMs: Int64?, holes: [Gap] = [], absent: [Gap] = []) {
        (self.handle, self.newestMs, self.holes, self.absent) = (handle, newestMs, holes, absent)
    }
}

/// A series that may need the healer's look.
package struct WatchedSeries: Sendable, Equatable {
    package var handle: SeriesHandle
    /// Open time of the closed candle that must come next; nil: nothing is stored and nothing has come.
    package var nextClosedOpenMs: Int64?
    /// Open time of the newest state, and its event; nil before the first event.
    package var newestOpenMs: Int64?
    package var newestEventMs: Int64?
    package var newestTradeCount: Int64
    /// When it was read from its socket (monotonic); 0 for never.
    package var receivedNs: UInt64

    package init(
        handle: SeriesHandle, nextClosedOpenMs: Int64? = nil, newestOpenMs: Int64? = nil, newestEventMs: Int64? = nil,
        newestTradeCount: Int64 = 0, receivedNs: UInt64 = 0
    ) {
        (self.handle, self.nextClosedOpenMs, self.newestOpenMs) = (handle, nextClosedOpenMs, newestOpenMs)
        (self.newestEventMs, self.newestTradeCount, self.receivedNs) = (newestEventMs, newestTradeCount, receivedNs)
    }
}

extension CandleTable {
    // MARK: Waiting

    mutating func park(_ record: Lent<CandleRecord>, _ id: Int, _ parsedAfterNs: UInt32) {
        held.park(LateCandle(record.value, parsedAfterNs: parsedAfterNs), UInt32(id))
        release(id)
        if held.count > Limits.heldCandlesMax { releaseEverything() }
        if held.count > Limits.heldCandlesMax { deliverEverything() }
    }

    /// Lets go of what has no hole before it any more.
    mutating func release(_ id: Int) {
        guard let waiting = held[UInt32(id)], !waiting.isUnchecked, let series = names[id] else { return }
        release(id, before: gaps.firstMissing(series, after: lastClosed[id].deliveredOpenMs) ?? .max)
    }

    /// As far as the queue has room: while Redis takes candles, none is pushed out of it.
    private mutating func release(_ id: Int, before limitMs: Int64) {
        deliverAll(held.take(UInt32(id), before: limitMs, most: closed.room), id)
        if limitMs == .max && held[UInt32(id)]?.candles.isEmpty ?? true { endHold(id) }
    }

    /// Lets go of all that waits of a series, whatever is missing, at once.
    mutating func releaseAll(_ id: Int) {
        for candle in held.take(UInt32(id), before: .max) {
            if closed.isFull { merge(candle) } else { deliverAll([candle], id) }
        }
        endHold(id)
    }

    package mutating func releaseEverything() { for id in held.ids { release(Int(id), before: .max) } }

    /// Lets go of those who have waited long enough, or wait for nobody.
    package mutating func releaseDue() {
        if held.isEmpty { return }
        if !held.holds { return releaseEverything() }
        if held.isCrowded && !closed.isFull { for (id, limitMs) in held.takeCrowded() { release(Int(id), before: limitMs) } }
        for id in held.takeDue() { release(Int(id), before: .max) }
    }

    /// Redis is away and the queue is full: half of what waits goes into it, and its oldest candles become holes.
    private mutating func deliverEverything() {
        for id in held.ids where held.count > Limits.heldCandlesMax / 2 {
            deliverAll(held.take(id, before: .max), Int(id))
            endHold(Int(id))
        }
    }

    private mutating func endHold(_ id: Int) {
        held.end(UInt32(id))
        states[id].flags.remove(.held)
    }

    private mutating func deliverAll(_ candles: [LateCandle], _ id: Int) {
        for candle in candles {
            lend(candle.record) { deliver($0, id, candle.parsedAfterNs) }
        }
    }

    // MARK: The healer's word

    /// What of a series is stored in Redis: what lies between that and what has come is missing, unless it is on its way.
    /// - Parameters:
    ///   - queuedMs: open times of its candles in the queue (`queuedOpenTimes`).
    ///   - refusedMs: open times of those that Redis has refused and that wait.
    package mutating func take(_ checked: CheckedSeries, queuedMs: [Int64] = [], refusedMs: [Int64] = []) {
        guard isFollowed(checked.handle), !isForeign(checked.handle.id), let series = names[Int(checked.handle.id)] else { return }
        let id = Int(checked.handle.id)
        let (state, last) = (states.row(id), lastClosed.row(id))
        let onTheWay = onTheWay(id, queuedMs + refusedMs)
        last.deliveredOpenMs = max(last.deliveredOpenMs, checked.newestMs ?? .min)
        for gap in checked.absent { if gaps.add(gap) > 0 { last.hasListed = true } }
        for gap in checked.holes { noteHole(from: gap.fromMs, until: gap.untilMs, id, gap.cause, sparing: onTheWay) }
        let isKnown = state.flags.contains(.known)
        let keptMs = earliestKept(before: isKnown ? state.openTimeMs : checked.presentMs, series.interval)
        // What has come since the beginning is stored, or on its way: what lies before the oldest stored one Redis has lost.
        let earliestMs = min(onTheWay.first?.lowerBound ?? .max, last.earliestMs, isKnown ? oldestOpenMs[id] : .max)
        if let oldestMs = checked.oldestMs { noteHole(from: max(earliestMs, keptMs), until: oldestMs, id, .unstored, sparing: onTheWay) }
        let firstMs = checked.newestMs.map { series.interval.nextOpenTime(after: $0) } ?? earliestMs
        if isKnown {
            // A first look at an empty history may be older than the first candles' writing: nobody is told of what it lacks.
            let isNews = last.isChecked || checked.newestMs != nil
            noteHole(from: max(firstMs, keptMs), until: state.nextClosedOpenMs, id, .unstored, sparing: onTheWay, isNews: isNews)
        } else {
            // Nothing has come yet. The first event may be long in coming where nobody trades. Behind a backfill a history goes on with the
            // present bar; of three days nobody knows where that is.
            let begins = checked.newestMs == nil && !checked.holes.isEmpty && series.interval != .d3
            last.beforeFirstMs = begins ? series.interval.openTime(barsBack: 1, from: checked.presentMs) : .min
            // What a life before this one has left in the queue comes before the first event, too.
            last.openTimeMs = max(last.openTimeMs, checked.newestMs ?? .min, onTheWay.last?.lowerBound ?? .min)
            noteHole(from: max(firstMs, keptMs), until: checked.presentMs, id, .unstored, sparing: onTheWay)
        }
        for openMs in checked.storedMs { gaps.remove(series, fromMs: openMs, untilMs: series.interval.nextOpenTime(after: openMs)) }
        if !checked.storedMs.isEmpty { onGapsChanged(series) }
        last.isChecked = true
        held.noteChecked(UInt32(id))
        release(id)
    }

    /// Bars that have come and that Redis has not acknowledged, by their beginning.
    private func onTheWay(_ id: Int, _ others: [Int64]) -> [Range<Int64>] {
        let interval = Interval(rawValue: states[id].interval)!
        let waitingMs = held[UInt32(id)]?.candles.map(\.record.openTimeMs) ?? []
        return (waitingMs + merges.openTimes(UInt32(id)) + others).sorted().map { $0..<interval.nextOpenTime(after: $0) }
    }

    /// Open times of these series' candles in the queue. A series that was stopped meanwhile has had more than one id. Reads the whole
    /// queue.
    package func queuedOpenTimes(of wanted: Set<Series>) -> [Series: [Int64]] {
        var openTimes: [Series: [Int64]] = [:]
        let isWanted = names.map { $0.map(wanted.contains) ?? false }
        for position in closed.head..<closed.tail where closed.state(position) != .acknowledged {
            let id = Int(closed[position].seriesID)
            guard isWanted[id] else { continue }
            openTimes[names[id]!, default: []].append(closed[position].openTimeMs)
        }
        return openTimes
    }

    private mutating func noteHole(
        from fromMs: Int64, until untilMs: Int64, _ id: Int, _ cause: Gap.Cause, sparing spared: [Range<Int64>], isNews: Bool = true
    ) {
        var from = fromMs
        for range in spared where from < range.upperBound && range.lowerBound < untilMs {
            noteHole(from: from, until: range.lowerBound, id, cause, isNews: isNews)
            from = range.upperBound
        }
        noteHole(from: from, until: untilMs, id, cause, isNews: isNews)
    }

    /// A hole that somebody wants filled.
    package mutating func want(_ gap: Gap) {
        guard let number = ids[gap.series], isFollowed(gap.series) else { return }
        let (id, state) = (Int(number), states.row(Int(number)))
        guard gap.cause == .late, state.flags.contains(.known) else {
            return noteHole(from: gap.fromMs, until: gap.untilMs, id, gap.cause)
        }
        // It may have closed meanwhile; or bars before it were wanted when nothing had come yet, and the board was full.
        let keptMs = earliestKept(before: gap.untilMs, gap.series.interval)
        noteHole(from: max(state.nextClosedOpenMs, keptMs), until: gap.untilMs, id, .late)
        state.nextClosedOpenMs = max(state.nextClosedOpenMs, gap.untilMs)
    }

    /// Holes of the series have changed: candles of it may go on.
    package mutating func onGapsChanged(_ series: Series) {
        guard let id = ids[series] else { return }
        let state = states.row(Int(id))
        let tally = gaps.tally(of: series)
        // The board has forgotten some when it was full.
        let least = gaps.forgottenCount > 0 ? state.missing : 0
        state.missing = max(UInt32(clamping: tally.missing), least)
        lastClosed[Int(id)].hasListed = tally.isListed
        if state.flags.contains(.held) { release(Int(id)) }
    }

    /// Open time of the bar behind what is stored, while nothing has come yet.
    private func unheardOpenMs(_ id: Int) -> Int64? {
        let newestMs = max(lastClosed[id].openTimeMs, lastClosed[id].beforeFirstMs)
        return newestMs == .min ? nil : Interval(rawValue: states[id].interval)!.nextOpenTime(after: newestMs)
    }

    /// How many candles or removed entries the next call of the merge script should have.
    var mergeRunLength: Int {
        if !merges.removals.isEmpty { return Limits.mergeRunMax }
        guard let first = merges.first, let series = series(first.seriesID) else { return Limits.mergeRunMin }
        let newestMs = lastClosed[Int(first.seriesID)].deliveredOpenMs
        let behind = first.openTimeMs < newestMs ? series.interval.barCount(from: first.openTimeMs, until: newestMs) : 0
        return Int(min(max(behind, Int64(Limits.mergeRunMin)), Int64(Limits.mergeRunMax)))
    }

    /// Series of which a bar should have closed before the instant, or of which nothing comes.
    package func watched(beforeMs: Int64, nowNs: UInt64) -> [WatchedSeries] {
        var found: [WatchedSeries] = []
        for id in names.indices where states[id].flags.contains(.active) {
            let (state, newest) = (states.row(id), newest.row(id))
            let handle = SeriesHandle(id: UInt32(id), generation: state.generation)
            guard state.flags.contains(.known) else {
                found.append(WatchedSeries(handle: handle, nextClosedOpenMs: unheardOpenMs(id)))
                continue
            }
            let endMs = Interval(rawValue: state.interval)!.nextOpenTime(after: state.nextClosedOpenMs)
            guard endMs <= beforeMs || nowNs &- newest.receivedNs >= Limits.watchSilenceNs else { continue }
            found.append(
                WatchedSeries(
                    handle: handle, nextClosedOpenMs: state.nextClosedOpenMs, newestOpenMs: state.openTimeMs,
                    newestEventMs: state.eventTimeMs, newestTradeCount: state.tradeCount, receivedNs: newest.receivedNs))
        }
        return found
    }
}
