// Opening a byte stream: resolve the name, connect to one address after the other, have a proxy connect us on, secure. Its owner's thread.
// It never waits: its owner turns it when its socket is ready for `interest` and at `nextTurnNs`, and has the deadline.

/// What a turn of something that opens came to.
package enum Opening: Equatable {
    case pending, opened
    /// The reason in one sentence; and how long the server wants to be left alone, if it has said so.
    case failed(String, retryAfterSeconds: Int? = nil)
}

package struct Dial: ~Copyable {
    package enum Phase: Equatable {
        case resolving, connecting, tunneling, securing
    }

    package enum Step: ~Copyable {
        case pending
        case connected(PolledTransport)
        /// The reason in one sentence.
        case failed(String)
    }

    struct Options {
        /// Nil for a plain stream; otherwise the certificate must be the host's.
        var tls: TLSContext?
        /// How many attempts came before. Each begins with another address: the first may swallow what it is sent.
        var attempt = 0
        /// How long an address may say nothing while there are others.
        var patienceNs = UInt64.max
        /// What to fail with when the name leads to another machine; nil when it may.
        var refusalOfRemote: String?
        /// What connects us on to the place; TLS is the place's all the same.
        var proxy: ProxyEndpoint?
        var proxyTimeoutMs = Limits.proxyTimeoutMs
    }

    package private(set) var phase = Phase.resolving
    private let place: ServerPlace
    private let options: Options
    private let port: PollerPort?
    private let token: PollToken
    private var query: ResolverQuery?
    /// Where a proxy is to be given an address for the place's name.
    private var placeQuery: ResolverQuery?
    private var placeAddress: SocketAddress?
    private var tunnel: ProxyTunnel?
    private var addresses: [SocketAddress] = []
    private var addressUntilNs = UInt64.max
    private var socket: PolledTransport?
    private var lastFailure = "no address"

    /// - Parameter port: of the poller that reports the socket under `token`; nil when the owner polls by other means.
    init(_ place: ServerPlace, _ options: Options, port: PollerPort?, token: PollToken = PollToken(rawValue: 0)) {
        (self.place, self.options, self.port, self.token) = (place, options, port, token)
        switch place {
        case .tcp(let authority):
            let first = options.proxy?.authority ?? authority
            query = ResolverQuery(host: first.host, port: first.port)
            if options.proxy?.scheme == .socks5 { placeQuery = ResolverQuery(host: authority.host, port: authority.port) }
        case .unix(let path): addresses = SocketAddress(unixPath: path).map { [$0] } ?? []
        }
    }

    /// The socket's descriptor and what it must be ready for before another turn is of use; -1 while there is none.
    var number: Int32 { mutating get { socket?.number ?? -1 } }
    var interest: Readiness { mutating get { socket?.interest ?? [] } }

    /// When to turn it though nothing is ready: nobody reports that the name is resolved; `.max` for never.
    func nextTurnNs(nowNs: UInt64) -> UInt64 {
        switch phase {
        case .resolving: nowNs + .ns(ms: 2)
        case .connecting: addresses.isEmpty ? .max : addressUntilNs
        case .tunneling: tunnelUntilNs
        case .securing: .max
        }
    }

    private var tunnelUntilNs: UInt64 {
        switch tunnel {
        case .none: .max
        case .some(let tunnel): tunnel.untilNs
        }
    }

    private var isRefused: Bool {
        switch tunnel {
        case .none: false
        case .some(let tunnel): tunnel.isRefused
        }
    }

    /// Of an attempt that failed: nothing of it has reached the place.
    var isUnheard: Bool {
        switch phase {
        case .resolving: true
        case .connecting: options.proxy != nil
        case .tunneling: isRefused
        case .securing: false
        }
    }

    /// On which step the attempt has failed.
    var failure: WebSocketConnection.Failure {
        switch phase {
        case .resolving: .name
        case .connecting: options.proxy == nil ? .tcp : .proxy
        case .tunneling: .proxy
        case .securing: .tls
        }
    }

    /// The phase, for a sentence.
    var progress: String { phase == .connecting ? options.proxy.map { "connecting to the proxy \($0)" } ?? "connecting" : "\(phase)" }

    /// Goes on as far as it goes without waiting. After `.connected` or `.failed` it is of no more use.
    mutating func turn(nowNs: UInt64) -> Step {
        if phase == .resolving, let failure = resolve(nowNs) { return .failed(failure) }
        if phase == .connecting, let failure = finishConnect(nowNs) { return .failed(failure) }
        if phase == .tunneling {
            switch tunnel!.turn(&socket!, nowNs: nowNs) {
            case .pending: break
            case .opened: secure()
            case .failed(let reason, _): return .failed(reason)
            }
        }
        guard phase == .securing else { return .pending }
        switch socket!.transport.handshake() {
        case .done: return .connected(socket.take()!)
        case .wantRead: socket!.setInterest(.readable)
        case .wantWrite: socket!.setInterest([.readable, .writable])
        case .failed(let reason): return .failed(options.tls?.advised(reason, host: host) ?? reason)
        }
        return .pending
    }

    private var host: String? { if case .tcp(let authority) = place { authority.host } else { nil } }

    private mutating func resolve(_ nowNs: UInt64) -> String? {
        if let query {
            switch query.answer {
            case nil: return nil
            case .failed(let reason): return blamed(reason)
            case .addresses(let found):
                if options.proxy == nil, let refusal = refusal(of: found) { return refusal }
                let first = found.isEmpty ? 0 : options.attempt % found.count
                addresses = Array(found[first...] + found[..<first])
            }
        }
        if let placeQuery {
            switch placeQuery.answer {
            case nil: return nil
            case .failed(let reason): return reason
            case .addresses(let found):
                if let refusal = refusal(of: found) { return refusal }
                placeAddress = found.isEmpty ? nil : found[options.attempt / max(1, addresses.count) % found.count]
            }
        } else if options.proxy != nil, case .tcp(let authority) = place, !authority.isLoopback, let refusal = options.refusalOfRemote {
            return refusal
        }
        return connectNext(nowNs)
    }

    private func refusal(of found: [SocketAddress]) -> String? { found.allSatisfy(\.isLoopback) ? nil : options.refusalOfRemote }

    /// A failure on the way to the proxy names it.
    private func blamed(_ failure: String) -> String { options.proxy.map { "the proxy \($0): \(failure)" } ?? failure }

    /// Returns what failed, once every address has been tried.
    private mutating func connectNext(_ nowNs: UInt64) -> String? {
        socket = nil
        addressUntilNs = options.patienceNs == .max ? .max : nowNs + options.patienceNs
        while !addresses.isEmpty {
            do {
                socket = try PolledTransport.connect(to: addresses.removeFirst(), port: port, token: token)
                phase = .connecting
                return nil
            } catch {
                lastFailure = error.description
            }
        }
        return blamed(lastFailure)
    }

    private mutating func finishConnect(_ nowNs: UInt64) -> String? {
        guard socket!.transport.isWritable() else { return nowNs < addressUntilNs || addresses.isEmpty ? nil : connectNext(nowNs) }
        if let error = socket!.transport.finishConnect() {
            lastFailure = error.description
            return connectNext(nowNs)
        }
        if let proxy = options.proxy, case .tcp(let authority) = place {
            tunnel = ProxyTunnel(proxy, to: authority, at: placeAddress, timeoutMs: options.proxyTimeoutMs, nowNs: nowNs)
            phase = .tunneling
        } else {
            secure()
        }
        return nil
    }

    private mutating func secure() {
        if let tls = options.tls, case .tcp(let authority) = place { socket!.transport.startTLS(tls, host: authority.host) }
        phase = .securing
    }
}
