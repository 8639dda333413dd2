// Where a consumer's messages pass from the streams' thread to the tasks, and what they say about them back. Any thread (a lock; the place
// in a batch is an atomic of its own). Nobody is resumed, and nothing of the user's is called, while the lock is held.
//
// Tasks share the oldest batch and take from it one by one, so that a slow one holds up nobody, and what was not taken can be taken back.
// Bounded by the machine's prefetch.

import Synchronization

/// Messages of one read, in order. Any thread.
final class ConsumerBatch: Sendable {
    let deliveries: [ConsumerDelivery]
    private let next = Atomic<Int>(0)

    init(_ deliveries: [ConsumerDelivery]) { self.deliveries = deliveries }

    /// The next one; nil when all are taken.
    @inline(__always)
    func take() -> ConsumerDelivery? {
        // Never past the end by more than there are looks.
        guard next.load(ordering: .relaxed) < deliveries.count else { return nil }
        let place = next.wrappingAdd(1, ordering: .relaxed).oldValue
        return place < deliveries.count ? deliveries[place] : nil
    }

    var isEmpty: Bool { next.load(ordering: .relaxed) >= deliveries.count }
    var remaining: Int { max(0, deliveries.count - next.load(ordering: .relaxed)) }

    /// What nobody has taken: nobody gets it any more.
    func takeBack() -> ArraySlice<ConsumerDelivery> {
        deliveries[min(deliveries.count, next.exchange(deliveries.count, ordering: .relaxed))...]
    }
}

package final class ConsumerDesk: Sendable {
    /// What a task that wants a message is told.
    enum Step: Sendable {
        case batch(ConsumerBatch)
        /// Messages that nobody need wait for.
        case gone([GoneMessage])
        case over(StreamError?)
    }

    /// What the tasks have said since the last time.
    struct News: Sendable {
        var acks: [Int32] = []
        var settled: [(slot: Int32, outcome: ConsumerOutcome)] = []
        var isWanted = false
        var stopDeadlineNs: UInt64?
    }

    private struct State {
        var batches: ArraySlice<ConsumerBatch> = []
        var gone: [GoneMessage] = []
        var waiting: [(ticket: UInt64, handover: Handover<Void>)] = []
        var lastTicket: UInt64 = 0
        var acks: [Int32] = []
        var settled: [(slot: Int32, outcome: ConsumerOutcome)] = []
        /// Iterations under way.
        var iterations = 0
        /// Whoever iterates wants to know what is gone.
        var wantsGone = false
        var stopDeadlineNs: UInt64?
        var stopWaiters: [Handover<Void>] = []
        var isOver = false
        var error: StreamError?
        /// A read will bring the thread here soon anyway.
        var isThreadComing = false
        var seat: StreamSeat?
        var isStarting = false
        var counters = ConsumerCounters()
    }

    private let state = Lock(State())
    /// Acknowledgements that are sent without waiting for more.
    private let worthwhile: Int

    package init(worthwhile: Int) { self.worthwhile = worthwhile }

    var counters: ConsumerCounters { state.withLock { $0.counters } }

    // MARK: Tasks: messages

    /// Starts the consumer with the first message that is wanted, once.
    func start(_ attach: () throws(StreamError) -> StreamSeat) throws(StreamError) {
        let isFirst = state.withLock { state in
            guard state.seat == nil, !state.isOver, !state.isStarting else { return false }
            state.isStarting = true
            return true
        }
        guard isFirst else { return }
        do throws(StreamError) {
            let seat = try attach()
            state.withLock { state in
                // The thread may have ended it meanwhile.
                if !state.isOver { state.seat = seat }
            }
            seat.wake()
        } catch {
            end(error)
            throw error
        }
    }

    func beginIteration() {
        state.withLock { state in
            state.iterations += 1
            return state.seat
        }?.wake()
    }

    func endIteration() {
        state.withLock { state in
            state.iterations -= 1
            return state.seat
        }?.wake()
    }

    func wantGone() { state.withLock { $0.wantsGone = true } }

    /// The oldest batch that has something; waits until there is one.
    func next() async -> Step {
        while true {
            if let step = step() { return step }
            if Task.isCancelled { return .over(nil) }
            await wait()
        }
    }

    private func step() -> Step? {
        state.withLock { state in
            if !state.gone.isEmpty {
                defer { state.gone = [] }
                return .gone(state.gone)
            }
            while let first = state.batches.first {
                if !first.isEmpty { return .batch(first) }
                state.batches.removeFirst()
            }
            return state.isOver || state.stopDeadlineNs != nil ? .over(state.error) : nil
        }
    }

    private func wait() async {
        let ticket = state.withLock { state in
            state.lastTicket += 1
            return state.lastTicket
        }
        await withTaskCancellationHandler {
            await Handover<Void>.wait { handover in
                let isReady = state.withLock { state in
                    // The cancellation has come and found nobody waiting; one that comes later does.
                    if Task.isCancelled || state.isOver || state.stopDeadlineNs != nil || !state.gone.isEmpty { return true }
                    if state.batches.contains(where: { !$0.isEmpty }) { return true }
                    state.waiting.append((ticket, handover))
                    return false
                }
                if isReady { handover.resume(returning: ()) }
            }
        } onCancel: {
            let waiter = state.withLock { state -> Handover<Void>? in
                guard let place = state.waiting.firstIndex(where: { $0.ticket == ticket }) else { return nil }
                return state.waiting.remove(at: place).handover
            }
            waiter?.resume(returning: ())
        }
    }

    // MARK: Tasks: what becomes of messages

    @inline(__always)
    func acknowledge(_ slot: Int) {
        let seat = state.withLock { state -> StreamSeat? in
            guard !state.isOver else { return nil }
            state.acks.append(Int32(truncatingIfNeeded: slot))
            // The first one starts the time that they wait at most; enough of them go at once.
            guard !state.isThreadComing, state.acks.count == 1 || state.acks.count == worthwhile else { return nil }
            return state.seat
        }
        seat?.wake()
    }

    func settle(_ slot: Int, _ outcome: ConsumerOutcome) {
        let seat = state.withLock { state -> StreamSeat? in
            guard !state.isOver else { return nil }
            state.settled.append((Int32(truncatingIfNeeded: slot), outcome))
            return state.seat
        }
        seat?.wake()
    }

    // MARK: Tasks: the end

    /// Asks for the end. A second request changes nothing.
    func stop(_ deadlineNs: UInt64) {
        let (seat, waiters) = state.withLock { state -> (StreamSeat?, [(ticket: UInt64, handover: Handover<Void>)]) in
            if state.stopDeadlineNs == nil { state.stopDeadlineNs = deadlineNs }
            // One that has never begun is over at once.
            if state.seat == nil, !state.isStarting { state.isOver = true }
            defer { state.waiting = [] }
            return (state.seat, state.waiting)
        }
        for waiter in waiters { waiter.handover.resume(returning: ()) }
        seat?.wake()
    }

    func waitForEnd() async {
        await Handover<Void>.wait { handover in
            let isOver = state.withLock { state in
                if !state.isOver { state.stopWaiters.append(handover) }
                return state.isOver
            }
            if isOver { handover.resume(returning: ()) }
        }
    }

    // MARK: The streams' thread

    /// What has been said since the last time. From now on whoever acknowledges wakes the thread.
    func takeNews() -> News {
        state.withLock { state in
            state.isThreadComing = false
            defer {
                state.acks.removeAll(keepingCapacity: state.acks.count < 1_024)
                state.settled = []
            }
            return News(
                acks: state.acks, settled: state.settled, isWanted: state.iterations > 0, stopDeadlineNs: state.stopDeadlineNs)
        }
    }

    /// Hands on what has come.
    /// - Parameter isThreadComing: a reply that is due will bring the thread back soon: acknowledgements need not wake it.
    func put(_ deliveries: [ConsumerDelivery], _ gone: [GoneMessage], _ counters: ConsumerCounters, isThreadComing: Bool) {
        let waiters = state.withLock { state -> ArraySlice<(ticket: UInt64, handover: Handover<Void>)> in
            state.counters = counters
            state.isThreadComing = isThreadComing
            if state.wantsGone { state.gone += gone }
            if !deliveries.isEmpty { state.batches.append(ConsumerBatch(deliveries)) }
            let count = min(state.waiting.count, state.gone.isEmpty ? deliveries.count : .max)
            defer { state.waiting.removeFirst(count) }
            return state.waiting.prefix(count)
        }
        for waiter in waiters { waiter.handover.resume(returning: ()) }
    }

    /// Takes back what no task has: all of it, or some.
    /// - Returns: the slots that were taken back.
    func withdraw(_ slots: [Int]?) -> [Int] {
        state.withLock { state in
            let waiting = state.batches.flatMap { $0.takeBack() }
            state.batches = []
            guard let slots else { return waiting.map(\.slot) }
            let unwanted = Set(slots)
            let kept = waiting.filter { !unwanted.contains($0.slot) }
            if !kept.isEmpty { state.batches.append(ConsumerBatch(kept)) }
            return waiting.map(\.slot).filter { unwanted.contains($0) }
        }
    }

    /// The end: whoever waits for messages or for the end goes on.
    func end(_ error: StreamError?, _ counters: ConsumerCounters? = nil) {
        let (waiters, stopWaiters) = state.withLock { state in
            if let counters { state.counters = counters }
            state.isOver = true
            if state.error == nil { state.error = error }
            // The seat has the agent, and the agent has this.
            state.seat = nil
            state.batches = []
            defer { (state.waiting, state.stopWaiters) = ([], []) }
            return (state.waiting.map(\.handover), state.stopWaiters)
        }
        for waiter in waiters + stopWaiters { waiter.resume(returning: ()) }
    }
}
