// `feedd demo --faults`: the simulated exchange throws everybody out now and then and lets nobody in for longer than a shown bar takes, so
// that a candle of each series is missed. Its REST interface goes on serving. The demo's own thread.

import FastFeed
import VenueSimulator

struct DemoFaults {
    private let simulator: VenueSimulator
    private let awayMs: Int64
    private var dueNs = MonotonicClock.nowNs() + DemoFaults.firstNs
    private(set) var count = 0

    /// The first cut, when histories are there, and the time between two.
    private static let (firstNs, periodNs): (UInt64, UInt64) = (8_000_000_000, 25_000_000_000)

    init(_ world: DemoWorld) {
        simulator = world.simulator
        let barMs = Double(world.shownInterval.lengthMs ?? 60_000) / world.speed
        awayMs = Int64(min(max(barMs * 1.1, 2_000), 8_000))
    }

    /// Cuts when it is time.
    mutating func turn() {
        let nowNs = MonotonicClock.nowNs()
        guard nowNs >= dueNs else { return }
        dueNs = nowNs + DemoFaults.periodNs
        count += 1
        simulator.inject(Fault(.massDisconnect))
        simulator.inject(Fault(.refuseHandshake, count: 0, durationMs: awayMs))
    }

    /// Ends all faults and waits until what was missed is there; for a while.
    func healUp(_ engine: Engine) {
        simulator.clearFaults()
        let untilNs = MonotonicClock.nowNs() + 20_000_000_000
        // A hole shows with the first event behind it.
        var goodTurns = 0
        while goodTurns < 10, MonotonicClock.nowNs() < untilNs {
            goodTurns = engine.snapshot().counters[.connectionsLive] > 0 && engine.openGaps.isEmpty ? goodTurns + 1 : 0
            if Signals.wait(milliseconds: 200) != nil { return }
        }
    }
}
