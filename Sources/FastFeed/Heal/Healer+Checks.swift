// What Redis has of the series: looked at when a series is new, when Redis is there anew, and for a backfill. The healer's thread, which
// waits for Redis here. Bounded: `Limits.checksPerBatch` series at a time, one history a turn read through.

/// Series whose histories are to be looked at.
struct CheckQueue {
    struct Walk {
        let handle: SeriesHandle
        /// What is known of the series without reading it through.
        let checked: CheckedSeries
        /// Candles that there should be.
        let backfill: Int
        /// Holes are wanted as such of a backfill; nobody waits for the rest.
        let isBackfill: Bool
    }

    private var waiting: [SeriesHandle] = []
    private var queued: Set<UInt64> = []
    /// Histories that must be read through.
    private var walks: [Walk] = []
    private var notBeforeNs: UInt64 = 0
    /// Series whose history cannot be looked at, each with a pause of its own that grows.
    private var troubled: [SeriesHandle: (dueNs: UInt64, count: UInt64)] = [:]

    /// When to look; `.max`: there is nothing.
    var dueNs: UInt64 {
        let troubledNs = troubled.values.reduce(.max) { min($0, $1.dueNs) }
        return waiting.isEmpty && walks.isEmpty ? troubledNs : min(notBeforeNs, troubledNs)
    }

    private static func key(_ handle: SeriesHandle) -> UInt64 { UInt64(handle.id) << 16 | UInt64(handle.generation) }

    mutating func add(_ handle: SeriesHandle) {
        if queued.insert(CheckQueue.key(handle)).inserted { waiting.append(handle) }
    }

    mutating func add(_ walk: Walk) { walks.append(walk) }

    mutating func takeBatch(nowNs: UInt64) -> [SeriesHandle] {
        // The same order in every run.
        for handle in troubled.keys.filter({ nowNs >= troubled[$0]!.dueNs }).sorted(by: { $0.id < $1.id }) {
            troubled[handle]!.dueNs = .max
            add(handle)
        }
        guard nowNs >= notBeforeNs else { return [] }
        let batch = Array(waiting.prefix(Limits.checksPerBatch))
        waiting.removeFirst(batch.count)
        for handle in batch { queued.remove(CheckQueue.key(handle)) }
        return batch
    }

    /// Lets a series wait whose history cannot be read, so that the others need not.
    mutating func postpone(_ handle: SeriesHandle, nowNs: UInt64) {
        let count = troubled[handle]?.count ?? 0
        let pauseSeconds = min(1 << min(count, 20), Limits.healPauseSecondsMax)
        troubled[handle] = (nowNs &+ pauseSeconds * 1_000_000_000, count + 1)
    }

    mutating func forget(_ handle: SeriesHandle) { troubled[handle] = nil }

    /// Redis is there anew, and may be another.
    mutating func forgetTroubles() { troubled = [:] }

    mutating func takeWalk(nowNs: UInt64) -> Walk? { nowNs < notBeforeNs || walks.isEmpty ? nil : walks.removeFirst() }

    /// Redis is away: the same again, later.
    mutating func putBack(_ batch: [SeriesHandle], nowNs: UInt64) {
        waiting.insert(contentsOf: batch.filter { queued.insert(CheckQueue.key($0)).inserted }, at: 0)
        notBeforeNs = nowNs &+ .ns(ms: Limits.checkRetryMs)
    }

    mutating func putBack(_ walk: Walk, nowNs: UInt64) {
        walks.insert(walk, at: 0)
        notBeforeNs = nowNs &+ .ns(ms: Limits.checkRetryMs)
    }
}

extension Healer {
    func check(nowNs: UInt64) {
        guard nowNs >= checks.dueNs, !isSinkBusy else { return }
        // Those who are followed no more are left out.
        let batch = checks.takeBatch(nowNs: nowNs).compactMap { self.entry($0) }
        if !batch.isEmpty { ask(batch, nowNs) }
        if let walk = checks.takeWalk(nowNs: nowNs), let entry = entry(walk.handle) {
            read(walk, entry, nowNs)
        }
    }

    private func ask(_ batch: [Followed], _ nowNs: UInt64) {
        let questions = batch.map { HistoryCheck.questions($0.series, schema) }
        guard let replies = store.ask(questions.flatMap { $0 }), replies.count == questions.reduce(0, { $0 + $1.count }) else {
            return checks.putBack(batch.map(\.handle), nowNs: nowNs)
        }
        var found: [CheckedSeries] = []
        var place = 0
        for (entry, question) in zip(batch, questions) {
            let own = replies[place..<place + question.count]
            place += question.count
            if let trouble = HistoryCheck.trouble(own) {
                checks.postpone(entry.handle, nowNs: nowNs)
                noteTrouble(trouble, entry.series)
                continue
            }
            checks.forget(entry.handle)
            let (checked, needsWalk) = HistoryCheck.judge(
                own, entry.series, entry.handle, nowMs: clock(), backfill: entry.backfill, history: settings.history,
                listed: gaps.gaps(of: entry.series))
            if needsWalk {
                checks.add(CheckQueue.Walk(handle: entry.handle, checked: checked, backfill: entry.backfill, isBackfill: false))
            } else {
                found.append(checked)
            }
        }
        tell(found)
    }

    /// Reads a history through, page by page.
    private func read(_ item: CheckQueue.Walk, _ entry: Followed, _ nowNs: UInt64) {
        var walk = HistoryCheck.Walk(
            entry.series, schema, after: item.checked, nowMs: clock(), backfill: item.backfill, history: settings.history,
            listed: gaps.gaps(of: entry.series))
        while let question = walk.question {
            guard let replies = store.ask([question]), replies.count == 1 else { return checks.putBack(item, nowNs: nowNs) }
            if let trouble = HistoryCheck.trouble(replies[...]) {
                noteTrouble(trouble, entry.series)
                return checks.postpone(item.handle, nowNs: nowNs)
            }
            walk.take(replies[0])
        }
        guard item.isBackfill else { return tell([walk.checked]) }
        for hole in walk.checked.holes {
            send(.want(Gap(series: hole.series, fromMs: hole.fromMs, untilMs: hole.untilMs, cause: .backfill)))
        }
    }

    private func noteTrouble(_ trouble: String, _ series: Series) {
        journal.note(
            .warning, "a history cannot be looked at", key: "check \(series)", ("series", "\(series)"), ("reason", trouble))
    }

    private func tell(_ found: [CheckedSeries]) {
        guard !found.isEmpty else { return }
        for checked in found { plan.noteStored(checked.handle, newestMs: checked.newestMs) }
        send(.checked(found))
    }
}
