// What a supervisor hears of the service while it runs. Main thread only.

import FastFeed

struct SupervisorTalk {
    private let notify: Notify
    private var isReadySaid = false
    private var watchdogDueNs: UInt64 = 0
    private var statusDueNs: UInt64 = 0
    private let startNs = MonotonicClock.nowNs()

    /// A Redis that is away must not fail the boot.
    private static let readyPatienceNs: UInt64 = 10_000_000_000
    private static let statusNs: UInt64 = 10_000_000_000

    init(_ notify: Notify) { self.notify = notify }

    /// - Parameter ops: judges whether the threads go on; without it this one does.
    mutating func turn(_ engine: Engine, _ ops: OpsServer?) {
        guard notify.isWanted else { return }
        let nowNs = MonotonicClock.nowNs()
        if !isReadySaid && (engine.standings.service.isRegistryRead || nowNs &- startNs >= SupervisorTalk.readyPatienceNs) {
            isReadySaid = true
            notify.say("READY=1")
        }
        if nowNs >= statusDueNs {
            statusDueNs = nowNs + SupervisorTalk.statusNs
            notify.say("STATUS=" + SupervisorTalk.sentence(engine))
        }
        if let watchdogNs = notify.watchdogNs, nowNs >= watchdogDueNs, ops.map({ $0.health?.isGood(.live) ?? false }) ?? true {
            watchdogDueNs = nowNs + watchdogNs / 3
            notify.say("WATCHDOG=1")
        }
    }

    func end() { notify.say("STOPPING=1") }

    private static func sentence(_ engine: Engine) -> String {
        let (service, snapshot) = (engine.standings.service, engine.snapshot())
        let counters = snapshot.counters
        return "\(service.state.rawValue), \(counters[.connectionsLive]) of \(service.connectionsWanted) connections, "
            + "\(counters[.seriesActive]) series, \(counters[.closedPending]) closed candles wait, Redis \(snapshot.isRedisConnected ? "up" : "away")"
    }
}
