// What the tasks want and the client's thread does: the calls under way and the channels listened to. Any thread (a lock); the
// thread itself is in ClientLoop.
//
// A call ends exactly once, by whoever takes it out of the table: the thread with an answer or a failure, or the task that
// cancels it, without waiting for the thread. Bounds: `callsMax` calls at a time.

/// A call under way.
struct ClientCall: Sendable {
    enum Kind: Sendable {
        /// Only the connections are wanted.
        case connect
        /// Publish on `command`, wait for one message on the call's channel.
        case request(command: String, text: String)
        /// Wait until the channel is confirmed.
        case watch
    }

    enum Stage: Sendable {
        /// The connections do not stand, or it has not been looked at.
        case queued
        /// SUBSCRIBE is on its way.
        case subscribing
        /// PUBLISH is on its way.
        case publishing
        /// Somebody has received the command.
        case delivered
    }

    typealias Outcome = Result<[UInt8], FluxError>

    let kind: Kind
    /// Where its answer comes; empty for `connect`.
    let channel: String
    let deadlineNs: UInt64
    let continuation: CheckedContinuation<Outcome, Never>
    var stage = Stage.queued
    /// Connections that were lost under it.
    var losses = 0
}

final class ClientCalls: Sendable {
    static let callsMax = 4_096

    enum Order: Sendable {
        case begin(UInt64)
        /// Nobody may want this channel any more.
        case release(String)
    }

    private struct State {
        var calls: [UInt64: ClientCall] = [:]
        var lastNumber: UInt64 = 0
        var byChannel: [String: UInt64] = [:]
        var streams: [String: [ObjectIdentifier: UpdateBuffer]] = [:]
        var orders: [Order] = []
        var isClosed = false

        mutating func remove(_ number: UInt64) -> ClientCall? {
            guard let call = calls.removeValue(forKey: number) else { return nil }
            if case .request = call.kind { byChannel[call.channel] = nil }
            if !call.channel.isEmpty { orders.append(.release(call.channel)) }
            return call
        }
    }

    private let state = Lock(State())
    let wakeUp: WakeUp

    init(_ wakeUp: WakeUp) { self.wakeUp = wakeUp }

    // MARK: Tasks

    /// Runs a call to its end. Returns early when the task is cancelled.
    func call(_ kind: ClientCall.Kind, channel: String, timeoutMs: Int) async -> ClientCall.Outcome {
        let number = state.withLock { state in
            state.lastNumber += 1
            return state.lastNumber
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let deadlineNs = MonotonicClock.nowNs() + .ns(ms: timeoutMs)
                add(number, ClientCall(kind: kind, channel: channel, deadlineNs: deadlineNs, continuation: continuation))
            }
        } onCancel: {
            finish(number, .failure(.cancelled))
        }
    }

    private func add(_ number: UInt64, _ call: ClientCall) {
        let refusal = state.withLock { state -> FluxError? in
            // The cancellation has come and found nothing to end; one that comes later finds the call.
            if Task.isCancelled { return .cancelled }
            if state.isClosed { return .disconnected("the client is closed") }
            if state.calls.count >= ClientCalls.callsMax { return .badArgument("more than \(ClientCalls.callsMax) calls at a time") }
            state.calls[number] = call
            if case .request = call.kind { state.byChannel[call.channel] = number }
            state.orders.append(.begin(number))
            return nil
        }
        if let refusal { return call.continuation.resume(returning: .failure(refusal)) }
        wakeUp.signal()
    }

    /// Ends a call, unless it has ended already.
    func finish(_ number: UInt64, _ outcome: ClientCall.Outcome) {
        guard let call = state.withLock({ $0.remove(number) }) else { return }
        wakeUp.signal()
        call.continuation.resume(returning: outcome)
    }

    func addStream(_ buffer: UpdateBuffer, channel: String) {
        state.withLock { state in
            if state.isClosed { return buffer.finish() }
            state.streams[channel, default: [:]][ObjectIdentifier(buffer)] = buffer
        }
    }

    func removeStream(_ buffer: UpdateBuffer, channel: String) {
        state.withLock { state in
            state.streams[channel]?[ObjectIdentifier(buffer)] = nil
            if state.streams[channel]?.isEmpty == true { state.streams[channel] = nil }
            state.orders.append(.release(channel))
        }
        wakeUp.signal()
    }

    /// Ends everything; the thread sees it and ends, too.
    func close() {
        let numbers = state.withLock { state in
            state.isClosed = true
            return Array(state.calls.keys)
        }
        for number in numbers { finish(number, .failure(.disconnected("the client is closed"))) }
        let streams = state.withLock { state in
            defer { state.streams = [:] }
            return state.streams.values.flatMap(\.values)
        }
        for stream in streams { stream.finish() }
        wakeUp.signal()
    }

    // MARK: The client's thread

    var isClosed: Bool { state.withLock { $0.isClosed } }

    func takeOrders() -> [Order] {
        state.withLock { state in
            defer { state.orders = [] }
            return state.orders
        }
    }

    var hasOrders: Bool { state.withLock { !$0.orders.isEmpty || $0.isClosed } }

    subscript(number: UInt64) -> ClientCall? { state.withLock { $0.calls[number] } }

    func advance(_ number: UInt64, to stage: ClientCall.Stage) { state.withLock { $0.calls[number]?.stage = stage } }

    /// Calls in any of these stages, oldest first.
    func numbers(in stages: ClientCall.Stage...) -> [UInt64] {
        state.withLock { state in state.calls.filter { stages.contains($0.value.stage) }.map(\.key).sorted() }
    }

    /// The connections are lost: what had not been published waits for new ones, everything else fails.
    func lose(_ reason: String) {
        for number in numbers(in: .publishing, .delivered) { finish(number, .failure(.disconnected(reason))) }
        for number in numbers(in: .subscribing) {
            let hasHope = state.withLock { state in
                state.calls[number]?.stage = .queued
                state.calls[number]?.losses += 1
                return (state.calls[number]?.losses ?? 0) < 3
            }
            if !hasHope { finish(number, .failure(.disconnected(reason))) }
        }
        for stream in allStreams { stream.countInterruption() }
    }

    private var allStreams: [UpdateBuffer] { state.withLock { $0.streams.values.flatMap(\.values) } }

    /// The channels of updates that somebody reads.
    var streamChannels: [String] { state.withLock { Array($0.streams.keys) } }

    func isWanted(_ channel: String) -> Bool {
        state.withLock { state in
            state.streams[channel] != nil || state.calls.contains { $0.value.channel == channel }
        }
    }

    /// Calls that wait for a channel to be confirmed.
    func subscribing(to channel: String) -> [UInt64] {
        state.withLock { state in
            state.calls.filter { $0.value.stage == .subscribing && $0.value.channel == channel }.map(\.key)
        }
    }

    /// Hands a message to the call or the streams that wait for it.
    func deliver(_ channel: String, _ payload: [UInt8]) {
        if let number = state.withLock({ $0.byChannel[channel] }) {
            finish(number, .success(payload))
            return
        }
        for stream in state.withLock({ Array(($0.streams[channel] ?? [:]).values) }) { stream.put(payload) }
    }

    func deliverTooLong(_ channel: String, bytes: Int) {
        if let number = state.withLock({ $0.byChannel[channel] }) {
            finish(number, .failure(.badAnswer("\(bytes) bytes, of at most \(CommandAnswer.bytesMax)")))
            return
        }
        for stream in state.withLock({ Array(($0.streams[channel] ?? [:]).values) }) { stream.countMissed() }
    }

    var nearestDeadlineNs: UInt64 { state.withLock { $0.calls.values.map(\.deadlineNs).min() ?? .max } }

    func overdue(nowNs: UInt64) -> [(number: UInt64, stage: ClientCall.Stage)] {
        state.withLock { state in state.calls.filter { $0.value.deadlineNs <= nowNs }.map { ($0.key, $0.value.stage) } }
    }
}
