// How what runs on a thread reaches that thread's poller. That thread's alone.

/// An agent's way to the poller of its thread.
package struct PollerPort {
    package let poller: Poller
    package let wakeUp: WakeUp
    private let agent: UInt8

    package init(poller: Poller, wakeUp: WakeUp, agent: Int) {
        self.poller = poller
        self.wakeUp = wakeUp
        self.agent = UInt8(agent)
    }

    package func token(slot: Int, generation: UInt32) -> PollToken {
        PollToken(agent: agent, generation: generation, slot: UInt32(slot))
    }
}
