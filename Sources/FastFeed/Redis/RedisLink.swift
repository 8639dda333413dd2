// The data connection to Redis: find the primary where Sentinels know it, connect, TLS, AUTH, SELECT, and then bytes both ways. Its
// owner's thread, which turns it; never waits for the network. A password's file is read each time when it connects: from a disk, never
// from a pipe. Comes back for ever after a loss.

import CShims
import Glibc

/// Where the data connection leads, and what its TLS needs. Certificates and keys are read once, when this is made; a password's file
/// (`RedisEndpoint.passwordFile`) for each connection.
package struct RedisLinkSettings: Sendable {
    private(set) var endpoint: RedisEndpoint
    let tls: TLSContext?
    package var connectTimeoutMs = Limits.redisConnectTimeoutMs
    /// A script that each server is to know by its name; nil: none.
    package var script: String?
    /// It is a node of a cluster that we know as one.
    private(set) var isClusterNode = false

    /// - Throws: one sentence naming the certificate or key that cannot be used.
    package init(_ endpoint: RedisEndpoint) throws(FeedError) {
        self.endpoint = endpoint
        tls = try endpoint.tlsContext()
    }

    /// The same for one node of a cluster, `host:port` as its map names it.
    func at(_ node: String) -> RedisLinkSettings {
        guard let authority = Authority(node[...], portElse: 0) else { preconditionFailure("a node of a map has an address") }
        var settings = self
        (settings.endpoint, settings.isClusterNode) = (endpoint.at(authority), true)
        return settings
    }
}

@safe struct RedisLink: ~Copyable {
    enum Phase: Equatable {
        /// Waiting to try (again) at an instant.
        case waiting
        /// The Sentinels are asked.
        case finding
        case dialing, greeting, ready
    }

    private(set) var phase = Phase.waiting
    private(set) var retryAtNs: UInt64 = 0
    private(set) var generation: UInt32 = 0
    private var attempts = 0
    /// Our id at a server, which is known by the name of its run: another server may have given the same id to somebody else.
    private struct ClientID {
        var number: Int64
        var run: String
    }
    private var (clientNumber, run): (Int64?, String?) = (nil, nil)
    /// A connection that we gave up while its server had it still.
    private var abandoned: ClientID?
    private var hasAskedToKill = false

    private let settings: RedisLinkSettings
    private let slot: Int
    private var query: PrimaryQuery?
    /// Where Sentinels say which server that is: the one we are connected to, or are about to be; and the one before.
    private var (primary, lastPrimary): (NamedPrimary?, NamedPrimary?) = (nil, nil)
    /// Since the connection before, another server has become the primary.
    private(set) var hasMoved = false
    /// The server that was named is not the primary yet, or not any more.
    private var isTooEarly = false
    private var dial: Dial?
    private var socket: PolledTransport?
    private var reader = ReplyReader()
    /// Since the connection before, Redis has been started again, or another server answers.
    private(set) var isAnotherRun = false
    private var lastRun: String?
    /// Why the greeting's script was refused: then others are, too.
    private(set) var scriptRefusal: String?
    /// The script's name on this server; nil where it may not be loaded.
    private(set) var scriptSHA: String?
    /// What the answers to the greeting mean, in order.
    private enum GreetingReply { case mustSucceed, mayFail, clientID, identity, role, script }
    private var greetingReplies: [GreetingReply] = []
    private var greeting = Outbox(bytesMax: 64 * 1024)
    private var deadlineNs: UInt64 = .max
    private var backoff: Backoff
    private let input = PaddedBuffer(count: 64 * 1024)

    /// - Parameter slot: of its owner's poll tokens.
    init(_ settings: RedisLinkSettings, slot: Int, seed: UInt64) {
        (self.settings, self.slot) = (settings, slot)
        backoff = Backoff(Limits.redisBackoffMs, seed: seed)
    }

    var isReady: Bool { phase == .ready }

    func nextDeadlineNs(nowNs: UInt64) -> UInt64 {
        switch phase {
        case .waiting: retryAtNs
        case .finding, .dialing, .greeting: min(deadlineNs, opening(nowNs).nextTurnNs)
        case .ready: .max
        }
    }

    // MARK: Opening

    /// Goes on with connecting as far as it goes without waiting. `.opened`: authenticated and selected, batches may go.
    mutating func open(nowNs: UInt64, port: PollerPort) -> Opening {
        if phase == .waiting {
            guard nowNs >= retryAtNs else { return .pending }
            begin(nowNs: nowNs, port: port)
        }
        if phase == .finding {
            switch query!.answer {
            case nil: break
            case .failure(let error): return .failed(error.message)
            case .success(let found):
                // Others may have heard of a later one meanwhile.
                (primary, query) = (settings.endpoint.sentinels?.board.primary ?? found, nil)
                beginDial(port)
            }
        }
        if phase == .dialing {
            switch dial!.turn(nowNs: nowNs) {
            case .pending: break
            case .connected(let made):
                socket = consume made
                beginGreeting()
            case .failed(let reason): return .failed(reason)
            }
        }
        let turn = phase == .greeting ? greet() : .pending
        guard turn == .pending, phase != .ready, nowNs >= deadlineNs else { return turn }
        return .failed("no answer within \(settings.connectTimeoutMs) ms (\(opening(nowNs).phase))")
    }

    /// How far it has come in a word, and when to look again though nothing is ready.
    private func opening(_ nowNs: UInt64) -> (phase: String, nextTurnNs: UInt64) {
        switch dial {
        case .some(let dial): ("\(dial.phase)", dial.nextTurnNs(nowNs: nowNs))
        case .none: ("\(phase)", phase == .finding ? nowNs + .ns(ms: 5) : .max)
        }
    }

    private mutating func begin(nowNs: UInt64, port: PollerPort) {
        deadlineNs = nowNs + .ns(ms: settings.connectTimeoutMs)
        reader = ReplyReader()
        generation &+= 1
        isTooEarly = false
        guard settings.endpoint.sentinels != nil else { return beginDial(port) }
        query = PrimaryQuery(settings.endpoint, timeoutMs: settings.connectTimeoutMs)
        phase = .finding
    }

    private mutating func beginDial(_ port: PollerPort) {
        dial = Dial(
            settings.endpoint.server(primary),
            Dial.Options(tls: settings.tls, attempt: attempts, patienceNs: .ns(ms: Limits.addressPatienceMs)), port: port,
            token: port.token(slot: slot, generation: generation))
        attempts += 1
        phase = .dialing
    }

    /// AUTH, SELECT, who we are to whom, and a PING that proves we may speak. Then the end of an abandoned connection.
    private mutating func beginGreeting() {
        let endpoint = settings.endpoint
        dial = nil
        phase = .greeting
        (clientNumber, run, hasAskedToKill, scriptSHA) = (nil, nil, false, nil)
        greeting.removeAll()
        ask(
            (endpoint.authentication + endpoint.selection).map { ($0, .mustSucceed) }
                + [(["CLIENT", "ID"], .clientID), (ServerIdentity.question, .identity)]
                // The data path keeps of an array's reply its length alone, so ROLE is of no use here.
                + (primary == nil ? [] : [(ReplicationInfo.question, .role)])
                + (settings.script.map { [(["SCRIPT", "LOAD", $0], .script)] } ?? []) + [(["PING"], .mustSucceed)])
    }

    private mutating func ask(_ steps: [(command: [String], reply: GreetingReply)]) {
        _ = greeting.append(steps.flatMap { RESP.command($0.command) })
        greetingReplies = steps.map(\.reply)
    }

    private mutating func greet() -> Opening {
        if !greeting.isEmpty {
            switch greeting.flush(to: &socket!.transport) {
            case .bytes: socket!.setInterest(.readable)
            case .wouldBlock: socket!.setInterest([.readable, .writable])
            case .endOfStream: return .failed("Redis closed the connection")
            case .failed(let code): return .failed(describe(code))
            }
        }
        switch fill() {
        case .empty: return .pending
        case .ended(let reason), .lost(let reason): return .failed(reason)
        case .filled: break
        }
        guard let count = takeReplies() else { return .failed(protocolError) }
        for index in 0..<count {
            guard !greetingReplies.isEmpty else { return .failed("a reply that nobody asked for") }
            let reply = reader.replies.row(index)
            switch greetingReplies.removeFirst() {
            case .mayFail: break  // gone already, or not allowed: then a stall may show an older state for a moment
            case .clientID: clientNumber = reply.isError ? nil : reply.integer
            case .identity:
                scriptRefusal = reply.isError ? reply.message : nil
                let identity = reply.isError ? nil : ServerIdentity(reply: reply.message)
                if let refusal = identity?.refusal, !settings.isClusterNode { return .failed("Redis cannot be used: \(refusal)") }
                run = identity?.run
            case .role:
                // Who may not ask believes it: a replica refuses what is written.
                isTooEarly = !reply.isError && reply.message.contains("role:slave")
                if isTooEarly { return .failed("\(primary!) is not Redis's primary") }
            case .script: scriptSHA = reply.isError ? nil : reply.message
            case .mustSucceed: if reply.isError { return .failed("Redis says: \(reply.message)") }
            }
        }
        guard greetingReplies.isEmpty else { return .pending }
        // A server that has stalled still holds what an abandoned connection sent, and would carry it out after what we write now: an
        // older state over a newer one. So it is told to forget that connection first.
        if let old = abandoned, old.run == run, !hasAskedToKill {
            hasAskedToKill = true
            ask([(["CLIENT", "KILL", "ID", String(old.number)], .mayFail)])
            return greet()
        }
        isTooEarly = isOutdated
        if isTooEarly { return .failed("another server is Redis's primary now") }
        abandoned = nil
        isAnotherRun = lastRun != nil && run != nil && lastRun != run
        lastRun = run ?? lastRun
        hasMoved = lastPrimary != nil && lastPrimary != primary
        lastPrimary = primary
        phase = .ready
        attempts = 0
        backoff.succeeded()
        return .opened
    }

    /// The Sentinels name another server than the one we are connected to, or try to be.
    var isOutdated: Bool {
        guard let sentinels = settings.endpoint.sentinels, phase != .waiting, phase != .finding else { return false }
        return sentinels.board.primary != primary
    }

    /// The next attempt needs no pause: there is news of the primary.
    mutating func tryNow() { if phase == .waiting && retryAtNs != .max { retryAtNs = 0 } }

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
        switch socket!.transport.read(into: input) {
        case .wouldBlock: .empty
        case .endOfStream: .ended("Redis closed the connection")
        case .failed(let code): code == ECONNRESET ? .ended(describe(code)) : .lost(describe(code))
        case .bytes(let count):
            reader.feed(input.bytes(count))
                ? .filled(more: count == input.count || settings.endpoint.isSecure) : .lost(protocolError)
        }
    }

    /// Parses what has been read: how many of `replies` were filled; none means that was all. Nil on a protocol
    /// error.
    func takeReplies() -> Int? { reader.drain() }

    func reply(_ index: Int) -> Row<ff_reply> { reader.replies.row(index) }
    var protocolError: String { "protocol error from Redis: \(reader.error)" }

    /// Writes as much as the socket takes and returns the count; nil when the connection is lost.
    mutating func write(_ bytes: Span<UInt8>) -> Int? {
        var sent = 0
        while sent < bytes.count {
            switch socket!.transport.write(bytes.extracting(droppingFirst: sent)) {
            case .bytes(let more): sent += more
            case .wouldBlock:
                socket!.setInterest([.readable, .writable])
                return sent
            case .endOfStream, .failed: return nil
            }
        }
        socket!.setInterest(.readable)
        return sent
    }

    private mutating func describe(_ code: Int32) -> String { socket!.transport.describe(code) }

    /// Ends the connection and waits before the next attempt. Returns the pause.
    /// - Parameter peerIsGone: the server has closed its side; otherwise it may still hold what we sent.
    mutating func lose(nowNs: UInt64, peerIsGone: Bool) -> UInt64 {
        if phase == .ready { abandoned = peerIsGone ? nil : clientID }
        generation &+= 1
        // A failover takes its time, and ends at once.
        let delayNs = isTooEarly ? .ns(ms: Limits.primaryPauseMs) : backoff.nextDelayNs()
        end(retryAtNs: nowNs + delayNs)
        return delayNs
    }

    private var clientID: ClientID? { clientNumber.flatMap { number in run.map { ClientID(number: number, run: $0) } } }

    /// For good, or until `reopen`.
    mutating func close() {
        if phase == .ready { abandoned = clientID }
        generation &+= 1
        socket?.transport.shutDown()
        end(retryAtNs: .max)
    }

    mutating func reopen() { retryAtNs = 0 }

    private mutating func end(retryAtNs: UInt64) {
        (query, primary) = (nil, nil)
        dial = nil
        socket = nil
        phase = .waiting
        self.retryAtNs = retryAtNs
    }
}
