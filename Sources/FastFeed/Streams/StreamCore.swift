// What the tasks want of Redis and the streams' thread does for them: commands under way, and agents that live on that thread. Any thread
// (locks); the thread itself is in StreamLoop.
//
// A command ends exactly once, by whoever comes first: the thread with its reply or a failure, or the task that is cancelled, without
// waiting for the thread. Bounds: `Limits.streamCallsMax` commands or batches at a time; `Limits.streamOutboxBytesMax` unsent, beyond which
// they wait for room; `Limits.streamReadersMax` agents.

import Synchronization

/// Something that lives on the streams' thread: a tail, a consumer. Its functions are called on that thread alone, one after the other,
/// never under a lock; they must not block.
protocol StreamAgent: AnyObject, Sendable {
    /// Its time has come, somebody has called `StreamSeat.wake`, or one of the functions below has been called just before.
    func turn(_ port: StreamPort, nowNs: UInt64)
    /// When to turn it though nothing comes; `.max` for never. Asked after each turn.
    var dueNs: UInt64 { get }
    /// The replies to a batch on the shared connection: an array with one element a command, error replies among them.
    func onReply(_ port: StreamPort, tag: UInt64, _ replies: ReplyBlock)
    /// The reply to a read on its own connection; it may be an error reply.
    func onRead(_ port: StreamPort, tag: UInt64, _ reply: ReplyBlock)
    /// A connection stands anew (the shared one also once when the agent is attached while it stands).
    func onOpen(_ port: StreamPort, _ line: StreamLine)
    /// A connection is lost, or could not be made: whatever was sent on it and not answered will not be, and may have been carried out.
    /// A read that was not sent yet is not lost, it waits on (`StreamPort.isReading`). The connection comes again by itself: the shared one
    /// at once and then with pauses, one's own when a read waits for it.
    func onLost(_ port: StreamPort, _ line: StreamLine, _ reason: String)
    /// The end: `RedisStreams.close`. Nothing is called any more.
    func onClose()
}

/// Which of an agent's two connections.
enum StreamLine: Sendable {
    /// The connection for commands, which all share.
    case shared
    /// An agent's own, for reads that wait.
    case reader
}

/// An agent's place on the thread. Any thread.
final class StreamSeat: Sendable {
    let agent: any StreamAgent
    let isWoken = Atomic<Bool>(true)
    fileprivate let isLeft = Atomic<Bool>(false)
    private let wakeUp: WakeUp

    init(_ agent: any StreamAgent, _ wakeUp: WakeUp) { (self.agent, self.wakeUp) = (agent, wakeUp) }

    /// Has the agent turned soon. Costs a system call only while the thread sleeps.
    func wake() {
        isWoken.store(true, ordering: .releasing)
        wakeUp.signal()
    }
}

/// Batches that are to be sent one behind the other, or not at all. Any thread.
final class StreamOrder: Sendable {
    private let made = Atomic<Int>(0)
    /// The place of the first one that has failed.
    private let failed = Atomic<Int>(.max)

    /// The place of the next one.
    func next() -> Int { made.wrappingAdd(1, ordering: .relaxed).oldValue }
    func noteFailure(of place: Int) { failed.min(place, ordering: .acquiringAndReleasing) }
    func isBroken(before place: Int = .max) -> Bool { failed.load(ordering: .acquiring) < place }
}

/// A batch under way, waited for by one task. Any thread.
final class StreamTicket: Sendable {
    typealias Outcome = Result<ReplyBlock, StreamError>

    private struct State {
        var outcome: Outcome?
        var waiter: Handover<Outcome>?
    }

    let batch: StreamBatch
    let deadlineNs: UInt64
    private let order: StreamOrder?
    private let place: Int
    private let state = Lock(State())

    /// - Parameter order: of batches that are one behind the other, and of which none is sent behind one that has failed.
    init(_ batch: StreamBatch, deadlineNs: UInt64, order: StreamOrder? = nil) {
        (self.batch, self.deadlineNs, self.order, place) = (batch, deadlineNs, order, order?.next() ?? 0)
    }

    /// One before it has failed.
    var isTooLate: Bool { order?.isBroken(before: place) ?? false }

    var isFinished: Bool { state.withLock { $0.outcome != nil } }

    /// The first outcome counts.
    func finish(_ outcome: Outcome) {
        let waiter = state.withLock { state -> Handover<Outcome>? in
            guard state.outcome == nil else { return nil }
            state.outcome = outcome
            if case .failure = outcome { order?.noteFailure(of: place) }
            return state.waiter.take()
        }
        waiter?.resume(returning: outcome)
    }

    /// Once. Ends at once when the task is cancelled.
    func wait() async -> Outcome {
        await withTaskCancellationHandler {
            await Handover.wait { handover in
                let outcome = state.withLock { state -> Outcome? in
                    if state.outcome == nil { state.waiter = handover }
                    return state.outcome
                }
                if let outcome { handover.resume(returning: outcome) }
            }
        } onCancel: {
            finish(.failure(.cancelled))
        }
    }
}

/// Shared by `RedisStreams` and every value made of it; the thread holds it, too, until it is closed.
final class StreamCore: Sendable {
    struct News: Sendable {
        var tickets: [StreamTicket] = []
        var arrived: [StreamSeat] = []
        var gone: [StreamSeat] = []
        /// Parts of tasks that run on the thread.
        var jobs: [UnownedJob] = []
        var isClosed = false
    }

    private struct State {
        var news = News()
        var hasNews = false
        var seatCount = 0
        /// Tickets that the thread has not finished.
        var callCount = 0
    }

    let keys: KeySchema
    let timeout: Duration
    let wakeUp: WakeUp
    private let state = Lock(State())

    init(keys: KeySchema, timeout: Duration) throws(SystemError) {
        (self.keys, self.timeout) = (keys, timeout)
        wakeUp = try WakeUp()
    }

    // MARK: Tasks

    /// One command, one reply.
    /// - Throws: what an error reply means, with the command's key and group; `.timeout`, `.disconnected`, `.cancelled`, `.closed`.
    func ask(_ command: StreamCommand, id: StreamID? = nil) async throws(StreamError) -> ReplyNode {
        let reply = try await ask(StreamBatch(command)).root.children[0]
        if let error = reply.error { throw StreamError(reply: error, key: command.key, group: command.group, id: id) }
        return reply
    }

    /// Several commands in one write: an array with one element a command, error replies among them.
    /// - Throws: `.timeout`, `.disconnected`, `.cancelled`, `.closed`.
    func ask(_ batch: StreamBatch) async throws(StreamError) -> ReplyBlock { try await submit(batch).wait().get() }

    /// Puts a batch behind those that were submitted before it. Whoever submits waits for the ticket.
    func submit(_ batch: StreamBatch, _ order: StreamOrder? = nil) -> StreamTicket {
        let ticket = StreamTicket(batch, deadlineNs: MonotonicClock.nowNs() + timeout.nanoseconds, order: order)
        let refusal = state.withLock { state -> StreamError? in
            if state.news.isClosed { return .closed }
            if state.callCount >= Limits.streamCallsMax { return .unavailable("more than \(Limits.streamCallsMax) commands at a time") }
            state.callCount += 1
            state.news.tickets.append(ticket)
            state.hasNews = true
            return nil
        }
        if let refusal { ticket.finish(.failure(refusal)) } else { wakeUp.signal() }
        return ticket
    }

    // MARK: Agents

    /// Gives an agent to the thread, which calls it from then on.
    /// - Throws: `.closed`; `.badArgument` when there are as many as there may be.
    func attach(_ agent: any StreamAgent) throws(StreamError) -> StreamSeat {
        let seat = StreamSeat(agent, wakeUp)
        let refusal = state.withLock { state -> StreamError? in
            if state.news.isClosed { return .closed }
            if state.seatCount >= Limits.streamReadersMax {
                return .badArgument("more than \(Limits.streamReadersMax) reads that wait, for one RedisStreams")
            }
            state.seatCount += 1
            state.news.arrived.append(seat)
            state.hasNews = true
            return nil
        }
        if let refusal { throw refusal }
        wakeUp.signal()
        return seat
    }

    /// Takes an agent off the thread; its connection ends. Replies that are under way are lost to it.
    func detach(_ seat: StreamSeat) {
        guard !seat.isLeft.exchange(true, ordering: .relaxed) else { return }
        state.withLock { state in
            guard !state.news.isClosed else { return }
            state.seatCount -= 1
            state.news.gone.append(seat)
            state.hasNews = true
        }
        wakeUp.signal()
    }

    /// Ends everything: what waits ends with `.closed`, agents hear `onClose`.
    func close() {
        state.withLock { state in
            state.news.isClosed = true
            state.hasNews = true
        }
        wakeUp.signal()
    }

    // MARK: The thread

    var hasNews: Bool { state.withLock { $0.hasNews } }

    /// What has come since the last time.
    func takeNews() -> News? {
        state.withLock { state in
            guard state.hasNews else { return nil }
            state.hasNews = false
            defer { state.news = News(isClosed: state.news.isClosed) }
            return state.news
        }
    }

    func takeJobs() -> [UnownedJob] {
        state.withLock { state in
            defer { state.news.jobs = [] }
            return state.news.jobs
        }
    }

    func finished(_ count: Int) { state.withLock { $0.callCount -= count } }
}

/// Tasks that prefer this executor run on the streams' thread (`RedisStreams.executor`); once that has ended, wherever others run.
extension StreamCore: TaskExecutor {
    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let isTaken = state.withLock { state -> Bool in
            guard !state.news.isClosed else { return false }
            state.news.jobs.append(job)
            state.hasNews = true
            return true
        }
        if isTaken { wakeUp.signal() } else { globalConcurrentExecutor.enqueue(job) }
    }
}
