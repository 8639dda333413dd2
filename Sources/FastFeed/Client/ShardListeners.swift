// The connections that listen to sharded channels: one to each node of a cluster that has some, one SSUBSCRIBE for each channel. The
// client's thread. A channel whose slot moves, and all of a node that is lost, are asked for anew, and who listens is told (`interrupt`).
//
// Blocks while it connects to a node or asks for the map, `Limits.clusterTimeoutMs` for each node. Bound: a connection for each primary.

import Glibc

struct ShardListeners {
    private enum Question {
        case join(String), leave(String), ping
    }
    private struct Listener {
        let subscriber: RedisSubscriber
        /// The channels that it was asked for, and whether it has confirmed them.
        var channels: [String: Bool] = [:]
        /// What it was asked and has not answered.
        var asked: ArraySlice<Question> = []
    }

    private let endpoint: RedisEndpoint
    private let silenceNs: UInt64
    /// By `host:port`.
    private var listeners: [String: Listener] = [:]
    /// The channels that are to be heard.
    var wanted: Set<String> = [] { didSet { if wanted != oldValue { isChanged = true } } }
    /// Something is wanted and not asked for, or the other way round, perhaps.
    private var isChanged = false
    private var wantsMap = false
    private var retryAtNs: UInt64 = 0
    private var backoff = Backoff(20...2_000, seed: SystemRandom.word())

    init(_ endpoint: RedisEndpoint, silenceNs: UInt64) { (self.endpoint, self.silenceNs) = (endpoint, silenceNs) }

    func hears(_ channel: String) -> Bool { listeners.values.contains { $0.channels[channel] == true } }
    var heard: Set<String> { Set(listeners.values.flatMap { $0.channels.filter(\.value).keys }) }
    var pollEntries: [pollfd] { listeners.values.map(\.subscriber.pollEntry) }

    /// When something is due though nothing comes.
    var dueNs: UInt64 {
        let watchNs = listeners.values.map { $0.subscriber.watchDueNs(silenceNs: silenceNs) }.min() ?? .max
        return isChanged ? min(watchNs, retryAtNs) : watchNs
    }

    mutating func close() {
        for listener in listeners.values { listener.subscriber.close() }
        listeners = [:]
    }

    /// Hands out what has come, and asks for what is not heard.
    mutating func turn(_ calls: ClientCalls, _ nowNs: UInt64) {
        for node in listeners.keys.sorted() {
            listen(node, calls)
            watch(node, calls, nowNs)
        }
        guard isChanged else { return }
        for node in listeners.keys.sorted() { leave(node) }
        if nowNs >= retryAtNs { isChanged = !follow(nowNs) }
    }

    // MARK: Asking

    private mutating func leave(_ node: String) {
        guard let listener = listeners[node] else { return }
        let unwanted = listener.channels.keys.filter { !wanted.contains($0) }
        guard unwanted.count < listener.channels.count else {
            listener.subscriber.close()
            listeners[node] = nil
            return
        }
        for channel in unwanted where listener.subscriber.sunsubscribe([channel]) {
            listeners[node]?.channels[channel] = nil
            listeners[node]?.asked.append(.leave(channel))
        }
    }

    /// - Returns: all that is wanted is asked for.
    private mutating func follow(_ nowNs: UInt64) -> Bool {
        let missing = wanted.subtracting(listeners.values.flatMap(\.channels.keys))
        guard !missing.isEmpty, let board = endpoint.cluster?.board else { return true }
        if wantsMap || board.map == nil {
            wantsMap = (try? endpoint.findMap(untilNs: nowNs + .ns(ms: 2 * Limits.clusterTimeoutMs))) == nil
        }
        var away: Set<String> = []
        for channel in missing.sorted() {
            let node = board.owner(HashSlot(key: channel))?.description ?? ""
            if !away.contains(node), !join(channel) { away.insert(node) }
        }
        guard !away.isEmpty || wantsMap else { return true }
        wantsMap = true
        pause()
        return false
    }

    private mutating func join(_ channel: String) -> Bool {
        guard let owner = endpoint.cluster?.board.owner(HashSlot(key: channel)) else { return false }
        let node = owner.description
        if listeners[node] == nil {
            guard
                let subscriber = try? RedisSubscriber.connect(
                    endpoint.at(owner), timeoutMs: Limits.clusterTimeoutMs, messageBytesMax: CommandAnswer.bytesMax)
            else { return false }
            listeners[node] = Listener(subscriber: subscriber)
        }
        guard listeners[node]?.subscriber.ssubscribe([channel]) == true else { return false }
        listeners[node]?.channels[channel] = false
        listeners[node]?.asked.append(.join(channel))
        return true
    }

    /// The next attempt comes a little later: once for all that fail together.
    private mutating func pause() {
        let nowNs = MonotonicClock.nowNs()
        if nowNs >= retryAtNs { retryAtNs = nowNs + backoff.nextDelayNs() }
    }

    // MARK: Hearing

    private mutating func listen(_ node: String, _ calls: ClientCalls) {
        while let event = listeners[node]?.subscriber.next() {
            switch event {
            case .nothing: return
            case .message(let channel, let payload): calls.deliver(channel, .success(payload))
            case .tooLong(let channel, let bytes): calls.deliver(tooLong: bytes, channel)
            case .subscribed(let channel):
                _ = listeners[node]?.asked.popFirst()
                if listeners[node]?.channels[channel] != nil { listeners[node]?.channels[channel] = true }
                backoff.succeeded()
            case .unsubscribed(let channel):
                // The answer, or unasked: the slot has gone. Asked again, the node says where to.
                if case .leave(channel)? = listeners[node]?.asked.first {
                    _ = listeners[node]?.asked.popFirst()
                } else if listeners[node]?.channels[channel] == true {
                    listeners[node]?.channels[channel] = nil
                    isChanged = true
                    calls.interrupt(channel)
                }
            case .pong: _ = listeners[node]?.asked.popFirst()
            case .refused(let message): takeRefusal(node, message, calls)
            case .lost: lose(node, calls)
            }
        }
    }

    private mutating func takeRefusal(_ node: String, _ message: String, _ calls: ClientCalls) {
        guard case .join(let channel)? = listeners[node]?.asked.popFirst() else { return }
        listeners[node]?.channels[channel] = nil
        isChanged = true
        pause()
        if let redirect = Redirect(error: message) {
            endpoint.cluster?.board.take(redirect)
            wantsMap = wantsMap || redirect.node == nil
        } else if message.hasPrefix("CLUSTERDOWN") {
            wantsMap = true
        } else {
            calls.refuse(channel, message)
        }
    }

    private mutating func watch(_ node: String, _ calls: ClientCalls, _ nowNs: UInt64) {
        switch listeners[node]?.subscriber.watch(nowNs: nowNs, silenceNs: silenceNs) {
        case .pinged: listeners[node]?.asked.append(.ping)
        case .dead: lose(node, calls)
        case .nothing, nil: break
        }
    }

    private mutating func lose(_ node: String, _ calls: ClientCalls) {
        guard let lost = listeners.removeValue(forKey: node) else { return }
        lost.subscriber.close()
        for (channel, isHeard) in lost.channels where isHeard { calls.interrupt(channel) }
        (isChanged, wantsMap) = (true, true)
    }
}
