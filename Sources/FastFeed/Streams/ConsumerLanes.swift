// Messages by their key, so that those of one key are handled one after the other. Any thread (a lock); nothing of the user's is called,
// and nobody is resumed, while it is held. Bounded by the consumer's prefetch.
//
// A lane is a key's messages in order. One of them is handled at a time; one that failed holds its lane until it has come again, or is
// gone.

package final class ConsumerLanes: Sendable {
    package struct Job: Sendable {
        let lane: String
        package let message: StreamMessage
    }

    /// A message wherever it is.
    private struct Name: Hashable {
        let id: StreamID
        let key: String

        init(_ message: StreamMessage) { self.init(id: message.entry.id, key: message.entry.key) }
        init(id: StreamID, key: String) { (self.id, self.key) = (id, key) }
    }

    private struct Lane {
        var queue: [StreamMessage] = []
        /// Handled just now.
        var current: Name?
        /// Waits for another attempt.
        var held: Name?
        /// The one that is handled is gone meanwhile: it will not come again.
        var isCurrentGone = false

        var isFree: Bool { current == nil && held == nil }
    }

    private struct State {
        var lanes: [String: Lane] = [:]
        /// Lanes of which the first message can be handled.
        var ready: ArraySlice<String> = []
        /// The lane that a message holds: it belongs there, whatever its key is now.
        var held: [Name: String] = [:]
        var waiting: [Handover<Job?>] = []
        var isFinished = false

        mutating func takeJob() -> Job? {
            guard let lane = ready.popFirst(), let message = lanes[lane]?.queue.first else { return nil }
            lanes[lane]?.queue.removeFirst()
            lanes[lane]?.current = Name(message)
            return Job(lane: lane, message: message)
        }

        /// Jobs for those who wait.
        mutating func matches() -> [(Handover<Job?>, Job)] {
            var matches: [(Handover<Job?>, Job)] = []
            while !waiting.isEmpty, let job = takeJob() { matches.append((waiting.removeFirst(), job)) }
            return matches
        }

        /// The lane's next message can be handled, or the lane is not needed any more.
        mutating func open(_ lane: String) {
            guard let state = lanes[lane], state.isFree else { return }
            if state.queue.isEmpty { lanes[lane] = nil } else { ready.append(lane) }
        }
    }

    private let keys: [String]
    private let state = Lock(State())

    /// - Parameter keys: the consumer's streams.
    package init(_ keys: [String]) { self.keys = keys }

    /// Puts a message onto its lane, where its id belongs.
    package func add(_ message: StreamMessage, _ key: String) {
        let name = Name(message)
        let (isTaken, matches) = state.withLock { state -> (Bool, [(Handover<Job?>, Job)]) in
            if state.isFinished { return (false, []) }
            let lane = state.held.removeValue(forKey: name) ?? key
            var changed = state.lanes[lane] ?? Lane()
            let wasReady = changed.isFree && !changed.queue.isEmpty
            if changed.held == name { changed.held = nil }
            // Between streams there is no order.
            let place =
                changed.queue.lastIndex { $0.entry.key == name.key && $0.entry.id < name.id }.map { $0 + 1 }
                ?? changed.queue.firstIndex { $0.entry.key == name.key } ?? changed.queue.count
            changed.queue.insert(message, at: place)
            state.lanes[lane] = changed
            if changed.isFree, !wasReady { state.ready.append(lane) }
            return (true, state.matches())
        }
        if !isTaken { message.giveBack() }
        for (waiter, job) in matches { waiter.resume(returning: job) }
    }

    /// The next message that can be handled; waits for one. Nil at the end.
    package func next() async -> Job? {
        await Handover<Job?>.wait { handover in
            let ready = state.withLock { state -> Job?? in
                if let job = state.takeJob() { return job }
                if state.isFinished { return .some(nil) }
                state.waiting.append(handover)
                return nil
            }
            if let ready { handover.resume(returning: ready) }
        }
    }

    /// Its handler has returned.
    package func done(_ job: Job) {
        let name = Name(job.message)
        let isFailed = job.message.answer == .retry
        let matches = state.withLock { state -> [(Handover<Job?>, Job)] in
            guard var lane = state.lanes[job.lane] else { return [] }
            // It may have come again already, or be gone.
            if isFailed, !lane.isCurrentGone, !lane.queue.contains(where: { Name($0) == name }) {
                lane.held = name
                state.held[name] = job.lane
            }
            (lane.current, lane.isCurrentGone) = (nil, false)
            state.lanes[job.lane] = lane
            state.open(job.lane)
            return state.matches()
        }
        for (waiter, job) in matches { waiter.resume(returning: job) }
    }

    /// These will not come again.
    package func forget(_ gone: [GoneMessage]) {
        let matches = state.withLock { state -> [(Handover<Job?>, Job)] in
            for message in gone where keys.indices.contains(message.key) {
                let name = Name(id: message.id, key: keys[message.key])
                if let lane = state.held.removeValue(forKey: name) {
                    state.lanes[lane]?.held = nil
                    state.open(lane)
                } else if let lane = state.lanes.first(where: { $0.value.current == name })?.key {
                    state.lanes[lane]?.isCurrentGone = true
                }
            }
            return state.matches()
        }
        for (waiter, job) in matches { waiter.resume(returning: job) }
    }

    /// The end: what has not been begun goes back; whoever waits goes on.
    package func finish() {
        let (messages, waiters) = state.withLock { state in
            state.isFinished = true
            defer { (state.lanes, state.ready, state.held, state.waiting) = ([:], [], [:], []) }
            return (state.lanes.values.flatMap(\.queue), state.waiting)
        }
        for message in messages { message.giveBack() }
        for waiter in waiters { waiter.resume(returning: nil) }
    }
}
