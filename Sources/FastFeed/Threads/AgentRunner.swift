// One thread, its poller, and the agents it turns. `dedicated` gives each agent a runner, `shared` gives all
// of them one: the agents cannot tell. Any thread may end it; all else is its own thread's once that runs.

import Glibc
import Synchronization

package final class AgentRunner: @unchecked Sendable {
    // Built by one thread and handed over at `start`; afterwards only `stopping` and `wakeUp` are shared.
    private let agents: [any Agent]
    private let poller: Poller
    package let wakeUp: WakeUp
    private let idle: IdleStrategy
    private let stopping = Atomic<Bool>(false)
    private let allocated = Atomic<UInt64>(0)
    package let meter: ThreadMeter
    private var thread: PinnedThread?

    /// The token of the wake-up descriptor; no agent has this number.
    private static let wakeToken = PollToken(agent: 255, generation: 0, slot: 0)

    /// - Parameter name: of its thread; nil: the first agent's.
    package init(agents: [any Agent], name: String? = nil, idle: IdleStrategy) throws(SystemError) {
        precondition(!agents.isEmpty && agents.count < 255)
        self.agents = agents
        self.idle = idle
        poller = try Poller()
        wakeUp = try WakeUp()
        meter = ThreadMeter(name: name ?? agents[0].roleName, wakeUp: wakeUp)
        try poller.add(wakeUp.descriptorNumber, .readable, token: AgentRunner.wakeToken)
    }

    package func start(core: Int? = nil) throws(SystemError) {
        thread = try PinnedThread.start(name: meter.name, core: core) { self.run() }
    }

    /// Bytes the thread has ever allocated, as of its last turn: constant while nothing but data flows.
    package var threadAllocatedBytes: UInt64 { allocated.load(ordering: .relaxed) }

    /// The thread ends after its current turn.
    package func askToEnd() {
        stopping.store(true, ordering: .releasing)
        wakeUp.signal()
    }

    /// The same, and waits for it.
    package func stop() {
        askToEnd()
        thread?.join()
        thread = nil
    }

    private func run() {
        for (index, agent) in agents.enumerated() {
            agent.onStart(PollerPort(poller: poller, wakeUp: wakeUp, agent: index))
        }
        while !stopping.load(ordering: .acquiring) { turn() }
        for agent in agents { agent.onClose() }
    }

    /// One duty cycle: wait as long as nothing can be done, then let every agent do what it can.
    private func turn() {
        let ready = poller.wait(timeoutNs: timeoutNs())
        wakeUp.didPark()
        let nowNs = MonotonicClock.nowNs()
        for index in 0..<ready {
            let (token, readiness) = poller.report(index)
            if token == AgentRunner.wakeToken {
                wakeUp.drain()
            } else {
                agents[token.agent].onReady(token, readiness, nowNs: nowNs)
            }
        }
        for agent in agents { agent.doWork(nowNs: nowNs) }
        allocated.store(HeapStatistics.threadAllocatedBytes() ?? 0, ordering: .relaxed)
        meter.add(MonotonicClock.nowNs() &- nowNs)
        if case .pause(let nanoseconds) = idle, ready > 0 { usleep(UInt32(nanoseconds / 1_000)) }
    }

    /// How long to wait: not at all while something can be done. Before a real wait the flag goes up and the queues
    /// are looked at once more, so that whoever offers something meanwhile either is seen or wakes us.
    private func timeoutNs() -> Int64 {
        if idle == .spin || stopping.load(ordering: .relaxed) || anyHasWork() { return 0 }
        wakeUp.willPark()
        if stopping.load(ordering: .acquiring) || anyHasWork() { return 0 }
        let deadline = agents.reduce(UInt64.max) { min($0, $1.nextDeadlineNs()) }
        guard deadline != .max else { return -1 }
        let nowNs = MonotonicClock.nowNs()
        return deadline > nowNs ? Int64(clamping: deadline - nowNs) : 0
    }

    private func anyHasWork() -> Bool { agents.contains { $0.hasWork() } }
}
