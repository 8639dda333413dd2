// What the tasks want and the client's thread does: the calls under way and the channels listened to. Any thread (a lock); the
// thread itself is in ClientLoop.
//
// A call ends exactly once, by whoever takes it out of the table: the thread with an answer or a failure, or the task that
// cancels it, without waiting for the thread. Bounds: `callsMax` calls at a time.

/// A call under way: it waits for the connections, then for its channel to be confirmed, then it publishes its command and waits for
/// the answer. What it does not have, it does not wait for.
struct ClientCall: Sendable {
    enum Stage: Sendable {
        case waiting
        /// PUBLISH is on its way.
        case publishing
        /// Somebody has received the command.
        case delivered
    }

    typealias Outcome = Result<[UInt8], FluxError>

    let number: UInt64
    /// Where to publish, and what.
    let command: (channel: String, text: String)?
    /// Where its answer or its updates come.
    let channel: String?
    let madeNs, deadlineNs: UInt64
    let handover: Handover<Outcome>
    var stage = Stage.waiting
    /// Connections that were lost under it.
    var losses = 0

    /// It waits until its channel's updates come.
    var isListening: Bool { command == nil && channel != nil }
}

final class ClientCalls: Sendable {
    static let callsMax = 4_096

    private struct State {
        var calls: [UInt64: ClientCall] = [:]
        var lastNumber: UInt64 = 0
        /// Calls with a command, by the channel of their answer.
        var requests: [String: UInt64] = [:]
        var streams: [String: [UpdateBuffer]] = [:]
        /// Calls or streams have come or gone: other channels may be wanted.
        var isChanged = false
        var isClosed = false
    }

    private let state = Lock(State())
    let wakeUp: WakeUp

    init(_ wakeUp: WakeUp) { self.wakeUp = wakeUp }

    /// Changes what is wanted, and wakes the thread.
    private func change<Value: Sendable>(_ body: (inout State) -> Value) -> Value {
        defer { wakeUp.signal() }
        return state.withLock { state in
            state.isChanged = true
            return body(&state)
        }
    }

    // MARK: Tasks

    /// Runs a call to its end. Returns early when the task is cancelled.
    func call(_ command: (channel: String, text: String)?, channel: String?, timeoutMs: Int) async -> ClientCall.Outcome {
        let number = state.withLock { state in
            state.lastNumber += 1
            return state.lastNumber
        }
        return await withTaskCancellationHandler {
            await Handover.wait { handover in
                let nowNs = MonotonicClock.nowNs()
                let call = ClientCall(
                    number: number, command: command, channel: channel, madeNs: nowNs, deadlineNs: nowNs + .ns(ms: timeoutMs),
                    handover: handover)
                if let refusal = add(call) { handover.resume(returning: .failure(refusal)) }
            }
        } onCancel: {
            finish(number, .failure(.cancelled))
        }
    }

    private func add(_ call: ClientCall) -> FluxError? {
        change { state in
            // The cancellation has come and found nothing to end; one that comes later finds the call.
            if Task.isCancelled { return .cancelled }
            if state.isClosed { return .disconnected("the client is closed") }
            if state.calls.count >= ClientCalls.callsMax { return .badArgument("more than \(ClientCalls.callsMax) calls at a time") }
            state.calls[call.number] = call
            if let channel = call.channel, call.command != nil { state.requests[channel] = call.number }
            return nil
        }
    }

    /// Ends a call, unless it has ended already.
    func finish(_ number: UInt64, _ outcome: ClientCall.Outcome) {
        let call = change { state -> ClientCall? in
            let call = state.calls.removeValue(forKey: number)
            if let channel = call?.channel { state.requests[channel] = nil }
            return call
        }
        call?.handover.resume(returning: outcome)
    }

    func addStream(_ buffer: UpdateBuffer, channel: String) {
        change { state in
            if state.isClosed { buffer.finish() } else { state.streams[channel, default: []].append(buffer) }
        }
    }

    func removeStream(_ buffer: UpdateBuffer, channel: String) {
        change { state in
            state.streams[channel]?.removeAll { $0 === buffer }
            if state.streams[channel]?.isEmpty == true { state.streams[channel] = nil }
        }
    }

    /// Ends everything; the thread sees it and ends, too.
    func close() {
        let (numbers, streams) = change { state in
            state.isClosed = true
            defer { state.streams = [:] }
            return (Array(state.calls.keys), state.streams.values.flatMap(\.self))
        }
        for number in numbers { finish(number, .failure(.disconnected("the client is closed"))) }
        for stream in streams { stream.finish() }
    }

    // MARK: The client's thread

    var isClosed: Bool { state.withLock { $0.isClosed } }
    var hasNews: Bool { state.withLock { $0.isChanged || $0.isClosed } }

    /// True when other channels may be wanted than the last time.
    func takeChange() -> Bool {
        state.withLock { state in
            defer { state.isChanged = false }
            return state.isChanged
        }
    }

    /// The channels of answers that somebody waits for.
    var answerChannels: Set<String> { state.withLock { Set($0.requests.keys) } }
    /// Those of updates that somebody listens to.
    var updateChannels: Set<String> { state.withLock { Set($0.streams.keys) } }

    var hasStreams: Bool { state.withLock { !$0.streams.isEmpty } }

    /// Calls that wait for the connections or for their channel, oldest first.
    var waiting: [ClientCall] {
        state.withLock { state in state.calls.values.filter { $0.stage == .waiting }.sorted { $0.number < $1.number } }
    }

    /// Puts a call back that nobody has received, to try it on a new connection. False when the connection was made for it.
    func waitsAgain(_ number: UInt64, connectedNs: UInt64) -> Bool {
        state.withLock { state in
            guard let call = state.calls[number], call.madeNs > connectedNs else { return false }
            state.calls[number]?.stage = .waiting
            return true
        }
    }

    func advance(_ number: UInt64, to stage: ClientCall.Stage) { state.withLock { $0.calls[number]?.stage = stage } }

    var nearestDeadlineNs: UInt64 { state.withLock { $0.calls.values.map(\.deadlineNs).min() ?? .max } }

    func overdue(nowNs: UInt64) -> [ClientCall] { state.withLock { state in state.calls.values.filter { $0.deadlineNs <= nowNs } } }

    /// The connections are lost: what has published fails, and what has lost three; everything else waits for new ones.
    /// - Parameter hearing: channels that are heard all the same, on other connections.
    func lose(_ reason: String, hearing: Set<String>) {
        let (hopeless, streams) = change { state in
            for number in state.calls.keys { state.calls[number]?.losses += 1 }
            let hopeless = state.calls.values.filter { $0.stage != .waiting || $0.losses >= 3 }
            return (hopeless.map(\.number), state.streams.filter { !hearing.contains($0.key) }.values.flatMap(\.self))
        }
        for number in hopeless { finish(number, .failure(.disconnected(reason))) }
        for stream in streams { stream.countInterruption() }
    }

    /// Who listens to the channel may have missed something.
    func interrupt(_ channel: String) {
        for stream in state.withLock({ $0.streams[channel] ?? [] }) { stream.countInterruption() }
    }

    /// Redis does not let us listen to the channel: who waits for it is told.
    func refuse(_ channel: String, _ message: String) {
        for call in waiting where call.channel == channel {
            finish(call.number, .failure(.disconnected("Redis refuses: \(message)")))
        }
    }

    /// Hands a message to the call or the streams that wait for it; a failure is a message that cannot be had.
    func deliver(_ channel: String, _ message: ClientCall.Outcome) {
        let (number, streams) = state.withLock { ($0.requests[channel], $0.streams[channel] ?? []) }
        if let number { return finish(number, message) }
        for stream in streams {
            if case .success(let payload) = message { stream.put(payload) } else { stream.countMissed() }
        }
    }

    func deliver(tooLong bytes: Int, _ channel: String) {
        deliver(channel, .failure(.badAnswer("\(bytes) bytes, of at most \(CommandAnswer.bytesMax)")))
    }
}
