// The client's thread: two connections to Redis, one that listens and one that publishes, and whatever the tasks want of
// them. Blocks while it connects (half the calls' time-out for each), otherwise only in poll.
//
// A request goes: SUBSCRIBE its channel, wait for the confirmation, PUBLISH, look at the number of receivers, wait for the
// message. After a loss it connects again at once when a call waits, and with growing pauses while only streams do.

import Glibc

struct ClientLoop {
    /// No byte for this long: a ping. Without an answer for as long again, the connection is taken for dead.
    private static let silenceNs: UInt64 = 15_000_000_000
    private static let retryFirstMs: UInt64 = 100
    private static let retryMaxMs: UInt64 = 5_000

    private struct Link {
        let subscriber: RedisSubscriber
        let commander: RedisConnection
        /// What the subscriber was asked and Redis has not answered; nil for what may be refused without harm.
        var asked: [String?] = []
        /// The calls whose PUBLISH has not been answered.
        var published: [UInt64] = []
    }

    private let endpoint: RedisEndpoint
    private let calls: ClientCalls
    private let timeoutMs: Int
    private var link: Link?
    private var retryAtNs: UInt64 = 0
    private var retryMs = ClientLoop.retryFirstMs

    init(_ endpoint: RedisEndpoint, _ calls: ClientCalls, timeoutMs: Int) {
        self.endpoint = endpoint
        self.calls = calls
        self.timeoutMs = timeoutMs
    }

    /// Until the client is closed.
    mutating func run() {
        while !calls.isClosed {
            for order in calls.takeOrders() { obey(order) }
            connectIfWanted()
            listen()
            hearReceivers()
            expire()
            wait()
        }
        link?.subscriber.close()
        link?.commander.close()
        link = nil
    }

    // MARK: Orders

    private mutating func obey(_ order: ClientCalls.Order) {
        switch order {
        case .begin(let number): if link != nil { begin(number) }
        case .release(let channel):
            guard link != nil, !calls.isWanted(channel) else { return }
            ask(nil) { $0.unsubscribe([channel]) }
        }
    }

    /// The call's first step on standing connections.
    private mutating func begin(_ number: UInt64) {
        guard let call = calls[number], call.stage == .queued else { return }
        if case .connect = call.kind {
            calls.finish(number, .success([]))
            return
        }
        calls.advance(number, to: .subscribing)
        ask(call.channel) { $0.subscribe([call.channel]) }
    }

    private mutating func ask(_ channel: String?, _ command: (RedisSubscriber) -> Bool) {
        guard let subscriber = link?.subscriber else { return }
        if command(subscriber) { link?.asked.append(channel) } else { lose("Redis takes no more commands") }
    }

    private mutating func publish(_ number: UInt64) {
        guard let call = calls[number], let link else { return }
        guard case .request(let command, let text) = call.kind else {
            calls.finish(number, .success([]))
            return
        }
        calls.advance(number, to: .publishing)
        guard link.commander.send(["PUBLISH", command, text]) else { return lose("Redis takes no more commands") }
        self.link?.published.append(number)
    }

    // MARK: Connections

    private mutating func connectIfWanted() {
        guard link == nil else { return }
        let waiting = calls.numbers(in: .queued)
        let streams = calls.streamChannels
        let nowNs = MonotonicClock.nowNs()
        guard !waiting.isEmpty || (!streams.isEmpty && nowNs >= retryAtNs) else { return }
        do throws(FeedError) {
            let partMs = max(50, timeoutMs / 2)
            let subscriber = try RedisSubscriber.connect(
                endpoint, timeoutMs: partMs, messageBytesMax: CommandAnswer.bytesMax)
            let commander = try RedisConnection.connect(endpoint, timeoutMs: partMs)
            link = Link(subscriber: subscriber, commander: commander)
            retryMs = ClientLoop.retryFirstMs
        } catch {
            for number in calls.numbers(in: .queued) { calls.finish(number, .failure(.disconnected(error.message))) }
            let spread = SystemRandom.word() % (retryMs / 2 + 1)
            retryAtNs = MonotonicClock.nowNs() + .ns(ms: retryMs + spread)
            retryMs = min(retryMs * 2, ClientLoop.retryMaxMs)
            return
        }
        for channel in streams { ask(nil) { $0.subscribe([channel]) } }
        for number in calls.numbers(in: .queued) { begin(number) }
    }

    private mutating func lose(_ reason: String) {
        guard let lost = link else { return }
        link = nil
        lost.subscriber.close()
        lost.commander.close()
        retryAtNs = MonotonicClock.nowNs() + .ns(ms: retryMs)
        calls.lose(reason)
    }

    // MARK: Hearing

    private mutating func listen() {
        while let event = link?.subscriber.next() {
            switch event {
            case .nothing: return
            case .message(let channel, let payload): calls.deliver(channel, payload)
            case .tooLong(let channel, let bytes): calls.deliverTooLong(channel, bytes: bytes)
            case .subscribed(let channel):
                takeAsked()
                for number in calls.subscribing(to: channel) { publish(number) }
            case .unsubscribed, .pong: takeAsked()
            case .refused(let message):
                guard let channel = takeAsked() else { continue }
                for number in calls.subscribing(to: channel) { calls.finish(number, .failure(.disconnected("Redis refuses: \(message)"))) }
            case .lost(let reason): lose(reason)
            }
        }
    }

    @discardableResult
    private mutating func takeAsked() -> String? {
        guard link?.asked.isEmpty == false else { return nil }
        return link?.asked.removeFirst()
    }

    /// PUBLISH answers with how many have received it.
    private mutating func hearReceivers() {
        while let event = link?.commander.next() {
            switch event {
            case .nothing: return
            case .lost(let reason): lose(reason)
            case .reply(let reply):
                guard let number = link?.published.first else { return lose("Redis answers what was not asked") }
                link?.published.removeFirst()
                switch reply {
                case .integer(0): calls.finish(number, .failure(.serviceNotRunning))
                case .integer: calls.advance(number, to: .delivered)
                case .error(let message): calls.finish(number, .failure(.disconnected("Redis refuses: \(message)")))
                default: return lose("Redis answers what was not asked")
                }
            }
        }
    }

    // MARK: Time

    private mutating func expire() {
        let nowNs = MonotonicClock.nowNs()
        var isRedisSilent = false
        for (number, stage) in calls.overdue(nowNs: nowNs) {
            switch stage {
            case .delivered: calls.finish(number, .failure(.timeout(after: .milliseconds(timeoutMs))))
            case .queued: calls.finish(number, .failure(.disconnected("cannot connect to \(endpoint) within \(timeoutMs) ms")))
            case .subscribing, .publishing:
                isRedisSilent = true
                calls.finish(number, .failure(.disconnected("\(endpoint) does not answer")))
            }
        }
        if isRedisSilent { lose("\(endpoint) does not answer") }
        switch link?.subscriber.watch(nowNs: nowNs, silenceNs: ClientLoop.silenceNs) {
        case .pinged: link?.asked.append(nil)
        case .dead: lose("\(endpoint) does not answer")
        case .nothing, nil: break
        }
    }

    private var nextNs: UInt64 {
        var next = calls.nearestDeadlineNs
        if let link {
            next = min(next, link.subscriber.watchDueNs(silenceNs: ClientLoop.silenceNs))
        } else if !calls.streamChannels.isEmpty {
            next = min(next, retryAtNs)
        }
        return next
    }

    private func wait() {
        var entries = [pollfd(fd: calls.wakeUp.descriptorNumber, events: Int16(POLLIN), revents: 0)]
        if let link {
            func interest(_ wantsWrite: Bool) -> Int16 { Int16(wantsWrite ? POLLIN | POLLOUT : POLLIN) }
            entries.append(pollfd(fd: link.subscriber.number, events: interest(link.subscriber.wantsWrite), revents: 0))
            entries.append(pollfd(fd: link.commander.number, events: interest(link.commander.wantsWrite), revents: 0))
        }
        let nowNs = MonotonicClock.nowNs()
        let untilNs = nextNs
        let leftMs = untilNs > nowNs ? min(60_000, (untilNs - nowNs) / 1_000_000 + 1) : 0
        calls.wakeUp.willPark()
        if !calls.hasOrders { unsafe _ = Glibc.poll(&entries, nfds_t(entries.count), Int32(leftMs)) }
        calls.wakeUp.didPark()
        if entries[0].revents != 0 { calls.wakeUp.drain() }
    }
}
