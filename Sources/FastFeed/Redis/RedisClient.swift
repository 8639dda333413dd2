// A small synchronous Redis client for the control side: views, tests, commands. Not for the data path.
// One thread at a time; blocks up to its time-out.

import Glibc

@safe public final class RedisClient {
    private var transport: Transport
    private let reader = ReplyTreeReader()
    private let timeoutMs: Int

    private init(_ transport: consuming Transport, timeoutMs: Int) {
        self.transport = transport
        self.timeoutMs = timeoutMs
    }

    /// Connects, authenticates and selects.
    /// - Throws: one sentence saying what failed.
    public static func connect(_ endpoint: RedisEndpoint, timeoutMs: Int = 5_000) throws(FeedError) -> RedisClient {
        let client = RedisClient(try open(endpoint, timeoutMs: timeoutMs), timeoutMs: timeoutMs)
        for reply in try client.pipeline(endpoint.greeting) {
            if case .error(let message) = reply { throw FeedError(.redis, "\(endpoint) says: \(Ascii.printable(message.utf8))") }
        }
        return client
    }

    /// A connected and, where wanted, secured socket, before the first command.
    static func open(_ endpoint: RedisEndpoint, timeoutMs: Int) throws(FeedError) -> Transport {
        let tls =
            endpoint.isSecure
            ? try TLSContext.client(
                authorityFile: endpoint.authorityFile, certificateFile: endpoint.certificateFile, keyFile: endpoint.keyFile) : nil
        var reason = "no address"
        for address in try addresses(endpoint, timeoutMs) {
            do {
                var transport = try Transport.connect(to: address)
                guard wait(transport.number, POLLOUT, timeoutMs) else { throw SystemError("connect", code: ETIMEDOUT) }
                if let error = transport.finishConnect() { throw error }
                if let tls, case .tcp(let host, _) = endpoint.place {
                    transport.startTLS(tls, host: host)
                    if let failure = handshake(&transport, timeoutMs) {
                        throw FeedError(.redis, "cannot connect to \(endpoint): \(failure)")
                    }
                }
                return transport
            } catch let error as FeedError {
                throw error
            } catch {
                reason = "\(error)"
            }
        }
        throw FeedError(.redis, "cannot connect to \(endpoint): \(reason)")
    }

    private static func addresses(_ endpoint: RedisEndpoint, _ timeoutMs: Int) throws(FeedError) -> [SocketAddress] {
        switch endpoint.place {
        case .unix(let path):
            guard let address = SocketAddress(unixPath: path) else { throw FeedError(.redis, "socket path too long: \(path)") }
            return [address]
        case .tcp(let host, let port):
            let query = Resolver.ask(host: host, port: port, wakeUp: nil)
            for _ in 0..<max(1, timeoutMs / 2) {
                if let answer = query.answer {
                    if case .addresses(let found) = answer { return found }
                    if case .failed(let why) = answer { throw FeedError(.redis, "cannot resolve '\(host)': \(why)") }
                }
                usleep(2_000)
            }
            throw FeedError(.redis, "cannot resolve '\(host)': no answer")
        }
    }

    /// All of it within the time, however slowly its bytes come. Returns what failed.
    private static func handshake(_ transport: inout Transport, _ timeoutMs: Int) -> String? {
        let deadlineNs = MonotonicClock.nowNs() + UInt64(timeoutMs) * 1_000_000
        while true {
            let events: Int32
            switch transport.handshake() {
            case .done: return nil
            case .failed(let reason): return reason
            case .wantRead: events = POLLIN
            case .wantWrite: events = POLLOUT
            }
            let nowNs = MonotonicClock.nowNs()
            guard nowNs < deadlineNs, wait(transport.number, events, Int((deadlineNs - nowNs) / 1_000_000) + 1) else {
                return "no answer within \(timeoutMs) ms (securing)"
            }
        }
    }

    private static func wait(_ number: Int32, _ events: Int32, _ timeoutMs: Int) -> Bool {
        var entry = pollfd(fd: number, events: Int16(events), revents: 0)
        return unsafe Glibc.poll(&entry, 1, Int32(timeoutMs)) == 1
    }

    /// Ends our side of the connection; what is under way is lost.
    public func close() { transport.shutDown() }

    /// One command, one reply. An error reply is a value, not a throw.
    public func command(_ arguments: [String]) throws(FeedError) -> RedisValue { try pipeline([arguments])[0] }

    public func command(_ arguments: String...) throws(FeedError) -> RedisValue { try pipeline([arguments])[0] }

    /// Many commands in one go; replies in the same order.
    public func pipeline(_ commands: [[String]]) throws(FeedError) -> [RedisValue] {
        try send(commands.flatMap(RESP.command))
        var replies: [RedisValue] = []
        while replies.count < commands.count {
            guard let reply = try receive(timeoutMs: timeoutMs) else {
                throw FeedError(.redis, "no reply from Redis within \(timeoutMs) ms")
            }
            replies.append(reply)
        }
        return replies
    }

    private func send(_ bytes: [UInt8]) throws(FeedError) {
        var sent = 0
        while sent < bytes.count {
            switch unsafe bytes.withUnsafeBytes({ unsafe transport.write($0.baseAddress! + sent, count: $0.count - sent) }) {
            case .bytes(let count): sent += count
            case .wouldBlock:
                guard RedisClient.wait(transport.number, POLLOUT, timeoutMs) else { throw FeedError(.redis, "Redis takes no bytes") }
            case .endOfStream, .failed: throw FeedError(.redis, "the connection to Redis is lost")
            }
        }
    }

    /// The next reply or pushed message; nil when none comes in time.
    public func receive(timeoutMs: Int) throws(FeedError) -> RedisValue? {
        let deadlineNs = MonotonicClock.nowNs() + UInt64(timeoutMs) * 1_000_000
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            if let value = try reader.next() { return value }
            switch unsafe chunk.withUnsafeMutableBytes({ unsafe transport.read(into: $0.baseAddress!, count: $0.count) }) {
            case .bytes(let count):
                guard unsafe chunk.withUnsafeBytes({ unsafe reader.feed($0.baseAddress!, count: count) }) else {
                    throw FeedError(.redis, "a reply from Redis is longer than the limit")
                }
                // A reply whose bytes keep coming must end in time, too.
                if MonotonicClock.nowNs() >= deadlineNs { return try reader.next() }
            case .wouldBlock:
                let nowNs = MonotonicClock.nowNs()
                guard nowNs < deadlineNs else { return nil }
                _ = RedisClient.wait(transport.number, POLLIN, Int((deadlineNs - nowNs) / 1_000_000) + 1)
            case .endOfStream, .failed: throw FeedError(.redis, "the connection to Redis is lost")
            }
        }
    }
}
