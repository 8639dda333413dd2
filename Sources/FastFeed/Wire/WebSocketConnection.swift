// One client connection from name resolution to the last byte: TCP, proxy, TLS, upgrade, frames, close. Its owner's thread. Never
// blocks; its owner turns it when the poller reports, and at deadlines. Used by the readers and by
// `WebSocketClient` alike.

import Glibc

/// What a connection needs to know before it starts.
package struct ConnectionOptions: Sendable {
    package var decoder = FrameDecoder.Options()
    package var handshakeTimeoutMs = Limits.handshakeTimeoutMs
    /// Plain `ws://` is for this machine only, unless this says otherwise.
    package var allowsPlainRemote = false
    package var headers: [(String, String)] = []
    /// How many attempts came before: each begins with another of the name's addresses.
    package var attempt = 0
    /// Nil: directly.
    package var proxy: ProxyEndpoint?

    package init() {}
}

@safe package struct WebSocketConnection: ~Copyable {
    package enum Phase: Equatable {
        case dialing, upgrading, open
        /// Our close frame is out (or answered); waiting for the peer's end.
        case closing
        case closed
    }

    package private(set) var phase = Phase.dialing
    /// How far an attempt has come that failed.
    package enum Reach {
        /// Nothing went out: no address for the name, no route, no descriptor, a proxy that is not there or refused.
        case here
        case noAnswer
        /// The server is there, and does not do what was asked.
        case server
    }

    package private(set) var reach = Reach.noAnswer

    /// Where an attempt failed.
    package enum Failure: Sendable { case name, tcp, proxy, tls, upgrade, timeout }

    package private(set) var failure: Failure?
    package var decoder: FrameDecoder
    package private(set) var outbox: Outbox
    /// Bytes that came together with the upgrade's answer; `read` hands them out first.
    private var earlyBytes: [UInt8] = []

    private let endpoint: WebSocketEndpoint
    private let options: ConnectionOptions
    private let deadlineNs: UInt64
    /// When a refusal is told without the rest of its body; `.max` while there is none.
    private var refusalDeadlineNs = UInt64.max

    private var dial: Dial
    private var socket: PolledTransport?
    private var reply: UpgradeReply?
    private var closeDeadlineNs = UInt64.max
    private var isReading = true

    /// - Parameters:
    ///   - tls: required for `wss://`.
    ///   - port: of the poller that reports the socket under `token`; nil when the owner `wait`s.
    package init(
        endpoint: WebSocketEndpoint, options: ConnectionOptions, tls: TLSContext?, port: PollerPort?,
        token: PollToken = PollToken(rawValue: 0), nowNs: UInt64
    ) {
        precondition(!endpoint.isSecure || tls != nil, "wss needs a TLS context")
        self.endpoint = endpoint
        self.options = options
        decoder = FrameDecoder(options.decoder)
        // A message of the longest kind may be sent as well as received.
        outbox = Outbox(bytesMax: max(Limits.outboundBytesMax, options.decoder.messageBytesMax + FrameEncoder.headerBytesMax + 4_096))
        deadlineNs = nowNs + .ns(ms: options.handshakeTimeoutMs)
        let isAnywhere = endpoint.isSecure || options.allowsPlainRemote
        let refusal = "plain ws:// to '\(endpoint.authority.host)', which is not this machine, is not allowed"
        let way = Dial.Options(
            tls: endpoint.isSecure ? tls : nil, attempt: options.attempt, patienceNs: .ns(ms: Limits.addressPatienceMs),
            refusalOfRemote: isAnywhere ? nil : refusal,
            proxy: options.proxy, proxyTimeoutMs: min(Limits.proxyTimeoutMs, options.handshakeTimeoutMs / 2))
        dial = Dial(.tcp(endpoint.authority), way, port: port, token: token)
    }

    /// When the connection must be turned again though nothing is ready; `.max` for never.
    package func nextDeadlineNs(nowNs: UInt64) -> UInt64 {
        switch phase {
        case .dialing: min(deadlineNs, dial.nextTurnNs(nowNs: nowNs))
        case .upgrading: min(deadlineNs, refusalDeadlineNs)
        case .closing: closeDeadlineNs
        case .open, .closed: .max
        }
    }

    /// For an owner without a poller: until a turn or a read may get further, or the instant has come.
    mutating func wait(nowNs: UInt64, untilNs: UInt64) {
        let (number, interest) = phase == .dialing ? (dial.number, dial.interest) : (socket?.number ?? -1, socket?.interest ?? [])
        PolledTransport.wait(number, interest, nowNs: nowNs, untilNs: untilNs)
    }

    /// Bytes wait where the poller cannot see them: behind the upgrade's answer or inside TLS.
    package var hasPending: Bool {
        switch socket {
        case .some(let socket): !earlyBytes.isEmpty || socket.transport.hasPending
        case .none: false
        }
    }
}

// MARK: - Opening

extension WebSocketConnection {
    /// Goes on with the opening as far as it goes without waiting; while dialing and upgrading.
    package mutating func open(nowNs: UInt64) -> Opening {
        var step = Opening.pending
        if phase == .dialing {
            switch dial.turn(nowNs: nowNs) {
            case .pending: break
            case .connected(let made):
                socket = consume made
                sendRequest()
            case .failed(let reason): step = .failed(reason)
            }
        }
        if phase == .upgrading { step = upgrade(nowNs) }
        if step == .pending, nowNs >= min(deadlineNs, refusalDeadlineNs), let refusal = refusalSoFar { step = refusal }
        if step == .pending, nowNs >= deadlineNs {
            let progress = phase == .dialing ? dial.progress : "\(phase)"
            step = .failed("no answer within \(options.handshakeTimeoutMs) ms (\(progress))")
            failure = .timeout
        }
        if case .failed = step {
            failure = failure ?? (phase == .upgrading ? .upgrade : dial.failure)
            reach = phase == .upgrading ? .server : dial.isUnheard ? .here : .noAnswer
            phase = .closed
            socket = nil
        }
        return step
    }

    private mutating func sendRequest() {
        let request = UpgradeRequest(endpoint: endpoint, headers: options.headers)
        reply = UpgradeReply(to: request)
        _ = outbox.append(request.bytes)
        phase = .upgrading
    }

    /// What a head has refused, with as much of its body as has come.
    private var refusalSoFar: Opening? {
        switch reply {
        case .some(let reply): reply.end().map(WebSocketConnection.failure)
        case .none: nil
        }
    }

    private static func failure(_ refusal: UpgradeRefusal) -> Opening {
        .failed("upgrade refused: \(refusal.reason)", retryAfterSeconds: refusal.retryAfterSeconds)
    }

    private mutating func upgrade(_ nowNs: UInt64) -> Opening {
        if case .failed(let code) = flushOutbox() {
            return .failed("while sending the upgrade: \(socket!.transport.describe(code))")
        }
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while true {
            switch socket!.transport.read(into: &chunk) {
            case .wouldBlock: return .pending
            case .endOfStream: return refusalSoFar ?? .failed("the server closed the connection during the upgrade")
            case .failed(let code): return refusalSoFar ?? .failed("during the upgrade: \(socket!.transport.describe(code))")
            case .bytes(let count):
                switch reply!.feed(chunk[..<count]) {
                case .needMore:
                    if refusalSoFar != nil { refusalDeadlineNs = min(refusalDeadlineNs, nowNs + .ns(ms: Limits.refusalBodyTimeoutMs)) }
                case .refused(let refusal): return WebSocketConnection.failure(refusal)
                case .accepted(let rest):
                    earlyBytes = rest
                    reply = nil
                    phase = .open
                    return .opened
                }
            }
        }
    }
}

// MARK: - Open

extension WebSocketConnection {
    /// Bytes from the peer into the caller's buffer.
    /// - Parameter most: of them; nil: as many as it holds.
    @inline(__always)
    package mutating func read(into buffer: borrowing PaddedBuffer, most: Int? = nil) -> IOResult {
        guard phase != .closed else { return .endOfStream }
        if !earlyBytes.isEmpty { return .bytes(takeEarlyBytes(buffer, most ?? buffer.count)) }
        let result = socket!.transport.read(into: buffer, most: most)
        if endpoint.isSecure && result == .wouldBlock { updateInterest() }
        return result
    }

    private mutating func takeEarlyBytes(_ buffer: borrowing PaddedBuffer, _ most: Int) -> Int {
        let taken = min(most, earlyBytes.count)
        buffer.write(earlyBytes.span.extracting(first: taken))
        earlyBytes.removeFirst(taken)
        return taken
    }

    /// Queues a masked frame and sends what the socket takes. False when the outbound bound is passed or the
    /// socket failed: give the connection up.
    package mutating func send(_ opcode: FrameOpcode, _ payload: Span<UInt8>) -> Bool {
        guard phase == .open || phase == .closing else { return false }
        return outbox.append(opcode, payload) && flush()
    }

    package mutating func send(_ opcode: FrameOpcode, _ payload: [UInt8]) -> Bool { send(opcode, payload.span) }

    /// Sends what is queued; after writability was reported, too.
    package mutating func flush() -> Bool {
        switch flushOutbox() {
        case .bytes, .wouldBlock: true
        case .endOfStream, .failed: false
        }
    }

    private mutating func flushOutbox() -> IOResult {
        guard socket != nil else { return .endOfStream }
        let result = outbox.flush(to: &socket!.transport)
        updateInterest()
        return result
    }

    /// Pauses or resumes reading (back-pressure).
    package mutating func setReading(_ isReading: Bool) {
        self.isReading = isReading
        updateInterest()
    }

    /// What the poller is to report, from the connection's state alone: reading, and writing while bytes wait or TLS
    /// must write before it can read on (a key update). Nothing while paused: a hang-up would be reported
    /// again and again to an owner who cannot read.
    private mutating func updateInterest() {
        guard socket != nil else { return }
        guard isReading else { return socket!.setInterest([]) }
        let wantsWrite = !outbox.isEmpty || socket!.transport.readWantsWrite
        socket!.setInterest(wantsWrite ? [.readable, .writable] : .readable)
    }

    package mutating func describe(_ code: Int32) -> String { socket?.transport.describe(code) ?? "no connection" }

    // MARK: Close

    /// Begins the closing handshake from our side, or answers the peer's close frame; the server ends TCP (RFC 6455, 7.1.1).
    package mutating func close(code: UInt16, reason: String = "", nowNs: UInt64) {
        guard phase == .open else {
            if phase != .closing { drop() }
            return
        }
        _ = send(.close, FrameEncoder.closePayload(code: code, reason: reason))
        phase = .closing
        closeDeadlineNs = nowNs + .ns(ms: Limits.closeTimeoutMs)
    }

    /// Ends TCP now.
    package mutating func drop() {
        if phase == .closing || phase == .open { socket?.transport.shutDown() }
        socket = nil
        phase = .closed
    }
}
