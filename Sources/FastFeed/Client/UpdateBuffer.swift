// Updates between the client's thread, which puts them in, and a task, which takes them out. Any thread (a lock).
// Bounded by count and bytes: when it is full the oldest fall out, counted. Messages are kept as bytes and parsed by
// whoever takes them.

final class UpdateBuffer: Sendable {
    static let countMax = 1_024
    static let bytesMax = 8 << 20

    private struct State {
        var messages: ArraySlice<[UInt8]> = []
        var bytes = 0
        var missed: UInt64 = 0
        var interruptions: UInt64 = 0
        var isFinished = false
        var waiting: [(ticket: UInt64, handover: Handover<[UInt8]?>)] = []
        var lastTicket: UInt64 = 0

        mutating func takeFirst() -> [UInt8]? {
            guard let first = messages.first else { return nil }
            // The slice may keep its place for a while, but not the bytes.
            messages[messages.startIndex] = []
            messages.removeFirst()
            bytes -= first.count
            return first
        }
    }

    private let state = Lock(State())

    var missed: UInt64 { state.withLock { $0.missed } }
    var interruptions: UInt64 { state.withLock { $0.interruptions } }

    func put(_ message: [UInt8]) {
        let waiter = state.withLock { state -> Handover<[UInt8]?>? in
            guard !state.isFinished else { return nil }
            if !state.waiting.isEmpty { return state.waiting.removeFirst().handover }
            state.messages.append(message)
            state.bytes += message.count
            while state.messages.count > UpdateBuffer.countMax || state.bytes > UpdateBuffer.bytesMax {
                _ = state.takeFirst()
                state.missed += 1
            }
            return nil
        }
        waiter?.resume(returning: message)
    }

    /// One that came and cannot be given to anybody.
    func countMissed() { state.withLock { $0.missed += 1 } }
    func countInterruption() { state.withLock { $0.interruptions += 1 } }

    /// What is there can still be taken; then nil.
    func finish() {
        let waiters = state.withLock { state in
            state.isFinished = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for waiter in waiters { waiter.handover.resume(returning: nil) }
    }

    /// The next message; nil at the end, and when the task is cancelled.
    func take() async -> [UInt8]? {
        let ticket = state.withLock { state in
            state.lastTicket += 1
            return state.lastTicket
        }
        return await withTaskCancellationHandler {
            await Handover.wait { handover in
                let ready = state.withLock { state -> [UInt8]?? in
                    // The cancellation has come and found nobody waiting; one that comes later does.
                    if Task.isCancelled { return .some(nil) }
                    if let first = state.takeFirst() { return first }
                    if state.isFinished { return .some(nil) }
                    state.waiting.append((ticket, handover))
                    return nil
                }
                if let ready { handover.resume(returning: ready) }
            }
        } onCancel: {
            cancel(ticket)
        }
    }

    private func cancel(_ ticket: UInt64) {
        let waiter = state.withLock { state -> Handover<[UInt8]?>? in
            guard let place = state.waiting.firstIndex(where: { $0.ticket == ticket }) else { return nil }
            return state.waiting.remove(at: place).handover
        }
        waiter?.resume(returning: nil)
    }
}
