// The control thread: fluxes, commands over Redis, status. Plain and synchronous, on a thread of its own with two Redis
// connections of its own (one subscribed, one for everything else); it touches the data path only through the agents'
// mailboxes. While Redis is away it connects anew, and the data path goes on.

import Glibc
import Synchronization

package struct ControlSettings: Sendable {
    package var redis: RedisEndpoint
    package var market: Market
    package var schema: KeySchema
    package var version: String
    package var readerCount: Int
    package var streamsPerConnectionMax: Int
    package var startedAtMs: Int64
}

/// What control needs of the engine.
package struct EngineHandles: Sendable {
    /// What of the engine is shown in the service's status.
    package struct Figures: Sendable {
        package var counters: CounterSnapshot
        package var latency: HistogramSnapshot
        package var stages: StageSnapshots
        package var residentBytes: UInt64

        package init(counters: CounterSnapshot, latency: HistogramSnapshot, stages: StageSnapshots, residentBytes: UInt64) {
            (self.counters, self.latency, self.stages, self.residentBytes) = (counters, latency, stages, residentBytes)
        }
    }

    package var readers: [Reader]
    package var sink: Sink
    /// Nil once the engine is gone.
    package var figures: @Sendable () -> Figures?
}

package final class Control: @unchecked Sendable {
    // Everything is the control thread's alone, except what is made for sharing: `stopping`, `wakeUp`, `counters`. (Before `start`
    // the engine's maker uses it, too.)
    let settings: ControlSettings
    let ports: EngineHandles
    let journal: Journal
    package let counters = CounterBank()
    private let stopping = Atomic<Bool>(false)
    let wakeUp: WakeUp
    /// Nil: the exchange is not asked anything.
    let rest: RestClient?
    /// One answer for each question, and questions are bounded: it is never full.
    let exchangeAnswers: Mailbox<ExchangeAnswer>
    /// The exchange's list, once it is known.
    var symbols: Set<Symbol>?
    var symbolsDueNs: UInt64 = 0
    var waiters: [DataQuery: [DataWaiter]] = [:]
    private var thread: PinnedThread?

    var placement: Placement
    /// By id.
    var fluxes: [String: Flux] = [:]
    /// Streams the exchange does not know.
    var refusedStreams: Set<String> = []
    var answers = AnswerBook()
    private var rate = RateLimit(perSecond: Limits.commandsPerSecondMax, burst: Limits.commandBurstMax)
    var status = StatusBoard()

    private(set) var client: RedisClient?
    private var subscriber: RedisSubscriber?
    /// When the subscriber last said anything, and whether it has been asked to since.
    private var heardNs: UInt64 = 0
    private var isPinged = false
    private var backoff: Backoff
    private var retryAtNs: UInt64 = 0
    private var hasRegistry = false
    /// Replies and other writes of this turn, sent together.
    var outgoing: [[String]] = []

    /// - Parameter fluxes: those of the configuration, which `placement` holds already.
    package init(
        settings: ControlSettings, ports: EngineHandles, journal: Journal, placement: Placement, fluxes: [Flux], rest: RestClient?,
        seed: UInt64
    ) throws(SystemError) {
        self.settings = settings
        self.ports = ports
        self.journal = journal
        self.placement = placement
        self.rest = rest
        for flux in fluxes { self.fluxes[flux.id] = flux }
        backoff = Backoff(.redis, seed: seed)
        wakeUp = try WakeUp()
        exchangeAnswers = Mailbox(capacity: Limits.dataQuestionsMax + 1, receiver: wakeUp)
        for reader in ports.readers { reader.events.setReceiver(wakeUp) }
        ports.sink.events.setReceiver(wakeUp)
    }

    package func start() throws(SystemError) {
        thread = try PinnedThread.start(name: "control") { [self] in run() }
    }

    /// Says `stopped` and ends the thread; within about a second.
    package func stop() {
        stopping.store(true, ordering: .releasing)
        wakeUp.signal()
        thread?.join()
        thread = nil
        rest?.stop()
    }

    var nowNs: UInt64 { MonotonicClock.nowNs() }

    // MARK: The thread

    private func run() {
        while !stopping.load(ordering: .acquiring) {
            if client == nil { connectIfDue() }
            if client != nil { takeMessages() }
            watchSubscriber()
            takeEvents()
            takeExchangeAnswers()
            refreshSymbols(nowNs)
            refreshStatus(nowNs)
            sendOutgoing()
            wait()
        }
        sayStopped()
        sendOutgoing()
        subscriber?.close()
    }

    /// Until a message comes, somebody wakes us, or something is due.
    private func wait() {
        wakeUp.willPark()
        defer { wakeUp.didPark() }
        // Looked at once more: who has put something there before the flag was up has not woken us.
        guard !stopping.load(ordering: .acquiring), !hasMail else { return }
        let dueNs = client == nil ? min(retryAtNs, status.dueNs) : status.dueNs
        let now = nowNs
        let timeoutMs = dueNs > now ? Int32(clamping: (dueNs - now) / 1_000_000 + 1) : 0
        var entries = [pollfd(fd: wakeUp.descriptorNumber, events: Int16(POLLIN), revents: 0)]
        // Without the other connection nothing is taken: what has come waits in the socket.
        if client != nil, let subscriber {
            let events = Int16(POLLIN) | (subscriber.wantsWrite ? Int16(POLLOUT) : 0)
            entries.append(pollfd(fd: subscriber.number, events: events, revents: 0))
        }
        _ = unsafe poll(&entries, nfds_t(entries.count), timeoutMs)
        if entries[0].revents != 0 { wakeUp.drain() }
    }

    // MARK: Connections

    private func connectIfDue() {
        guard nowNs >= retryAtNs else { return }
        do throws(FeedError) {
            let client = try RedisClient.connect(settings.redis, timeoutMs: Limits.controlRedisTimeoutMs)
            if subscriber == nil {
                let made = try RedisSubscriber.connect(
                    settings.redis, timeoutMs: Limits.controlRedisTimeoutMs, messageBytesMax: CommandRequest.bytesMax)
                made.subscribe(CommandKind.allCases.map { channel("commands", $0) })
                subscriber = made
            }
            (heardNs, isPinged) = (nowNs, false)
            self.client = client
            try loadRegistry(client)
            backoff.succeeded()
            status.forgetWritten()
            journal.note(.info, "taking commands", key: "control-connected")
        } catch {
            loseRedis("\(error)")
        }
    }

    /// Requests that have come and answers that wait stay: a Redis that was only slow shall not cost them. (Whether the connection that
    /// listens is lost, too, shows when it is read again.)
    func loseRedis(_ reason: String) {
        journal.note(.warning, "control has no Redis", key: "control-lost:\(reason)", ("reason", reason))
        client = nil
        // Nothing is taken until there is a connection again.
        status.hasMore = false
        retryAtNs = nowNs + backoff.nextDelayNs()
    }

    private func loseSubscriber(_ reason: String) {
        subscriber?.close()
        subscriber = nil
        loseRedis(reason)
    }

    /// A connection that only listens does not notice that its peer has gone: after some silence it is asked, and without an answer made
    /// anew. (The refresh of status brings us here every two seconds.)
    private func watchSubscriber() {
        guard client != nil, let subscriber, nowNs &- heardNs >= Limits.controlSilenceNs else { return }
        guard !isPinged else { return loseSubscriber("the connection for commands is silent") }
        (heardNs, isPinged) = (nowNs, true)
        if !subscriber.ping() { loseSubscriber("the connection for commands does not take a PING") }
    }

    /// The first time: resumes what was kept. Later: a Redis that came back empty is told again.
    private func loadRegistry(_ client: RedisClient) throws(FeedError) {
        let kept = fluxes.values.filter { $0.origin == .command }.sorted { $0.id < $1.id }
        if hasRegistry {
            _ = try client.pipeline(kept.map { ["HSET", settings.schema.fluxesKey, $0.id, $0.json] })
            return
        }
        let reply = try client.command("HGETALL", settings.schema.fluxesKey)
        if case .error(let message) = reply { throw FeedError(.redis, "cannot read the registry: \(message)") }
        for (id, text) in reply.pairs {
            guard let flux = Flux(json: text), flux.id == id else {
                journal.note(
                    .error, "an entry of the registry is no flux; left alone", ("flux_id", Ascii.printable(id.utf8, limit: 80)))
                continue
            }
            guard fluxes[flux.id] == nil else { continue }
            if let failure = add(flux) {
                journal.note(
                    .error, "a flux cannot be resumed; it stays in the registry", ("flux_id", flux.id), ("reason", failure.message))
            } else {
                journal.note(.info, "flux resumed", ("flux_id", flux.id))
            }
        }
        hasRegistry = true
    }

    private func sendOutgoing() {
        guard let client, !outgoing.isEmpty else { return }
        let commands = outgoing
        outgoing = []
        do throws(FeedError) {
            for reply in try client.pipeline(commands) {
                guard case .error(let message) = reply else { continue }
                journal.note(
                    .warning, "Redis refuses what control writes", key: "control-refused:\(message.prefix(12))", ("reply", message))
            }
        } catch {
            loseRedis("\(error)")
        }
    }

    func channel(_ side: String, _ kind: CommandKind) -> String { "\(settings.schema.prefix)\(side):\(kind.rawValue)" }

    // MARK: Messages

    private func takeMessages() {
        status.hasMore = false
        // So many, and then what they ask is sent; the rest comes with the next turn.
        for _ in 0..<Limits.commandsPerTurnMax {
            guard client != nil, let event = subscriber?.next() else { return }
            if event != .nothing { (heardNs, isPinged) = (nowNs, false) }
            switch event {
            case .message(let name, let payload): onMessage(name, payload)
            case .tooLong(let name, let bytes):
                counters.add(.commandsReceived)
                counters.add(.commandsUnanswered)
                journal.note(.warning, "a request was too long", key: "command-long:\(name)", ("channel", name), ("bytes", "\(bytes)"))
            case .refused(let message): return loseSubscriber("Redis says: \(message)")
            case .lost(let reason): return loseSubscriber(reason)
            case .nothing: return
            case .subscribed, .unsubscribed, .pong: break
            }
        }
        // There may be more, which the socket does not show.
        status.hasMore = client != nil
    }

    private func onMessage(_ name: String, _ payload: [UInt8]) {
        guard let kind = CommandKind.allCases.first(where: { channel("commands", $0) == name }) else { return }
        counters.add(.commandsReceived)
        let now = nowNs
        do throws(CommandRequest.Refusal) {
            let request = try CommandRequest(kind, payload)
            let key = AnswerBook.key(kind, request.id)
            switch answers.find(key, nowNs: now) {
            case .answered(let answer):
                counters.add(.commandsRepeated)
                publish(kind, request.id, answer)
                return
            case .pending:
                counters.add(.commandsRepeated)
                return
            case nil: break
            }
            answers.begin(key, nowNs: now)
            guard rate.take(now) else {
                return answer(kind, request.id, .failure(CommandError(.busy, "too many requests; try again in a second")))
            }
            carryOut(kind, request)
        } catch {
            guard let id = error.id else {
                counters.add(.commandsUnanswered)
                journal.note(
                    .warning, "a request that cannot be answered", key: "command-bad:\(name)", ("channel", name),
                    ("reason", error.error.message))
                return
            }
            guard rate.take(now) else { return answer(kind, id, .failure(CommandError(.busy, "too many requests; try again in a second"))) }
            answer(kind, id, .failure(error.error))
        }
    }

    /// The one answer to a request.
    func answer(_ kind: CommandKind, _ id: String, _ result: Result<[(String, JSONValue)], CommandError>) {
        var members: [(String, JSONValue)] = [("request_id", .string(id))]
        var isKept = true
        switch result {
        case .success(let more):
            members.append(("status", .string("ok")))
            members += more
        case .failure(let error):
            counters.add(.commandsRefused)
            members.append(("status", .string("error")))
            members.append(("error", .members([("code", .string(error.code.rawValue)), ("message", .string(error.message))])))
            isKept = error.code != .busy && error.code != .internal
        }
        let text = JSONValue.members(members).text
        answers.end(AnswerBook.key(kind, id), text, isKept: isKept)
        publish(kind, id, text)
    }

    private func publish(_ kind: CommandKind, _ id: String, _ text: String) {
        counters.add(.commandsAnswered)
        outgoing.append(["PUBLISH", "\(channel("responses", kind)):\(id)", text])
    }

    // MARK: What agents say

    private var hasMail: Bool {
        ports.sink.events.isWaiting || exchangeAnswers.isWaiting || ports.readers.contains { $0.events.isWaiting }
    }

    private func takeEvents() {
        for reader in ports.readers {
            for case .refused(let stream) in reader.events.takeAll() where refusedStreams.count < Limits.seriesCountMax {
                refusedStreams.insert(stream)
            }
        }
        for event in ports.sink.events.takeAll() {
            switch event {
            case .released(let ids): placement.release(ids)
            case .report(let reports): settle(reports, nowNs)
            }
        }
    }
}
