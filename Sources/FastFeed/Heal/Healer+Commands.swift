// What others say to the healer: control its commands, the sink its words. Both become what is looked at, asked or forgotten. Thread: its
// runner's.

extension Healer {
    func carryOut(_ command: HealCommand) {
        switch command {
        case .follow(let list): for (series, handle, connections, backfill) in list { follow(series, handle, connections, backfill) }
        case .unfollow(let handles): for handle in handles { unfollow(handle) }
        case .backfill(let series, let count):
            guard let entry = entry(of: series) else { return }
            deepen(entry.handle, min(max(count, 0), settings.history))
        case .audit(let token, let series, let count, let repairs):
            let job = AuditDesk.Job(
                series: series, handle: entry(of: series)?.handle, token: token, count: min(max(count, 1), Limits.auditCandlesMax),
                repairs: repairs)
            if !audit.add(job) { _ = events.offer(.audited(token: token, .failure(.busy))) }
        }
    }

    private func follow(_ series: Series, _ handle: SeriesHandle, _ connections: [UInt32], _ backfill: Int) {
        let backfill = min(backfill, settings.history)
        if let known = entry(handle) {
            followed[handle.id] = Followed(
                series: series, handle: handle, connections: connections, backfill: max(backfill, known.backfill))
            if backfill > known.backfill { deepen(handle, backfill) }
            return
        }
        if let other = followed[handle.id] { unfollow(other.handle) }
        followed[handle.id] = Followed(series: series, handle: handle, connections: connections, backfill: backfill)
        if let last = ids.last, last > handle.id {
            ids.insert(handle.id, at: ids.firstIndex { $0 > handle.id }!)
        } else {
            ids.append(handle.id)
        }
        plan.follow(series, handle)
        checks.add(handle)
        seenVersion = -1
    }

    /// So many candles are wanted, of which some may be there.
    private func deepen(_ handle: SeriesHandle, _ count: Int) {
        // Whoever looks again, because this look fails or the board is full, wants as many.
        followed[handle.id]!.backfill = max(followed[handle.id]!.backfill, count)
        let nothing = CheckedSeries(handle: handle, newestMs: nil)
        checks.add(CheckQueue.Walk(handle: handle, checked: nothing, backfill: count, isBackfill: true))
    }

    private func unfollow(_ handle: SeriesHandle) {
        guard let entry = followed[handle.id], entry.handle == handle else { return }
        followed[handle.id] = nil
        ids.removeAll { $0 == handle.id }
        plan.unfollow(handle)
        watch.unfollow(handle)
        audit.unfollow(handle)
        checks.forget(handle)
        silent.removeAll { $0.handle == handle }
    }

    func take(_ word: SinkWord) {
        switch word {
        case .connected:
            checks.forgetTroubles()
            checkAll()
        case .lookAt(let list):
            for id in ids where list.contains(followed[id]!.series) { checks.add(followed[id]!.handle) }
        case .watched(let list):
            watchSentNs = nil
            // A watch that waits for a verdict comes at once.
            look(at: list)
        case .suspect(let handle, let fromMs, let untilMs):
            guard let entry = entry(handle), fromMs < untilMs else { return }
            let count = entry.series.interval.barCount(from: fromMs, until: untilMs)
            let wait = UInt64.ns(ms: Limits.auditSettledMs + Limits.restTrustMs)
            _ = audit.add(
                AuditDesk.Job(
                    series: entry.series, handle: handle, token: nil, openTimes: fromMs..<untilMs,
                    count: Int(min(count, Int64(Limits.healPageBars))), repairs: true, notBeforeNs: nowNs &+ wait))
        }
    }

    /// What the sink could not say is found by looking.
    func lookAtRefusals() {
        guard sink.words.refusedCount != wordsRefused else { return }
        wordsRefused = sink.words.refusedCount
        checkAll()
    }

    private func checkAll() { for id in ids { checks.add(followed[id]!.handle) } }
}
