// What control holds of the engine. Plain values, any thread; the agents are reached through their mailboxes only.

package struct EngineHandles: Sendable {
    /// What of the engine is shown in the service's status.
    package typealias Figures = (
        counters: CounterSnapshot, latency: HistogramSnapshot, stages: StageSnapshots, residentBytes: UInt64, rest: RestStatistics?
    )

    package var readers: [KlineReader]
    package var sink: Sink
    package var budget: ConnectBudget
    /// Nil: the exchange is not asked anything.
    package var rest: RestClient?
    /// Nil: nobody fills holes.
    package var healer: Healer?
    package var heal: HealSettings
    package var gaps: GapBoard
    /// Where control says what it learns of the exchange's clock.
    package var clock: ExchangeClock
    /// Where control shows how all stands.
    package var standings: StandingsBoard
    /// Why something of the engine does not work.
    package var troubles: TroubleBoard
    /// Which replica `data:get` may ask; nil: the primary is read from.
    package var replicas: ReplicaBoard?
    /// Nil once the engine is gone.
    package var figures: @Sendable () -> Figures?

    /// Hands a change to the agents. Their mailboxes are wider than anything control can bring about in one turn of theirs.
    func tell(_ change: Placement.Change) {
        for command in change.before { _ = sink.commands.offer(command, untilNs: .max) }
        let copies = change.placements.filter { change.copies.contains($0.series) }.map(\.handle)
        if !copies.isEmpty { _ = sink.commands.offer(.disown(copies), untilNs: .max) }
        for (reader, commands) in change.readers.enumerated() {
            for command in commands { _ = readers[reader].commands.offer(command, untilNs: .max) }
        }
        tellHealer(change)
        for command in change.after { _ = sink.commands.offer(command, untilNs: .max) }
    }

    /// What the group gives us, and what it takes. What we follow no more was somebody else's to write before.
    func tell(_ change: ShareChange) {
        for one in change.follow { tell(one) }
        if !change.disown.isEmpty {
            _ = sink.commands.offer(.disown(change.disown), untilNs: .max)
            tellHealer(.unfollow(change.disown))
        }
        if !change.own.isEmpty {
            _ = sink.commands.offer(.own(change.own.map(\.placed.handle)), untilNs: .max)
            follow(change.own)
        }
        for one in change.unfollow { tell(one) }
    }

    /// The sink knows what is followed, and does not know yet what is not any more.
    private func tellHealer(_ change: Placement.Change) {
        follow(change.placements.filter { !change.copies.contains($0.series) }.map { ($0, change.history) })
        for series in change.deepened { tellHealer(.backfill(series, count: candles(change.history))) }
        for case .unfollow(let handles) in change.after { tellHealer(.unfollow(handles)) }
    }

    /// - Parameter series: each with the candles that it should have; 0: as many as usual.
    func follow(_ series: [(placed: Placement.Placed, history: Int)]) {
        guard !series.isEmpty else { return }
        tellHealer(
            .follow(series.map { ($0.placed.series, $0.placed.handle, $0.placed.connections.map(\.number), candles($0.history)) }))
    }

    private func candles(_ history: Int) -> Int { history > 0 ? min(history, heal.history) : heal.backfill }

    private func tellHealer(_ command: HealCommand) {
        guard let healer else { return }
        _ = healer.commands.offer(command, untilNs: MonotonicClock.nowNs() + .ns(ms: Limits.healerPatienceMs))
    }

    /// True when one of the agents has said something.
    var haveSaidSomething: Bool {
        sink.events.isWaiting || healer?.events.isWaiting ?? false || readers.contains { $0.refusedStreams.isWaiting }
    }
}
