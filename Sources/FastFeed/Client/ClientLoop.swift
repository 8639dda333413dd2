// The client's thread: two connections to Redis, one that listens and one that publishes, and whatever the tasks want of
// them. Blocks while it connects (half the calls' time-out for each), otherwise only in poll. Where updates are sharded they have
// connections of their own (`ShardListeners`), with a life of their own.
//
// A request goes: SUBSCRIBE its channel, wait for the confirmation, PUBLISH, look at the number of receivers, wait for the
// message. After a loss it connects again at once when a call waits, and with growing pauses while only streams do.

struct ClientLoop {
    /// What the commander was asked and has not answered.
    private enum Question {
        /// How many have received the call's message.
        case receivers(UInt64)
        /// Whether a service runs at all: nobody has heard the call's message at the node where it was published.
        case state(UInt64)
        /// How it publishes: for the calls up to this one.
        case mode(UInt64)
        /// Whether the server is one that still hears its master.
        case role
    }

    private struct Link {
        let subscriber: RedisSubscriber
        let commander: RoutedConnection
        let connectedNs: UInt64
        /// The channels that Redis was asked for, and whether it has confirmed them.
        var channels: [String: Bool] = [:]
        /// What the subscriber was asked and Redis has not answered: the channel, nil for what is not a subscription.
        var asked: ArraySlice<String?> = []
        var questions: ArraySlice<Question> = []
        /// For the calls up to these it was asked how the service publishes, and answered; and when it is asked again.
        var modeAsked: UInt64 = 0
        var modeKnown: UInt64 = 0
        var modeDueNs: UInt64 = 0
    }

    private let endpoint: RedisEndpoint
    private let statusKey: String
    private let calls: ClientCalls
    private let timeoutMs: Int
    /// No byte for this long: a ping. Without an answer for as long again, the connection is taken for dead.
    private let silenceNs: UInt64
    private var link: Link?
    /// How the service publishes, as it has last said; nil before.
    private var mode: UpdateMode?
    /// Updates come from the nodes of their channels, and not from the one that is the client's home.
    private var isSharded: Bool { mode == .sharded && endpoint.cluster != nil }
    private var shards: ShardListeners
    private var retryAtNs: UInt64 = 0
    private var backoff = Backoff(100...5_000, seed: SystemRandom.word())

    /// - Parameter statusKey: the service's. In a cluster its node is where requests are published and answers heard.
    init(_ endpoint: RedisEndpoint, statusKey: String, _ calls: ClientCalls, timeoutMs: Int, silenceNs: UInt64) {
        (self.endpoint, self.statusKey) = (endpoint.home(at: statusKey), statusKey)
        (self.calls, self.timeoutMs, self.silenceNs) = (calls, timeoutMs, silenceNs)
        shards = ShardListeners(endpoint, silenceNs: silenceNs)
    }

    /// Runs until the client is closed.
    mutating func run() {
        while !calls.isClosed {
            connectIfWanted()
            if calls.takeChange() { follow() }
            askMode()
            listen()
            shards.turn(calls, MonotonicClock.nowNs())
            advance()
            hearAnswers()
            expire()
            wait()
        }
        close()
        shards.close()
    }

    // MARK: Connections

    private mutating func connectIfWanted() {
        guard link == nil, !calls.waiting.isEmpty || (calls.hasStreams && MonotonicClock.nowNs() >= retryAtNs) else { return }
        do throws(FeedError) {
            let partMs = max(50, timeoutMs / 2)
            let subscriber = try RedisSubscriber.connect(endpoint, timeoutMs: partMs, messageBytesMax: CommandAnswer.bytesMax)
            link = Link(
                subscriber: subscriber, commander: try RoutedConnection.connect(endpoint, timeoutMs: partMs),
                connectedNs: MonotonicClock.nowNs())
            backoff.succeeded()
            follow()
        } catch {
            for call in calls.waiting { calls.finish(call.number, .failure(.disconnected(error.message))) }
            retryAtNs = MonotonicClock.nowNs() + backoff.nextDelayNs()
        }
    }

    private mutating func lose(_ reason: String) {
        guard link != nil else { return }
        close()
        retryAtNs = MonotonicClock.nowNs() + backoff.nextDelayNs()
        calls.lose(reason, hearing: shards.heard)
    }

    private mutating func close() {
        link?.subscriber.close()
        link?.commander.close()
        link = nil
    }

    // MARK: Asking

    /// Asks Redis for the channels that are wanted now, and to leave those that are not any more.
    private mutating func follow() {
        let updates = calls.updateChannels
        shards.wanted = isSharded ? updates : []
        guard let heard = link?.channels.keys else { return }
        let wanted = isSharded ? calls.answerChannels : calls.answerChannels.union(updates)
        for channel in wanted.subtracting(heard) {
            link?.channels[channel] = false
            ask(channel) { $0.subscribe([channel]) }
        }
        for channel in heard where !wanted.contains(channel) {
            link?.channels[channel] = nil
            ask(nil) { $0.unsubscribe([channel]) }
        }
    }

    private mutating func ask(_ channel: String?, _ command: (RedisSubscriber) -> Bool) {
        guard let subscriber = link?.subscriber else { return }
        if command(subscriber) { link?.asked.append(channel) } else { lose("Redis takes no more commands") }
    }

    /// Publishes what has waited for its channel.
    private mutating func advance() {
        for call in calls.waiting {
            guard let commander = link?.commander else { return }
            if call.isListening {
                settle(call)
                continue
            }
            if let channel = call.channel, link?.channels[channel] != true { continue }
            guard let command = call.command else {
                calls.finish(call.number, .success([]))
                continue
            }
            calls.advance(call.number, to: .publishing)
            guard commander.send(["PUBLISH", command.channel, command.text]) else { return lose("Redis takes no more commands") }
            link?.questions.append(.receivers(call.number))
        }
    }

    /// Ends the call when its updates come, or cannot come.
    private func settle(_ call: ClientCall) {
        guard let channel = call.channel, let link, link.modeKnown >= call.number else { return }
        switch mode ?? .classic {
        case .classic: if link.channels[channel] == true { calls.finish(call.number, .success([])) }
        case .sharded where endpoint.cluster == nil:
            let sentence = "the service publishes sharded updates: name its Redis as redis+cluster://…"
            calls.finish(call.number, .failure(.noUpdates(sentence)))
        case .sharded: if shards.hears(channel) { calls.finish(call.number, .success([])) }
        case .off: calls.finish(call.number, .failure(.noUpdates("the service publishes no updates (--updates off)")))
        }
    }

    // MARK: How the service publishes

    /// Before a call that listens is at its end; and in a cluster from time to time, for as long as somebody listens.
    private mutating func askMode() {
        guard let link, calls.hasStreams else { return }
        let newest = calls.waiting.last { $0.isListening }?.number ?? 0
        let nowNs = MonotonicClock.nowNs()
        guard newest > link.modeAsked || nowNs >= link.modeDueNs else { return }
        guard link.commander.send(["HGET", statusKey, Field.updateMode]) else { return lose("Redis takes no more commands") }
        let asked = max(newest, link.modeAsked)
        self.link?.questions.append(.mode(asked))
        self.link?.modeAsked = asked
        self.link?.modeDueNs = endpoint.cluster == nil ? .max : nowNs + .ns(ms: Limits.updateModeMs)
    }

    /// A service that does not say it, or is not there, goes on as it was, as far as anybody knows.
    private mutating func takeMode(_ reply: RedisReply, _ number: UInt64) {
        link?.modeKnown = number
        let said = reply.text.flatMap { UpdateMode(rawValue: $0) } ?? (mode == .off ? .classic : mode)
        if said != mode {
            // Who has just come has missed nothing.
            let new = Set(calls.waiting.filter(\.isListening).compactMap(\.channel))
            if mode != nil { for channel in calls.updateChannels.subtracting(new) { calls.interrupt(channel) } }
            mode = said
            follow()
            shards.turn(calls, MonotonicClock.nowNs())
        }
        advance()
    }

    // MARK: Hearing

    private mutating func listen() {
        while let event = link?.subscriber.next() {
            switch event {
            case .nothing: return
            case .message(let channel, let payload): calls.deliver(channel, .success(payload))
            case .tooLong(let channel, let bytes): calls.deliver(tooLong: bytes, channel)
            case .subscribed(let channel):
                _ = link?.asked.popFirst()
                // Left meanwhile, it stays left.
                if link?.channels[channel] != nil { link?.channels[channel] = true }
            case .unsubscribed, .pong: _ = link?.asked.popFirst()
            case .refused(let message):
                guard case .some(.some(let channel)) = link?.asked.popFirst() else { continue }
                link?.channels[channel] = nil
                calls.refuse(channel, message)
            case .lost(let reason): lose(reason)
            }
        }
    }

    private mutating func hearAnswers() {
        while let event = link?.commander.next() {
            switch event {
            case .nothing: return
            case .lost(let reason): lose(reason)
            case .reply(let reply):
                switch link?.questions.popFirst() {
                case .receivers(let number): takeReceivers(reply, number)
                case .state(let number): takeState(reply, number)
                case .mode(let number): takeMode(reply, number)
                case .role: takeRole(reply)
                case nil: lose("Redis answers what was not asked")
                }
            }
        }
    }

    /// PUBLISH answers with how many have received it.
    private mutating func takeReceivers(_ reply: RedisReply, _ number: UInt64) {
        switch reply {
        // The count is that of one node: the service may listen at another one for a moment.
        case .integer(0) where endpoint.cluster != nil: askState(number)
        case .integer(0) where calls.waitsAgain(number, connectedNs: link?.connectedNs ?? 0):
            // This server may have been the master once, and the service has gone on to the new one.
            lose("nobody listens for commands at \(endpoint) any more")
        case .integer(0): calls.finish(number, .failure(.serviceNotRunning))
        case .integer: calls.advance(number, to: .delivered)
        case .error(let message): calls.finish(number, .failure(.disconnected("Redis refuses: \(message)")))
        default: lose("Redis answers what was not asked")
        }
    }

    private mutating func askState(_ number: UInt64) {
        guard let commander = link?.commander, commander.send(["HGET", statusKey, Field.state]) else {
            return lose("Redis takes no more commands")
        }
        link?.questions.append(.state(number))
    }

    private func takeState(_ reply: RedisReply, _ number: UInt64) {
        switch reply {
        case .error(let message): calls.finish(number, .failure(.disconnected("Redis refuses: \(message)")))
        case .bytes where reply.text != ServiceState.stopped.rawValue: calls.advance(number, to: .delivered)
        default: calls.finish(number, .failure(.serviceNotRunning))
        }
    }

    // MARK: A server of the past

    /// A client that only listens would wait for ever at a server that was the master once and is cut off from the new one.
    private mutating func askRole() {
        guard calls.hasStreams, let commander = link?.commander else { return }
        guard commander.send(["ROLE"]) else { return lose("Redis takes no more commands") }
        link?.questions.append(.role)
    }

    /// `slave`, host, port, how its link stands. A server that will not say is believed.
    private mutating func takeRole(_ reply: RedisReply) {
        let words = reply.elements.map(\.text)
        guard words.count > 3, words[0] == "slave" else { return }
        // Where Sentinels know the master, a replica is none of our business.
        guard endpoint.sentinels != nil || ["connect", "connecting"].contains(words[3]) else { return }
        lose("\(endpoint) is a replica that does not reach its master")
    }

    // MARK: Time

    private mutating func expire() {
        let nowNs = MonotonicClock.nowNs()
        let silence = link == nil ? "cannot connect to \(endpoint) within \(timeoutMs) ms" : "\(endpoint) does not answer"
        let overdue = calls.overdue(nowNs: nowNs)
        for call in overdue {
            let isDelivered = call.stage == .delivered
            calls.finish(call.number, .failure(isDelivered ? .timeout(after: .milliseconds(timeoutMs)) : .disconnected(silence)))
        }
        // A sharded channel's node is another one.
        if overdue.contains(where: { $0.stage != .delivered && !($0.isListening && isSharded) }) { lose(silence) }
        switch link?.subscriber.watch(nowNs: nowNs, silenceNs: silenceNs) {
        case .pinged:
            link?.asked.append(nil)
            askRole()
        case .dead: lose(silence)
        case .nothing, nil: break
        }
    }

    /// When something is due though nothing comes.
    private var dueNs: UInt64 {
        let watchNs = link?.subscriber.watchDueNs(silenceNs: silenceNs) ?? (calls.hasStreams ? retryAtNs : .max)
        let modeNs = calls.hasStreams ? link?.modeDueNs ?? .max : .max
        return min(min(calls.nearestDeadlineNs, watchNs), min(modeNs, shards.dueNs), link?.commander.dueNs ?? .max)
    }

    private func wait() {
        let entries = (link.map { [$0.subscriber.pollEntry] + $0.commander.pollEntries } ?? []) + shards.pollEntries
        calls.wakeUp.park(entries, untilNs: dueNs) { calls.hasNews }
    }
}
