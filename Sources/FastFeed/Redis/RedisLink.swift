// The data connection to Redis: connect, TLS, AUTH, SELECT, and then bytes both ways. Never blocks; its owner
// turns it. Comes back for ever after a loss.

import CShims
import Glibc

/// Where the data connection leads, and what its TLS needs: read once, when this is made.
package struct RedisLinkSettings: Sendable {
    let endpoint: RedisEndpoint
    let tls: TLSContext?
    package var connectTimeoutMs = Limits.redisConnectTimeoutMs

    /// - Throws: one sentence naming the certificate or key that cannot be used.
    package init(_ endpoint: RedisEndpoint) throws(FeedError) {
        self.endpoint = endpoint
        tls =
            endpoint.isSecure
            ? try TLSContext.client(
                authorityFile: endpoint.authorityFile, certificateFile: endpoint.certificateFile, keyFile: endpoint.keyFile) : nil
    }
}

@safe struct RedisLink: ~Copyable {
    enum Phase: Equatable {
        /// Waiting to try (again) at an instant.
        case waiting
        case resolving, connecting, securing, greeting, ready
    }

    /// What a turn came to.
    enum Turn: Equatable {
        case pending
        /// Authenticated and selected: batches may go.
        case becameReady
        case lost(String)
    }

    private(set) var phase = Phase.waiting
    private(set) var retryAtNs: UInt64 = 0
    private(set) var generation: UInt32 = 0
    private var attempts = 0
    /// Our id at the server, and the one of a connection that we gave up while the server had it still.
    private var clientID: Int64?
    private var abandonedID: Int64?

    private let settings: RedisLinkSettings
    private var endpoint: RedisEndpoint { settings.endpoint }
    private var transport: Transport?
    private var reader = ReplyReader()
    private var query: ResolverQuery?
    private var addresses: [SocketAddress] = []
    private var lastFailure = ""
    /// What the answers to the greeting mean, in order.
    private enum GreetingReply { case mustSucceed, mayFail, clientID }
    private var greetingReplies: [GreetingReply] = []
    private var greeting = Outbox(bytesMax: 4_096)
    private var deadlineNs: UInt64 = .max
    private var backoff: Backoff
    private var interest: Readiness = []
    private let input = PaddedBuffer(count: 64 * 1024)

    init(_ settings: RedisLinkSettings, seed: UInt64) {
        self.settings = settings
        backoff = Backoff(.redis, seed: seed)
    }

    var isReady: Bool { phase == .ready }

    func nextDeadlineNs(nowNs: UInt64) -> UInt64 {
        switch phase {
        case .waiting: retryAtNs
        case .resolving: nowNs + 2_000_000
        case .connecting, .securing, .greeting: deadlineNs
        case .ready: .max
        }
    }

    // MARK: Opening

    /// Goes on with connecting as far as it goes without waiting.
    mutating func open(nowNs: UInt64, port: PollerPort) -> Turn {
        while true {
            let before = phase
            var turn = Turn.pending
            switch phase {
            case .waiting:
                guard nowNs >= retryAtNs else { return .pending }
                begin(nowNs: nowNs, port: port)
            case .resolving: turn = takeAddresses(port)
            case .connecting: turn = finishConnect(port)
            case .securing: turn = secure(port)
            case .greeting: turn = greet(port)
            case .ready: return .pending
            }
            if turn != .pending { return turn }
            guard phase != before else {
                return nowNs >= deadlineNs ? .lost("no answer within \(settings.connectTimeoutMs) ms (\(before))") : .pending
            }
        }
    }

    private mutating func begin(nowNs: UInt64, port: PollerPort) {
        deadlineNs = nowNs + UInt64(settings.connectTimeoutMs) * 1_000_000
        attempts += 1
        reader = ReplyReader()
        generation &+= 1
        switch endpoint.place {
        case .unix(let path): addresses = SocketAddress(unixPath: path).map { [$0] } ?? []
        case .tcp(let host, let number): query = Resolver.ask(host: host, port: number, wakeUp: port.wakeUp)
        }
        phase = .resolving
    }

    private mutating func takeAddresses(_ port: PollerPort) -> Turn {
        if let query {
            guard let answer = query.answer else { return .pending }
            self.query = nil
            switch answer {
            case .failed(let reason): return .lost("cannot resolve the Redis host: \(reason)")
            case .addresses(let found):
                // Each attempt begins with another address: the first may swallow what it is sent.
                let first = found.isEmpty ? 0 : (attempts - 1) % found.count
                addresses = Array(found[first...] + found[..<first])
            }
        }
        return connectNext(port)
    }

    private mutating func connectNext(_ port: PollerPort) -> Turn {
        transport = nil
        while !addresses.isEmpty {
            do {
                let made = try Transport.connect(to: addresses.removeFirst(), kernel: port.poller.kernel)
                interest = .writable
                try port.poller.add(made.number, interest, token: token(port))
                transport = consume made
                phase = .connecting
                return .pending
            } catch {
                lastFailure = error.description
            }
        }
        return .lost(lastFailure)
    }

    private var number: Int32 {
        switch transport {
        case .some(let transport): transport.number
        case .none: -1
        }
    }

    private func token(_ port: PollerPort) -> PollToken { port.token(slot: 0, generation: generation) }

    private mutating func finishConnect(_ port: PollerPort) -> Turn {
        guard transport!.isWritable() else { return .pending }
        if let error = transport!.finishConnect() {
            lastFailure = error.description
            return connectNext(port)
        }
        guard endpoint.isSecure else {
            beginGreeting(port)
            return .pending
        }
        guard case .tcp(let host, _) = endpoint.place else { return .lost("TLS needs a host name, not a socket path") }
        transport!.startTLS(settings.tls!, host: host)
        phase = .securing
        return .pending
    }

    private mutating func secure(_ port: PollerPort) -> Turn {
        switch transport!.handshake() {
        case .done: beginGreeting(port)
        case .wantRead: setInterest(.readable, port)
        case .wantWrite: setInterest([.readable, .writable], port)
        case .failed(let reason): return .lost(reason)
        }
        return .pending
    }

    /// AUTH, the end of an abandoned connection, SELECT, our id, and a PING that proves we may speak.
    ///
    /// A server that has stalled still holds what an abandoned connection sent, and would carry it out after what we
    /// write now: an older state over a newer one. So it is told to forget that connection first.
    private mutating func beginGreeting(_ port: PollerPort) {
        greeting.removeAll()
        greetingReplies = []
        if let password = endpoint.password {
            greet(with: endpoint.user.map { ["AUTH", $0, password] } ?? ["AUTH", password], .mustSucceed)
        }
        if let abandonedID { greet(with: ["CLIENT", "KILL", "ID", String(abandonedID)], .mayFail) }
        if endpoint.database != 0 { greet(with: ["SELECT", String(endpoint.database)], .mustSucceed) }
        greet(with: ["CLIENT", "ID"], .clientID)
        greet(with: ["PING"], .mustSucceed)
        phase = .greeting
    }

    private mutating func greet(with command: [String], _ reply: GreetingReply) {
        _ = greeting.append(RESP.command(command))
        greetingReplies.append(reply)
    }

    private mutating func greet(_ port: PollerPort) -> Turn {
        if !greeting.isEmpty {
            switch greeting.flush(to: &transport!) {
            case .bytes: setInterest(.readable, port)
            case .wouldBlock: setInterest([.readable, .writable], port)
            case .endOfStream: return .lost("Redis closed the connection")
            case .failed(let code): return .lost(describe(code))
            }
        }
        switch fill() {
        case .empty: return .pending
        case .ended(let reason), .lost(let reason): return .lost(reason)
        case .filled: break
        }
        guard let count = takeReplies() else { return .lost(protocolError) }
        for index in 0..<count {
            guard !greetingReplies.isEmpty else { return .lost("a reply that nobody asked for") }
            let reply = unsafe replies + index
            switch greetingReplies.removeFirst() {
            case .mayFail: break  // gone already, or not allowed: then a stall may show an older state for a moment
            case .clientID: clientID = unsafe reply.pointee.isError ? nil : reply.pointee.integer
            case .mustSucceed: if unsafe reply.pointee.isError { return unsafe .lost("Redis says: \(reply.pointee.message)") }
            }
        }
        guard greetingReplies.isEmpty else { return .pending }
        abandonedID = nil
        phase = .ready
        attempts = 0
        backoff.succeeded()
        return .becameReady
    }

    // MARK: Ready

    /// What one read came to.
    enum Fill: Equatable {
        /// `more`: the socket may hold more already.
        case filled(more: Bool)
        case empty
        /// The server has ended the connection.
        case ended(String)
        /// We must end it.
        case lost(String)
    }

    /// Reads once from the socket into the reply reader.
    mutating func fill() -> Fill {
        switch unsafe transport!.read(into: input.base, count: input.count) {
        case .wouldBlock: .empty
        case .endOfStream: .ended("Redis closed the connection")
        case .failed(let code): code == ECONNRESET ? .ended(describe(code)) : .lost(describe(code))
        case .bytes(let count):
            unsafe reader.feed(input.base, count: count) ? .filled(more: count == input.count || endpoint.isSecure) : .lost(protocolError)
        }
    }

    /// Parses what has been read: how many of `replies` were filled; none means that was all. Nil on a protocol
    /// error.
    func takeReplies() -> Int? { reader.drain() }

    var replies: UnsafeMutablePointer<ff_reply> { unsafe reader.replies }
    var protocolError: String { "protocol error from Redis: \(reader.error)" }

    /// Writes as much as the socket takes and returns the count; nil when the connection is lost.
    mutating func write(_ bytes: UnsafeRawPointer, count: Int, port: PollerPort) -> Int? {
        var sent = 0
        while sent < count {
            switch unsafe transport!.write(bytes + sent, count: count - sent) {
            case .bytes(let more): sent += more
            case .wouldBlock:
                setInterest([.readable, .writable], port)
                return sent
            case .endOfStream, .failed: return nil
            }
        }
        setInterest(.readable, port)
        return sent
    }

    private mutating func setInterest(_ wanted: Readiness, _ port: PollerPort) {
        guard wanted != interest else { return }
        interest = wanted
        port.poller.change(number, wanted, token: token(port))
    }

    private func describe(_ code: Int32) -> String {
        switch transport {
        case .some(let transport): transport.describe(code)
        case .none: ""
        }
    }

    /// Ends the connection and waits before the next attempt. Returns the pause.
    /// - Parameter peerIsGone: the server has closed its side; otherwise it may still hold what we sent.
    mutating func lose(nowNs: UInt64, peerIsGone: Bool) -> UInt64 {
        if phase == .ready { abandonedID = peerIsGone ? nil : clientID }
        transport = nil
        query = nil
        phase = .waiting
        generation &+= 1
        let delayNs = backoff.nextDelayNs()
        retryAtNs = nowNs + delayNs
        return delayNs
    }

    mutating func close() {
        switch transport {
        case .some(let transport): transport.shutDown()
        case .none: break
        }
        transport = nil
        phase = .waiting
        retryAtNs = .max
    }
}
