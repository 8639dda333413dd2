// A connection to Redis that never blocks once it stands: for control threads that wait for several things at
// once. One thread at a time. Connecting blocks up to its time-out. Bounds: `RedisConnection.outboxBytesMax`
// bytes waiting to go out, strings of a reply as long as asked for, longer ones are skipped.

import Glibc

package final class RedisConnection {
    package enum Event: Equatable {
        case reply(Reply)
        /// Nothing (more) has come.
        case nothing
        /// The connection is of no more use; one sentence.
        case lost(String)
    }

    package static let outboxBytesMax = 4 << 20

    package let endpoint: RedisEndpoint
    private var transport: Transport
    private var parser: ReplyParser
    private var outbox = Outbox(bytesMax: RedisConnection.outboxBytesMax)
    private var loss: String?
    private let input = PaddedBuffer(count: 64 * 1024)

    private init(_ transport: consuming Transport, _ endpoint: RedisEndpoint, stringBytesMax: Int) {
        self.transport = transport
        self.endpoint = endpoint
        parser = ReplyParser(stringBytesMax: stringBytesMax)
    }

    /// Connects, authenticates and selects; blocks up to the time-out.
    /// - Parameter stringBytesMax: longer strings of replies come as `Reply.tooLong`.
    /// - Throws: one sentence saying what failed.
    package static func connect(
        _ endpoint: RedisEndpoint, timeoutMs: Int = Limits.redisConnectTimeoutMs, stringBytesMax: Int = Limits.replyBytesMax
    ) throws(FeedError) -> RedisConnection {
        let deadlineNs = MonotonicClock.nowNs() + UInt64(timeoutMs) * 1_000_000
        let transport = try RedisClient.open(endpoint, timeoutMs: timeoutMs)
        let connection = RedisConnection(transport, endpoint, stringBytesMax: stringBytesMax)
        let greeting = endpoint.greeting
        for command in greeting { _ = connection.send(command) }
        for _ in greeting {
            let leftMs = Int(Int64(bitPattern: deadlineNs &- MonotonicClock.nowNs()) / 1_000_000)
            switch connection.next(timeoutMs: max(1, leftMs)) {
            case .reply(.error(let message)): throw FeedError(.redis, "\(endpoint) says: \(message)")
            case .reply: continue
            case .nothing: throw FeedError(.redis, "cannot connect to \(endpoint): no answer within \(timeoutMs) ms")
            case .lost(let reason): throw FeedError(.redis, "cannot connect to \(endpoint): \(reason)")
            }
        }
        return connection
    }

    /// The socket's descriptor: poll it for reading, after `next` has said `.nothing`; and for writing while `wantsWrite`.
    package var number: Int32 { transport.number }
    package var wantsWrite: Bool { !outbox.isEmpty || transport.readWantsWrite }

    /// Puts a command on its way; what the socket does not take now goes with the next call of `next`. False when more than
    /// `outboxBytesMax` would wait, or the connection is lost: then nothing was sent.
    package func send(_ arguments: [String]) -> Bool {
        guard loss == nil, outbox.append(RESP.command(arguments)) else { return false }
        flush()
        return true
    }

    private func flush() {
        guard !outbox.isEmpty else { return }
        switch outbox.flush(to: &transport) {
        case .bytes, .wouldBlock: break
        // What Redis said before it went is read first.
        case .endOfStream: outbox.removeAll()
        case .failed: outbox.removeAll()
        }
    }

    /// The next reply. With 0 it does not wait.
    package func next(timeoutMs: Int = 0) -> Event {
        let deadlineNs = MonotonicClock.nowNs() + UInt64(max(0, timeoutMs)) * 1_000_000
        while true {
            switch parser.next() {
            case .reply(let reply): return .reply(reply)
            case .broken(let what): return lose("not the Redis protocol: \(what)")
            case .needsMore: break
            }
            if let loss { return .lost(loss) }
            flush()
            switch unsafe transport.read(into: input.base, count: input.count) {
            case .bytes(let count): unsafe parser.append(UnsafeRawBufferPointer(start: input.base, count: count))
            case .endOfStream: return lose("Redis has closed the connection")
            case .failed(let code): return lose("the connection to Redis is lost: \(transport.describe(code))")
            case .wouldBlock:
                let nowNs = MonotonicClock.nowNs()
                guard nowNs < deadlineNs else { return .nothing }
                var entry = pollfd(fd: number, events: Int16(wantsWrite ? POLLIN | POLLOUT : POLLIN), revents: 0)
                unsafe _ = Glibc.poll(&entry, 1, Int32(min(60_000, (deadlineNs - nowNs) / 1_000_000 + 1)))
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

extension RedisEndpoint {
    /// The first commands of every connection; each of them must succeed.
    var greeting: [[String]] {
        var commands: [[String]] = []
        if let password { commands.append(user.map { ["AUTH", $0, password] } ?? ["AUTH", password]) }
        if database != 0 { commands.append(["SELECT", String(database)]) }
        commands.append(["PING"])
        return commands
    }
}
