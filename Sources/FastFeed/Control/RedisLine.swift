// Control's line to Redis: one connection that listens, one for everything else, and what becomes of both when Redis is slow or
// away. The control thread's alone. `ask`, `listen` and `finish` wait, for `Limits.controlRedisTimeoutMs`, and `connectIfDue` for
// `Limits.redisConnectTimeoutMs` and each connection; who connects asks each tenth of a second whether that is still wanted. What needs
// no answer is posted, and its replies are looked at when they come. So a write that Redis answers late costs nobody's question, and
// a question that Redis answers late costs no connection.

import Glibc

package struct RedisLine {
    /// Commands in one write; an answer may have a megabyte.
    private static let writeCountMax = 32

    private let endpoint: RedisEndpoint
    private let channels: [String]
    private let journal: Journal
    private var backoff: Backoff
    private var retryAtNs: UInt64 = 0

    private var connection: RoutedConnection?
    private var subscriber: RedisSubscriber?
    private var isListening = false
    /// What waits for the socket to take it.
    private var outgoing: ArraySlice<[String]> = []
    /// Of this connection: commands sent and replies come, which come in the same order.
    private var (sentCount, repliedCount) = (0, 0)
    /// Up to this reply nobody waits any more: it was late.
    private var lateCount = 0
    /// Which reply is the first to a question that was given up; and that, once it has come.
    private var givenUp: (number: Int, reply: RedisReply?)?
    /// When the last reply came, or the first command was sent that has none.
    private var heardNs: UInt64 = 0
    private var elsewhere: ElsewhereWatch

    package init(_ endpoint: RedisEndpoint, channels: [String], journal: Journal, seed: UInt64) {
        (self.endpoint, self.channels, self.journal) = (endpoint, channels, journal)
        backoff = Backoff(Limits.redisBackoffMs, seed: seed)
        elsewhere = ElsewhereWatch(isFound: endpoint.sentinels != nil)
    }

    /// True while Redis takes and answers what it is sent: only then requests are taken.
    package var isReady: Bool { connection?.wantsWrite == false && repliedCount >= lateCount }

    /// Another server is Redis's primary now, as its Sentinels say.
    package var isOutdated: Bool { connection?.isOutdated ?? false || subscriber?.isOutdated ?? false }

    // MARK: Coming and going

    /// Connects when it is time; true when the line stands now and did not before. Then it is `confirm`ed or `lose`d.
    /// - Parameter isWanted: asked while a name is looked up or an address keeps silent.
    package mutating func connectIfDue(_ nowNs: UInt64, isWanted: () -> Bool = { true }) -> Bool {
        guard connection == nil, nowNs >= retryAtNs else { return false }
        do throws(FeedError) {
            let made = try RoutedConnection.connect(
                endpoint, stringBytesMax: Limits.clientBytesMax, outboxBytesMax: Limits.clientBytesMax, isWanted: isWanted)
            try subscribe(timeoutMs: Limits.redisConnectTimeoutMs, isWanted)
            connection = made
        } catch {
            lose("\(error)")
        }
        return connection != nil
    }

    private mutating func subscribe(timeoutMs: Int, _ isWanted: () -> Bool) throws(FeedError) {
        if isOutdated {
            subscriber?.close()
            subscriber = nil
        }
        guard isListening, subscriber == nil else { return }
        subscriber = try RedisSubscriber.connect(
            endpoint, timeoutMs: timeoutMs, messageBytesMax: CommandRequest.bytesMax, isWanted: isWanted)
        subscriber?.subscribe(channels)
    }

    /// From now on messages come. False when they do not, and the line is lost.
    package mutating func listen(isWanted: () -> Bool = { true }) -> Bool {
        isListening = true
        do throws(FeedError) {
            // A Redis that lets the other connection live answers soon.
            try subscribe(timeoutMs: Limits.controlRedisTimeoutMs, isWanted)
        } catch {
            lose("\(error)")
        }
        return connection != nil
    }

    /// What has come and was not read is forgotten.
    package mutating func stopListening() {
        isListening = false
        subscriber?.close()
        subscriber = nil
    }

    /// What was posted meanwhile goes before all that is asked from now on.
    package mutating func confirm() {
        backoff.succeeded()
        flush()
    }

    /// Requests that have come and answers that wait stay: a Redis that was only slow shall not cost them. (Whether the connection that
    /// listens is lost, too, shows when it is read again.)
    package mutating func lose(_ reason: String) {
        journal.note(.warning, "control has no Redis", key: "control-lost:\(reason)", ("reason", reason))
        connection = nil
        (sentCount, repliedCount, lateCount, givenUp) = (0, 0, 0, nil)
        retryAtNs = MonotonicClock.nowNs() + backoff.nextDelayNs()
    }

    private mutating func loseSubscriber(_ reason: String) {
        subscriber?.close()
        subscriber = nil
        lose(reason)
    }

    // MARK: Writing

    /// Sent with the next `flush`; what Redis refuses of it is logged.
    package mutating func post(_ commands: [[String]]) { outgoing += commands }

    /// Hands on what was posted, as far as the socket takes it.
    package mutating func flush() {
        while let connection, !connection.wantsWrite, !outgoing.isEmpty {
            let part = Array(outgoing.prefix(RedisLine.writeCountMax))
            guard send(part) else { return }
            outgoing.removeFirst(part.count)
        }
    }

    private mutating func send(_ commands: [[String]]) -> Bool {
        guard let connection, connection.send(commands) else { return false }
        if sentCount == repliedCount { heardNs = MonotonicClock.nowNs() }
        sentCount += commands.count
        return true
    }

    /// Takes what Redis says to what was posted. A Redis that says nothing is taken for dead after a while.
    package mutating func takeReplies() {
        // Both connections: the other one is as useless.
        if connection != nil && isOutdated { return loseSubscriber("another server is Redis's primary now") }
        while let reply = nextReply(untilNs: 0) { pass(reply) }
        if repliedCount < sentCount && MonotonicClock.nowNs() &- heardNs >= Limits.controlSilenceNs { lose("Redis does not answer") }
    }

    /// Nil when there is none by then, or the connection is lost.
    private mutating func nextReply(untilNs: UInt64) -> RedisReply? {
        let nowNs = MonotonicClock.nowNs()
        switch connection?.next(timeoutMs: untilNs > nowNs ? Int((untilNs - nowNs) / 1_000_000) + 1 : 0) {
        case .nothing, nil: return nil
        case .lost(let reason):
            lose(reason)
            return nil
        case .reply(let reply):
            (repliedCount, heardNs) = (repliedCount + 1, MonotonicClock.nowNs())
            if case .error(let message) = reply, ReplyVerdict(error: message) == .elsewhere, elsewhere.note(heardNs) {
                // Both connections: what is asked by the new master's clients is not heard here.
                loseSubscriber("Redis goes on saying: \(message)")
                elsewhere.end()
            }
            return reply
        }
    }

    /// A reply that nobody waits for.
    private mutating func pass(_ reply: RedisReply) {
        if repliedCount == givenUp?.number { givenUp?.reply = reply }
        guard case .error(let message) = reply else { return }
        journal.note(.warning, "Redis refuses what control writes", key: "control-refused:\(message.prefix(12))", ("reply", message))
    }

    // MARK: Asking

    /// The replies to these commands, error replies among them. Nil when they do not come in time: what was asked may be carried out
    /// later all the same, before anything that is sent after it.
    package mutating func ask(_ commands: [[String]]) -> [RedisReply]? {
        let (askedCount, deadlineNs) = (sentCount, MonotonicClock.nowNs() + .ns(ms: Limits.controlRedisTimeoutMs))
        guard send(commands) else { return nil }
        var replies: [RedisReply] = []
        while replies.count < commands.count {
            guard let reply = nextReply(untilNs: deadlineNs) else {
                // With the connection its numbers are gone; the next one begins with its own.
                guard connection != nil else { return nil }
                lateCount = sentCount
                givenUp = replies.isEmpty ? (askedCount + 1, nil) : nil
                journal.note(.warning, "Redis is slow: a question is given up, requests wait", key: "control-late")
                return nil
            }
            if repliedCount > askedCount { replies.append(reply) } else { pass(reply) }
        }
        return replies
    }

    /// The first reply to the last question that was given up, when it has come after all. Once.
    package mutating func takeLateReply() -> RedisReply? {
        guard let reply = givenUp?.reply else { return nil }
        givenUp = nil
        return reply
    }

    /// Sends what was posted, waits until Redis has answered all of it, and ends.
    package mutating func finish() {
        let deadlineNs = MonotonicClock.nowNs() + .ns(ms: Limits.controlRedisTimeoutMs)
        repeat { flush() } while (!outgoing.isEmpty || repliedCount < sentCount) && nextReply(untilNs: deadlineNs) != nil
        connection?.close()
        subscriber?.close()
    }

    // MARK: Listening

    /// What has come next. Read it until `.nothing` before you wait.
    package mutating func next() -> RedisSubscriber.Event {
        guard let event = subscriber?.next() else { return .nothing }
        if case .refused(let message) = event { loseSubscriber("Redis says: \(message)") }
        if case .lost(let reason) = event { loseSubscriber(reason) }
        return event
    }

    /// While Redis is not ready, its silence says nothing.
    package mutating func watchSubscriber(_ nowNs: UInt64) {
        guard isReady, subscriber?.watch(nowNs: nowNs, silenceNs: Limits.controlSilenceNs) == .dead else { return }
        loseSubscriber("the connection for commands is silent")
    }

    // MARK: Waiting

    /// When the line must be turned though nothing comes.
    var dueNs: UInt64 {
        guard connection != nil else { return retryAtNs }
        let watchNs = isReady ? subscriber?.watchDueNs(silenceNs: Limits.controlSilenceNs) : nil
        return min(watchNs ?? .max, connection?.dueNs ?? .max, repliedCount < sentCount ? heardNs + Limits.controlSilenceNs : .max)
    }

    /// What to poll for. While Redis is not ready, what has come waits in its socket.
    var pollEntries: [pollfd] { (connection?.pollEntries ?? []) + (isReady ? subscriber.map { [$0.pollEntry] } ?? [] : []) }
}
