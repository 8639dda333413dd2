// The client's thread: two connections to Redis, one that listens and one that publishes, and whatever the tasks want of
// them. Blocks while it connects (half the calls' time-out for each), otherwise only in poll.
//
// A request goes: SUBSCRIBE its channel, wait for the confirmation, PUBLISH, look at the number of receivers, wait for the
// message. After a loss it connects again at once when a call waits, and with growing pauses while only streams do.

struct ClientLoop {
    /// Stands among the calls for the question whether the server is one that still hears its master.
    private static let roleQuestion: UInt64 = 0

    /// What the commander was asked and has not answered.
    private struct Question {
        let number: UInt64
        /// Whether a service runs at all: nobody has heard the message at the node where it was published.
        var isState = false
    }

    private struct Link {
        let subscriber: RedisSubscriber
        let commander: RoutedConnection
        let connectedNs: UInt64
        /// The channels that Redis was asked for, and whether it has confirmed them.
        var channels: [String: Bool] = [:]
        /// What the subscriber was asked and Redis has not answered: the channel, nil for what is not a subscription.
        var asked: ArraySlice<String?> = []
        /// The calls whose PUBLISH has not been answered.
        var published: ArraySlice<Question> = []
    }

    private let endpoint: RedisEndpoint
    private let statusKey: String
    private let calls: ClientCalls
    private let timeoutMs: Int
    /// No byte for this long: a ping. Without an answer for as long again, the connection is taken for dead.
    private let silenceNs: UInt64
    private var link: Link?
    private var retryAtNs: UInt64 = 0
    private var backoff = Backoff(100...5_000, seed: SystemRandom.word())

    /// - Parameter statusKey: the service's. In a cluster its node is where requests are published and answers heard.
    init(_ endpoint: RedisEndpoint, statusKey: String, _ calls: ClientCalls, timeoutMs: Int, silenceNs: UInt64) {
        (self.endpoint, self.statusKey) = (endpoint.home(at: statusKey), statusKey)
        (self.calls, self.timeoutMs, self.silenceNs) = (calls, timeoutMs, silenceNs)
    }

    /// Runs until the client is closed.
    mutating func run() {
        while !calls.isClosed {
            connectIfWanted()
            if calls.takeChange() { follow() }
            listen()
            advance()
            hearReceivers()
            expire()
            wait()
        }
        close()
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
        calls.lose(reason)
    }

    private mutating func close() {
        link?.subscriber.close()
        link?.commander.close()
        link = nil
    }

    // MARK: Asking

    /// Asks Redis for the channels that are wanted now, and to leave those that are not any more.
    private mutating func follow() {
        guard let heard = link?.channels.keys else { return }
        let wanted = calls.channels
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
            if let channel = call.channel, link?.channels[channel] != true { continue }
            guard let command = call.command else {
                calls.finish(call.number, .success([]))
                continue
            }
            calls.advance(call.number, to: .publishing)
            guard commander.send(["PUBLISH", command.channel, command.text]) else { return lose("Redis takes no more commands") }
            link?.published.append(Question(number: call.number))
        }
    }

    // MARK: Hearing

    private mutating func listen() {
        while let event = link?.subscriber.next() {
            switch event {
            case .nothing: return
            case .message(let channel, let payload): calls.deliver(channel, .success(payload))
            case .tooLong(let channel, let bytes):
                calls.deliver(channel, .failure(.badAnswer("\(bytes) bytes, of at most \(CommandAnswer.bytesMax)")))
            case .subscribed(let channel):
                _ = link?.asked.popFirst()
                // Left meanwhile, it stays left.
                if link?.channels[channel] != nil { link?.channels[channel] = true }
            case .unsubscribed, .pong: _ = link?.asked.popFirst()
            case .refused(let message):
                guard case .some(.some(let channel)) = link?.asked.popFirst() else { continue }
                link?.channels[channel] = nil
                for call in calls.waiting where call.channel == channel {
                    calls.finish(call.number, .failure(.disconnected("Redis refuses: \(message)")))
                }
            case .lost(let reason): lose(reason)
            }
        }
    }

    /// PUBLISH answers with how many have received it.
    private mutating func hearReceivers() {
        while let event = link?.commander.next() {
            switch event {
            case .nothing: return
            case .lost(let reason): lose(reason)
            case .reply(let reply):
                guard let question = link?.published.popFirst() else { return lose("Redis answers what was not asked") }
                let number = question.number
                switch reply {
                case _ where number == ClientLoop.roleQuestion: takeRole(reply)
                case _ where question.isState: takeState(reply, number)
                // The count is that of one node: the service may listen at another one for a moment.
                case .integer(0) where endpoint.cluster != nil: askState(number)
                case .integer(0) where calls.waitsAgain(number, connectedNs: link!.connectedNs):
                    // This server may have been the master once, and the service has gone on to the new one.
                    return lose("nobody listens for commands at \(endpoint) any more")
                case .integer(0): calls.finish(number, .failure(.serviceNotRunning))
                case .integer: calls.advance(number, to: .delivered)
                case .error(let message): calls.finish(number, .failure(.disconnected("Redis refuses: \(message)")))
                default: return lose("Redis answers what was not asked")
                }
            }
        }
    }

    private mutating func askState(_ number: UInt64) {
        guard let commander = link?.commander, commander.send(["HGET", statusKey, Field.state]) else {
            return lose("Redis takes no more commands")
        }
        link?.published.append(Question(number: number, isState: true))
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
        link?.published.append(Question(number: ClientLoop.roleQuestion))
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
        if overdue.contains(where: { $0.stage != .delivered }) { lose(silence) }
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
        return min(calls.nearestDeadlineNs, watchNs)
    }

    private func wait() {
        let entries = link.map { [$0.subscriber.pollEntry] + $0.commander.pollEntries } ?? []
        calls.wakeUp.park(entries, untilNs: dueNs) { calls.hasNews }
    }
}
