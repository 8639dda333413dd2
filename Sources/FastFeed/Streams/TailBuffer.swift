// Entries between the streams' thread, which puts them in, and tasks, which take them out. Any thread (a lock). Bounded by its filler,
// which asks for room before it reads.

final class TailBuffer: Sendable {
    typealias Taken = Result<StreamEntry, StreamError>

    private struct State {
        var batches = PipelineQueue<[StreamEntry]>()
        var front: [StreamEntry] = []
        var place = 0
        /// Entries that wait, and their replies' bytes, counted down batch by batch.
        var count = 0
        var bytes = PipelineQueue<Int>()
        var byteSum = 0
        /// Its filler waits for room.
        var isFull = false
        var failure: StreamError?
        var waiting: [(ticket: UInt64, handover: Handover<Taken>)] = []
        var lastTicket: UInt64 = 0
        var losses = 0
        var interruptions = 0

        mutating func takeFirst() -> StreamEntry? {
            if place == front.count {
                guard !batches.isEmpty else { return nil }
                (front, place) = (batches.removeFirst(), 0)
            }
            let entry = front[place]
            place += 1
            count -= 1
            if place == front.count {
                (front, place) = ([], 0)
                byteSum -= bytes.removeFirst()
            }
            return entry
        }

        /// What is left of the reply that the last entry came with.
        mutating func takeRest() -> [StreamEntry] {
            guard place < front.count else { return [] }
            let rest = Array(front[place...])
            count -= rest.count
            (front, place) = ([], 0)
            byteSum -= bytes.removeFirst()
            return rest
        }

        /// True once when its filler can go on.
        mutating func hasDrained() -> Bool {
            guard isFull, count <= Limits.tailEntriesMax / 4, byteSum <= Limits.tailBytesMax / 2 else { return false }
            isFull = false
            return true
        }
    }

    private let state = Lock(State())

    var losses: Int { state.withLock { $0.losses } }
    var interruptions: Int { state.withLock { $0.interruptions } }

    // MARK: The thread

    func note(losses: Int, interruptions: Int) {
        state.withLock { state in (state.losses, state.interruptions) = (losses, interruptions) }
    }

    /// Another page may be read. False: whoever takes enough wakes the thread.
    func hasRoom() -> Bool {
        state.withLock { state in
            state.isFull = state.count > Limits.tailEntriesMax - Limits.streamPageEntries || state.byteSum > Limits.tailBytesMax
            return !state.isFull
        }
    }

    func put(_ entries: [StreamEntry], bytes: Int) {
        guard !entries.isEmpty else { return }
        let served = state.withLock { state -> [(Handover<Taken>, StreamEntry)] in
            guard state.failure == nil else { return [] }
            state.batches.append(entries)
            state.bytes.append(bytes)
            state.count += entries.count
            state.byteSum += bytes
            var served: [(Handover<Taken>, StreamEntry)] = []
            while !state.waiting.isEmpty, let entry = state.takeFirst() { served.append((state.waiting.removeFirst().handover, entry)) }
            return served
        }
        for (handover, entry) in served { handover.resume(returning: .success(entry)) }
    }

    /// What is there can still be taken; then this is thrown.
    func finish(_ failure: StreamError) {
        let waiters = state.withLock { state in
            if state.failure == nil { state.failure = failure }
            defer { state.waiting = [] }
            return state.waiting
        }
        for waiter in waiters { waiter.handover.resume(returning: .failure(failure)) }
    }

    // MARK: Tasks

    /// What is there now, and whether the thread is to be woken.
    @inline(__always)
    private func takeNow() -> (taken: Taken?, wakes: Bool) {
        state.withLock { state in
            if let entry = state.takeFirst() { return (.success(entry), state.hasDrained()) }
            return (state.failure.map { .failure($0) }, false)
        }
    }

    /// The next entries, all of one reply; waits for them. For who takes no entries one by one.
    func takeReply(_ wake: () -> Void) async -> Result<[StreamEntry], StreamError> {
        switch await take(wake) {
        case .failure(let error): return .failure(error)
        case .success(let first):
            let (rest, wakes) = state.withLock { state in (state.takeRest(), state.hasDrained()) }
            if wakes { wake() }
            return .success([first] + rest)
        }
    }

    /// The next entry; waits for it.
    /// - Parameter wake: called when there is room again.
    func take(_ wake: () -> Void) async -> Taken {
        let (taken, wakes) = takeNow()
        if wakes { wake() }
        if let taken { return taken }
        let ticket = state.withLock { state in
            state.lastTicket += 1
            return state.lastTicket
        }
        return await withTaskCancellationHandler {
            await Handover.wait { handover in
                let ready = state.withLock { state -> Taken? in
                    // The cancellation has come and found nobody waiting; one that comes later does.
                    if Task.isCancelled { return .failure(.cancelled) }
                    if let entry = state.takeFirst() { return .success(entry) }
                    if let failure = state.failure { return .failure(failure) }
                    state.waiting.append((ticket, handover))
                    return nil
                }
                if let ready { handover.resume(returning: ready) }
            }
        } onCancel: {
            let waiter = state.withLock { state -> Handover<Taken>? in
                guard let place = state.waiting.firstIndex(where: { $0.ticket == ticket }) else { return nil }
                return state.waiting.remove(at: place).handover
            }
            waiter?.resume(returning: .failure(.cancelled))
        }
    }
}
