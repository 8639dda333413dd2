// A series that another member of the group writes: its records are taken and its state is kept, as of any other, but nothing of it
// becomes dirty, what closes of it goes straight to what is stored, and nobody looks for holes in it. So who has to go on with it knows
// all that its writer may have left undone. The sink's thread alone; nothing of this is on the way of a forming state.

extension CandleTable {
    package func isForeign(_ id: UInt32) -> Bool { Int(id) < names.count && lastClosed[Int(id)].isForeign }
    /// Another was the last to write it, whether we follow the series still or not.
    package func isGivenAway(_ id: UInt32) -> Bool { Int(id) < names.count && lastClosed[Int(id)].isGivenAway }

    /// Somebody follows the series, and we are who writes it.
    func writes(_ series: Series) -> Bool {
        guard let id = ids[series] else { return false }
        return states[Int(id)].flags.contains(.active) && !lastClosed[Int(id)].isForeign
    }

    /// There is a newest state, and we are who writes it.
    func isWritable(_ id: Int) -> Bool {
        states[id].flags.contains(.known) && states[id].eventTimeMs > .min && !lastClosed[id].isForeign
    }

    /// Another writes these from now on. The closed candles that we have taken go their way; newest states do not.
    package mutating func disown(_ handles: [SeriesHandle]) {
        var sealed: Set<UInt32> = []
        for handle in handles where isFollowed(handle) && !lastClosed[Int(handle.id)].isForeign {
            let id = Int(handle.id)
            releaseAll(id)
            (lastClosed[id].isForeign, lastClosed[id].isGivenAway) = (true, true)
            sealed.insert(handle.id)
            for gap in gaps.gaps(of: names[id]!) where gap.state != .absent { awaitEvents(from: gap.fromMs, until: gap.untilMs, id) }
            gaps.forget(names[id]!)
            (lastClosed[id].hasListed, states[id].missing) = (false, 0)
        }
        guard !sealed.isEmpty else { return }
        counters.add(.seriesWatched, sealed.count)
        sealDirty(sealed)
    }

    /// These are ours to write. What is known of them is dirty; of those of which nothing is, closed candles wait for the healer's look.
    package mutating func own(_ handles: [SeriesHandle]) {
        for handle in handles where isFollowed(handle) {
            let id = Int(handle.id)
            if lastClosed[id].isForeign {
                unseal(id)
                lastClosed[id].isGivenAway = false
                if held.holds && !states[id].flags.contains(.known) {
                    states[id].flags.insert(.held)
                    held.awaitCheck(handle.id)
                }
            }
            markDirty(id)
        }
    }

    mutating func unseal(_ id: Int) {
        lastClosed[id].isForeign = false
        states[id].flags.remove(.dirty)
        // What its writer has told of is not told again.
        states[id].updates = min(states[id].updates, 1)
        counters.add(.seriesWatched, -1)
    }

    /// Apart, so that who delivers counts no references of a set.
    @inline(never)
    mutating func takesOver(_ id: Int) -> Bool { merges.takesOver(UInt32(id)) }

    /// Takes a closed candle that another member of the group writes: it is kept, not queued.
    @inline(never)
    mutating func passOver(_ record: Lent<CandleRecord>, _ id: Int) {
        let last = lastClosed.row(id)
        // A later word on a bar that may be kept. (It looks at all that is kept.)
        if record.openTimeMs <= last.deliveredOpenMs { stored.correct(record.value) }
        last.deliveredOpenMs = max(last.deliveredOpenMs, record.openTimeMs)
        stored.put(record.value, nowNs: held.nowNs, isWatched: true)
        counters.add(.closedWatched)
    }

    /// Nothing more will come: forming states that others write have come to their end here.
    package mutating func endWatching() {
        for id in names.indices where lastClosed[id].isForeign && states[id].flags.contains(.formingPending) {
            states[id].flags.remove(.formingPending)
            counters.add(.coalesced)
        }
    }
}
