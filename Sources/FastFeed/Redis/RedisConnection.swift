// A connection to Redis that never blocks once it stands: for control threads that wait for several things at
// once. One thread at a time. Connecting blocks up to its time-out. Bounds: what waits to go out and the strings of replies
// are as long as asked for; longer strings are skipped.

import Glibc

package final class RedisConnection {
    package enum Event: Equatable {
        case reply(RedisReply)
        /// Nothing (more) has come.
        case nothing
        /// The connection is of no more use; one sentence.
        case lost(String)
    }

    private var transport: Transport
    private var parser: ReplyParser
    private var outbox: Outbox
    /// Why the connection is of no more use.
    private(set) var loss: String?
    private let input = PaddedBuffer(count: 64 * 1024)
    /// Where Sentinels say which server is the primary: this connection's, and what they say now.
    private let named: (primary: NamedPrimary, board: PrimaryBoard)?
    /// Of a cluster: its home node when this was made, and what is known of that now.
    private let home: (node: Authority, seeds: ClusterSeeds)?

    private init(
        _ transport: consuming Transport, _ named: (NamedPrimary, PrimaryBoard)?, _ home: (Authority, ClusterSeeds)?, stringBytesMax: Int,
        outboxBytesMax: Int
    ) {
        self.transport = transport
        (self.named, self.home) = (named, home)
        parser = ReplyParser(stringBytesMax: stringBytesMax)
        outbox = Outbox(bytesMax: outboxBytesMax)
    }

    /// Connects, authenticates and selects; blocks up to the time-out.
    /// - Parameters:
    ///   - stringBytesMax: longer strings of replies come as `RedisReply.tooLong`.
    ///   - outboxBytesMax: what may wait to be sent.
    ///   - isWanted: asked at each tenth of a second until it stands; false gives up.
    /// - Throws: one sentence saying what failed.
    package static func connect(
        _ endpoint: RedisEndpoint, timeoutMs: Int = Limits.redisConnectTimeoutMs, stringBytesMax: Int = Limits.replyBytesMax,
        outboxBytesMax: Int = Limits.redisOutboxBytesMax, isWanted: () -> Bool = { true }
    ) throws(FeedError) -> RedisConnection {
        let deadlineNs = MonotonicClock.nowNs() + .ns(ms: timeoutMs)
        let node = try endpoint.findHome(untilNs: deadlineNs, isWanted: isWanted)
        let home = node.flatMap { node in endpoint.cluster.map { (node, $0) } }
        // From here on it is one server.
        let endpoint = node.map(endpoint.at) ?? endpoint
        while true {
            let primary = try endpoint.findPrimary(untilNs: deadlineNs, isWanted: isWanted)
            let transport = try open(endpoint, primary, timeoutMs, untilNs: deadlineNs, isWanted)
            let named = primary.flatMap { primary in endpoint.sentinels.map { (primary, $0.board) } }
            let connection = RedisConnection(transport, named, home, stringBytesMax: stringBytesMax, outboxBytesMax: outboxBytesMax)
            if try connection.greet(endpoint, timeoutMs, untilNs: deadlineNs, isWanted) { return connection }
            // Not yet, or not any more.
            connection.close()
            guard MonotonicClock.nowNs() + .ns(ms: Limits.primaryPauseMs) < deadlineNs, isWanted() else {
                throw FeedError(.redis, "cannot connect to \(endpoint.name(primary)): it is not the primary")
            }
            usleep(UInt32(Limits.primaryPauseMs * 1_000))
        }
    }

    /// - Returns: false when it should be the primary and is not.
    private func greet(
        _ endpoint: RedisEndpoint, _ timeoutMs: Int, untilNs: UInt64, _ isWanted: () -> Bool
    ) throws(FeedError) -> Bool {
        let (greeting, name) = (endpoint.greeting, endpoint.name(named?.primary))
        _ = send(greeting + (named == nil ? [] : [["ROLE"]]))
        for index in 0..<(greeting.count + (named == nil ? 0 : 1)) {
            switch answer(untilNs: untilNs, isWanted) {
            // Who may not ask believes it: a replica refuses what is written.
            case .reply(let reply) where index == greeting.count:
                if case .error = reply { return true }
                return reply.elements.first?.text == "master"
            case .reply(.error(let message)): throw endpoint.refusal(message, of: named?.primary)
            case .reply: continue
            case .nothing: throw FeedError(.redis, "cannot connect to \(name): no answer within \(timeoutMs) ms (greeting)")
            case .lost(let reason): throw FeedError(.redis, "cannot connect to \(name): \(reason)")
            }
        }
        return true
    }

    /// Nil where Redis is not a cluster.
    var homeNode: Authority? { home?.node }

    /// The Sentinels name another server now: what is written here is lost. Of a cluster: another node is the home now.
    var isOutdated: Bool {
        if let home, let owner = home.seeds.board.owner(home.seeds.homeSlot) { return owner != home.node }
        return named.map { $0.board.primary != $0.primary } ?? false
    }

    /// The replies to these commands, error replies among them; blocks.
    /// - Throws: one sentence; the connection is of no more use.
    package func ask(_ commands: [[String]], untilNs: UInt64) throws(FeedError) -> [RedisReply] {
        guard send(commands) else { throw FeedError(.redis, loss ?? "too many bytes for one command to Redis") }
        return try commands.map { _ throws(FeedError) in
            switch next(untilNs: max(1, untilNs)) {
            case .reply(let reply): return reply
            case .nothing: throw FeedError(.redis, "no answer in time")
            case .lost(let reason): throw FeedError(.redis, reason)
            }
        }
    }

    /// Asks, before anything is started, whether a server is one that can be written to.
    /// - Throws: what stays wrong until somebody changes a setting. A server that is away, or not ready, may be so later.
    package static func check(_ endpoint: RedisEndpoint) throws(FeedError) {
        let timeoutMs = Limits.controlRedisTimeoutMs
        let connection: RedisConnection
        do {
            connection = try connect(endpoint, timeoutMs: timeoutMs)
        } catch {
            if error.stage == .configuration { throw error }
            return
        }
        defer { connection.close() }
        guard connection.send(ServerIdentity.question), case .reply(let reply) = connection.next(timeoutMs: timeoutMs),
            endpoint.cluster == nil, let refusal = reply.text.flatMap({ ServerIdentity(reply: $0).refusal })
        else { return }
        throw FeedError(.configuration, "\(endpoint.name(connection.named?.primary)): \(refusal)")
    }

    /// A connected and, where wanted, secured socket, before the first command.
    private static func open(
        _ endpoint: RedisEndpoint, _ primary: NamedPrimary?, _ timeoutMs: Int, untilNs: UInt64, _ isWanted: () -> Bool
    ) throws(FeedError) -> Transport {
        var dial = Dial(
            endpoint.server(primary),
            Dial.Options(tls: try endpoint.tlsContext(), patienceNs: .ns(ms: min(timeoutMs / 3, Limits.addressPatienceMs))),
            port: nil)
        while true {
            let nowNs = MonotonicClock.nowNs()
            switch dial.turn(nowNs: nowNs) {
            case .connected(let socket): return socket.transport
            case .failed(let reason): throw FeedError(.redis, "cannot connect to \(endpoint.name(primary)): \(reason)")
            case .pending:
                guard nowNs < untilNs && isWanted() else {
                    throw FeedError(
                        .redis, "cannot connect to \(endpoint.name(primary)): no answer within \(timeoutMs) ms (\(dial.phase))")
                }
                let turnNs = min(untilNs, dial.nextTurnNs(nowNs: nowNs), nowNs + 100_000_000)
                PolledTransport.wait(dial.number, dial.interest, nowNs: nowNs, untilNs: turnNs)
            }
        }
    }

    private func answer(untilNs: UInt64, _ isWanted: () -> Bool) -> Event {
        while true {
            let nowNs = MonotonicClock.nowNs()
            let event = next(untilNs: min(untilNs, nowNs + 100_000_000))
            if event != .nothing || nowNs >= untilNs || !isWanted() { return event }
        }
    }

    /// The socket's descriptor: poll it for reading, after `next` has said `.nothing`; and for writing while `wantsWrite`.
    package var number: Int32 { transport.number }
    package var wantsWrite: Bool { !outbox.isEmpty || transport.readWantsWrite }

    /// What to poll for: after `next` has said `.nothing`.
    var pollEntry: pollfd { pollfd(fd: number, events: Int16(wantsWrite ? POLLIN | POLLOUT : POLLIN), revents: 0) }

    /// Puts commands on their way; what the socket does not take now goes with the next call of `next`. False when too much
    /// would wait, or the connection is lost: then nothing was sent.
    package func send(_ commands: [[String]]) -> Bool {
        guard loss == nil, outbox.append(commands.flatMap(RESP.command)) else { return false }
        flush()
        return true
    }

    package func send(_ command: [String]) -> Bool { send([command]) }

    private func flush() {
        switch outbox.flush(to: &transport) {
        case .bytes, .wouldBlock: break
        // What Redis said before it went is read first.
        case .endOfStream, .failed: outbox.removeAll()
        }
    }

    /// The next reply. With 0 it does not wait.
    package func next(timeoutMs: Int = 0) -> Event { next(untilNs: timeoutMs > 0 ? MonotonicClock.nowNs() + .ns(ms: timeoutMs) : 0) }

    /// - Parameter untilNs: monotonic; 0 does not wait.
    private func next(untilNs: UInt64) -> Event {
        var isLate = false
        if isOutdated, loss == nil { return lose("another server has taken its place") }
        while true {
            switch parser.next() {
            case .reply(let reply): return .reply(reply)
            case .broken(let what): return lose("not the Redis protocol: \(what)")
            case .needsMore: break
            }
            if let loss { return .lost(loss) }
            if isLate { return .nothing }
            flush()
            switch transport.read(into: input) {
            case .bytes(let count):
                parser.append(input.bytes(from: 0, count: count))
                // A reply whose bytes keep coming must end in time, too.
                isLate = untilNs > 0 && MonotonicClock.nowNs() >= untilNs
            case .endOfStream: return lose("Redis has closed the connection")
            case .failed(let code): return lose("the connection to Redis is lost: \(transport.describe(code))")
            case .wouldBlock:
                let nowNs = MonotonicClock.nowNs()
                guard nowNs < untilNs else { return .nothing }
                PolledTransport.wait(number, wantsWrite ? [.readable, .writable] : .readable, nowNs: nowNs, untilNs: untilNs)
            }
        }
    }

    private func lose(_ reason: String) -> Event {
        loss = reason
        return .lost(reason)
    }

    /// Ends our side; what is under way is lost.
    package func close() {
        if loss == nil { loss = "closed" }
        transport.shutDown()
    }
}
