// What the sink does when series change hands in a group. The sink's thread alone; rare.

extension CandleWriter {
    /// Others write these from now on. The closed candles that we have taken go to Redis, with their messages; newest states do not, and no
    /// field is removed that is another's now.
    mutating func disown(_ handles: [SeriesHandle]) {
        let given = Set(handles.compactMap { table.series($0) })
        removals.removeAll(where: given.contains)
        removed = removed.filter { !given.contains($0.key) }
        owed.removals.subtract(given)
        if owed.isEmpty { owed.dueNs = .max }
        table.disown(handles)
    }

    /// These are ours to write, perhaps since a moment ago. Their writer of before may have died with anything in its hands: all that has
    /// closed lately goes to Redis, where most of it is, and their newest states.
    mutating func own(_ handles: [SeriesHandle]) {
        table.own(handles)
        takenOverUntilNs = table.held.nowNs + .ns(ms: Limits.takenOverMs)
        // A new connection writes all of it.
        guard isCluster || isConnected, table.merges.takeOvers.count < Limits.storedCandlesMax else { return }
        table.merges.takeOver(
            table.stored.runs(nowNs: table.held.nowNs, most: Limits.mergeRunMax, of: Set(handles)).map(\.candles))
    }

    /// What is stored of a series is on its way, as far as the healer's look is concerned.
    var isTakingOver: Bool { table.held.nowNs < takenOverUntilNs || !table.merges.takeOvers.isEmpty }

    /// Beside the flow of candles, a little in each batch: the series that we had before do not wait.
    mutating func buildTakeOvers(_ lane: Row<Lane>, _ batch: inout Batch) {
        var left = Limits.takeOverCandlesPerBatchMax
        while left > 0, let place = table.merges.takeOvers.lastIndex(where: { isOf(lane, $0) }),
            let run = table.merges.nextTakeOver(at: place, most: builder.mergeRoom)
        {
            // Its id may have been given to another.
            guard let series = series(of: run) else { continue }
            builder.writeTakeOver(run, series, sha: lane.value.mergeSHA, to: &batch)
            left -= run.count
        }
    }

    /// The candles' history is in a slot of this lane, or they have no name any more and are nobody's.
    func isOf(_ lane: Row<Lane>, _ run: [CandleRecord]) -> Bool {
        guard isCluster else { return true }
        let handle = SeriesHandle(id: run[0].seriesID, generation: run[0].generation)
        if table.series(handle) != nil { return route.historyLane(handle.id) == lane.value.place }
        return former[handle].map { historyIsOf(lane, $0.series) } ?? true
    }

    /// Those of this lane: a new connection begins with them anew.
    mutating func endTakeOvers(_ lane: Row<Lane>) {
        table.merges.endTakeOvers(but: isCluster ? table.merges.takeOvers.filter { !isOf(lane, $0) } : [])
    }

    /// All of it is there.
    @inline(never)
    mutating func noteTakenOver() {
        journal.note(
            .info, "candles that their writer of before had not stored are there", key: "taken-over", ("candles", "\(takenOverMissing)"))
        takenOverMissing = 0
    }
}
