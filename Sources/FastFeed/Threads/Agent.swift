// How work lives on a thread: an agent is turned by a runner, and never waits by itself.

/// One worker. All its functions run on the thread of its runner, one at a time.
package protocol Agent: AnyObject {
    /// The thread's name when the agent has one to itself.
    var roleName: String { get }

    /// Called once, before the first turn.
    func onStart(_ port: PollerPort)

    /// A registered descriptor is ready.
    func onReady(_ token: PollToken, _ readiness: Readiness, nowNs: UInt64)

    /// One turn: does what can be done without waiting.
    func doWork(nowNs: UInt64)

    /// True when another turn could do something at once. Asked again after `willPark`, so it must look at
    /// the shared queues themselves.
    func hasWork() -> Bool

    /// When the agent wants its next turn though nothing becomes ready; `.max` for never.
    func nextDeadlineNs() -> UInt64

    /// Called once, after the last turn.
    func onClose()
}
