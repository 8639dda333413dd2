// The streams' thread: one connection for the commands of all tasks and agents, pipelined, and one more for each agent whose reads wait. It
// blocks nowhere but in poll. Its own thread; tasks reach it through StreamCore.
//
// After a loss the shared connection is made again after 100 ms, then with growing pauses up to 5 s, for ever; while a command waits for
// it, at least twice a second. What was sent and not answered fails; what was not sent yet waits for the new connection, and fails when
// that cannot be made.

import Glibc
import Synchronization

final class StreamLoop {
    /// Who is owed the replies to a batch on the shared connection.
    private enum Owner {
        case task(StreamTicket)
        case agent(StreamPort, tag: UInt64)
        case unblock(StreamPort, read: UInt64)
    }

    /// Room that is left to agents when tasks have filled the rest.
    private static let agentBytes = 1 << 20
    private static let hurryNs: UInt64 = 500_000_000

    let core: StreamCore
    private let makePipeline: () -> RedisPipeline
    private let shared: RedisPipeline
    private var owners = PipelineQueue<Owner>()
    /// Batches of tasks that wait for room, or for the connection.
    private var waiting = PipelineQueue<StreamTicket>()
    /// All batches of tasks in the order of their deadlines, until they are finished.
    private var pending = PipelineQueue<StreamTicket>()
    private var ports: [StreamPort] = []
    /// Who has called `RedisStreams.connect`.
    private var opening: StreamTicket?
    private var (retryAtNs, attemptNs): (UInt64, UInt64) = (0, 0)
    private var backoff = Backoff(Limits.streamBackoffMs, seed: SystemRandom.word())
    private var isSharedReady = true
    private var polled: [pollfd] = []
    private(set) var epoch: UInt64 = 0
    private(set) var nowNs = MonotonicClock.nowNs()

    /// - Parameter opening: finished when the first connection stands, or with its failure.
    init(_ core: StreamCore, _ settings: RedisLinkSettings, opening: StreamTicket) {
        (self.core, self.opening) = (core, opening)
        makePipeline = { RedisPipeline(settings, outboxBytesMax: Limits.streamOutboxBytesMax + StreamLoop.agentBytes) }
        shared = makePipeline()
    }

    /// Runs until `RedisStreams` is closed.
    func run() {
        while true {
            nowNs = MonotonicClock.nowNs()
            if let news = core.takeNews(), !admit(news) { return end() }
            turnShared()
            sendWaiting()
            turnPorts()
            expire()
            park()
        }
    }

    /// Takes what is new. False when it is the end.
    private func admit(_ news: StreamCore.News) -> Bool {
        for ticket in news.tickets {
            waiting.append(ticket)
            pending.append(ticket)
        }
        for seat in news.arrived {
            let port = StreamPort(seat, self, makePipeline())
            ports.append(port)
            if shared.isReady { seat.agent.onOpen(port, .shared) }
        }
        for seat in news.gone {
            guard let place = ports.firstIndex(where: { $0.seat === seat }) else { continue }
            ports.remove(at: place).end()
        }
        run(news.jobs)
        return !news.isClosed
    }

    private func run(_ jobs: [UnownedJob]) { for job in jobs { unsafe job.runSynchronously(on: core.asUnownedTaskExecutor()) } }

    /// Tasks of this thread that can go on do so now.
    func runTasks() { run(core.takeJobs()) }

    private func end() {
        while !pending.isEmpty { pending.removeFirst().finish(.failure(.closed)) }
        opening?.finish(.failure(.closed))
        shared.close()
        for port in ports {
            port.end()
            port.seat.agent.onClose()
        }
        ports = []
    }

    // MARK: The shared connection

    private func turnShared() {
        if shared.isClosed {
            let soonNs = waiting.isEmpty ? retryAtNs : min(retryAtNs, attemptNs + StreamLoop.hurryNs)
            guard nowNs >= soonNs else { return }
            attemptNs = nowNs
            shared.open(nowNs: nowNs)
            isSharedReady = true
        }
        if isSharedReady || nowNs >= shared.dueNs { hearShared() }
        guard isSilent else { return }
        // It may be we who have not listened.
        hearShared()
        if isSilent {
            take(shared.lose("Redis has not answered for \(Limits.streamSilenceMs / 1_000) s"))
        }
    }

    private var isSilent: Bool { shared.owedCount > 0 && nowNs >= shared.heardNs + .ns(ms: Limits.streamSilenceMs) }

    private func hearShared() {
        isSharedReady = false
        while true {
            let event = shared.next(nowNs: nowNs)
            if case .nothing = event { return }
            take(event)
        }
    }

    private func take(_ event: RedisPipeline.Event) {
        switch event {
        case .nothing: break
        case .opened: opened()
        case .reply(let block):
            switch owners.removeFirst() {
            case .task(let ticket): ticket.finish(.success(block))
            case .agent(let port, let tag):
                guard !port.isGone else { return }
                port.isTouched = true
                port.seat.agent.onReply(port, tag: tag, block)
            case .unblock(let port, let read): port.onUnblock(block.root.children[0], read: read)
            }
        case .lost(let reason, _): lost(reason)
        }
    }

    private func opened() {
        epoch += 1
        backoff.succeeded()
        opening?.finish(.success(StreamLoop.nothing))
        opening = nil
        for port in ports {
            port.isTouched = true
            port.tryNow()
            port.seat.agent.onOpen(port, .shared)
        }
    }

    /// For who waits for no reply.
    private static let nothing: ReplyBlock = {
        var maker = ReplyBlock.Maker(strings: 1, bytesHint: 8)
        maker.append("OK")
        return maker.make()!
    }()

    private func lost(_ reason: String) {
        retryAtNs = nowNs + backoff.nextDelayNs()
        let failure = StreamTicket.Outcome.failure(.disconnected(reason))
        if owners.isEmpty {
            // It could not be made, or nobody was owed anything. Who waits for it has waited for this attempt.
            for ticket in waiting.takeAll() { ticket.finish(failure) }
        }
        for case .task(let ticket) in owners.takeAll() { ticket.finish(failure) }
        opening?.finish(failure)
        opening = nil
        for port in ports {
            port.isTouched = true
            port.seat.agent.onLost(port, .shared, reason)
        }
    }

    // MARK: Sending

    var isReady: Bool { shared.isReady }
    func hasRoom(for byteCount: Int) -> Bool { shared.hasRoom(for: byteCount) }

    private func sendWaiting() {
        var isSent = false
        while let ticket = waiting.first {
            if ticket.isTooLate { ticket.finish(.failure(.disconnected("what was to be sent before it has failed"))) }
            if !ticket.isFinished {
                guard shared.hasRoom(for: ticket.batch.bytes.count + StreamLoop.agentBytes) else { break }
                shared.send(ticket.batch.bytes, replies: ticket.batch.count, nowNs: nowNs)
                owners.append(.task(ticket))
                isSent = true
            }
            waiting.removeFirst()
        }
        if isSent { shared.flush() }
    }

    func send(_ batch: StreamBatch, for port: StreamPort, tag: UInt64) -> Bool { send(batch, .agent(port, tag: tag)) }

    func sendUnblock(_ batch: StreamBatch, for port: StreamPort, read: UInt64) -> Bool { send(batch, .unblock(port, read: read)) }

    private func send(_ batch: StreamBatch, _ owner: Owner) -> Bool {
        precondition(!batch.isEmpty, "nothing to send")
        guard shared.hasRoom(for: batch.bytes.count) else { return false }
        shared.send(batch.bytes, replies: batch.count, nowNs: nowNs)
        owners.append(owner)
        shared.flush()
        return true
    }

    // MARK: Agents

    private func turnPorts() {
        for port in ports {
            port.turnReader(nowNs: nowNs)
            let isWoken = port.seat.isWoken.load(ordering: .relaxed) && port.seat.isWoken.exchange(false, ordering: .acquiring)
            guard isWoken || port.isTouched || nowNs >= port.seat.agent.dueNs else { continue }
            port.isTouched = false
            port.seat.agent.turn(port, nowNs: nowNs)
        }
    }

    /// Ends what was not answered in time, and forgets what has ended.
    private func expire() {
        var count = 0
        while let ticket = pending.first {
            if !ticket.isFinished {
                guard nowNs >= ticket.deadlineNs else { break }
                ticket.finish(.failure(.timeout(after: core.timeout)))
            }
            pending.removeFirst()
            count += 1
        }
        if count > 0 { core.finished(count) }
    }

    // MARK: Waiting

    private func park() {
        polled.removeAll(keepingCapacity: true)
        polled.append(pollfd(fd: core.wakeUp.descriptorNumber, events: Int16(POLLIN), revents: 0))
        polled.append(shared.pollEntry)
        var dueNs = shared.isClosed ? retryAtNs : shared.dueNs
        if shared.isClosed, !waiting.isEmpty { dueNs = min(dueNs, attemptNs + StreamLoop.hurryNs) }
        if shared.owedCount > 0 { dueNs = min(dueNs, shared.heardNs + .ns(ms: Limits.streamSilenceMs)) }
        if let first = pending.first { dueNs = min(dueNs, first.deadlineNs) }
        for port in ports {
            polled.append(port.pollEntry)
            dueNs = min(dueNs, port.dueNs)
        }
        core.wakeUp.willPark()
        defer { core.wakeUp.didPark() }
        if core.hasNews || ports.contains(where: { $0.seat.isWoken.load(ordering: .acquiring) }) { return }
        let now = MonotonicClock.nowNs()
        let timeoutMs = dueNs > now ? min(60_000, (dueNs - now) / 1_000_000 + 1) : 0
        let count = unsafe poll(&polled, nfds_t(polled.count), Int32(timeoutMs))
        guard count > 0 else { return }
        if polled[0].revents != 0 { core.wakeUp.drain() }
        if polled[1].revents != 0 { isSharedReady = true }
        for (place, port) in ports.enumerated() where polled[place + 2].revents != 0 { port.isReady = true }
    }
}
