// What control holds of the engine. Plain values, any thread; the agents are reached through their mailboxes only.

package struct EngineHandles: Sendable {
    /// What of the engine is shown in the service's status.
    package typealias Figures = (
        counters: CounterSnapshot, latency: HistogramSnapshot, stages: StageSnapshots, residentBytes: UInt64
    )

    package var readers: [Reader]
    package var sink: Sink
    package var budget: ConnectBudget
    /// Nil: the exchange is not asked anything.
    package var rest: RestClient?
    /// Where control shows how all stands.
    package var standings: StandingsBoard
    /// Why something of the engine does not work.
    package var troubles: TroubleBoard
    /// Nil once the engine is gone.
    package var figures: @Sendable () -> Figures?

    /// Hands a change to the agents. Their mailboxes are wider than anything control can bring about in one turn of theirs.
    func tell(_ change: Placement.Change) {
        for command in change.before { _ = sink.commands.offer(command, untilNs: .max) }
        for (reader, commands) in change.readers.enumerated() {
            for command in commands { _ = readers[reader].commands.offer(command, untilNs: .max) }
        }
        for command in change.after { _ = sink.commands.offer(command, untilNs: .max) }
    }

    /// True when one of the agents has said something.
    var haveSaidSomething: Bool { sink.events.isWaiting || readers.contains { $0.refusedStreams.isWaiting } }
}
