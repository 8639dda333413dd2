// The handshake with a proxy on its connected socket. Its dial's thread; never waits. Bounded in bytes by the handshake, in time by
// `untilNs`.

struct ProxyTunnel: ~Copyable {
    let untilNs: UInt64
    /// The proxy has given its last word, and so the place has most likely seen nothing of us. (A 502 or 504 may also follow an attempt
    /// that the proxy made: whether it did, it does not say.)
    private(set) var isRefused = false
    private let proxy: ProxyEndpoint
    private let place: Authority
    private let timeoutMs: Int
    private var handshake: ProxyHandshake
    private var outbox = Outbox(bytesMax: Limits.proxyRequestBytesMax)

    init(_ proxy: ProxyEndpoint, to place: Authority, at address: SocketAddress?, timeoutMs: Int, nowNs: UInt64) {
        (self.proxy, self.place, self.timeoutMs, untilNs) = (proxy, place, timeoutMs, nowNs + .ns(ms: timeoutMs))
        handshake = ProxyHandshake(proxy, to: place, at: address)
        _ = outbox.append(handshake.opening)
    }

    /// Goes on as far as it goes without waiting.
    mutating func turn(_ socket: inout PolledTransport, nowNs: UInt64) -> Opening {
        var chunk = [UInt8](repeating: 0, count: 1_024)
        while true {
            if case .failed(let code) = outbox.flush(to: &socket.transport) { return end("\(socket.transport.describe(code))") }
            socket.setInterest(outbox.isEmpty ? .readable : [.readable, .writable])
            switch socket.transport.read(into: &chunk) {
            // Whether it has asked the place meanwhile, nobody knows.
            case .wouldBlock: return nowNs < untilNs ? .pending : .failed(proxy.sentence(.silent(milliseconds: timeoutMs), place))
            case .endOfStream: return refuse(proxy.sentence(.closed, place))
            case .failed(let code): return end(socket.transport.describe(code))
            case .bytes(let count):
                switch handshake.feed(chunk[..<count]) {
                case .pending(let send): _ = outbox.append(send)
                case .through: return .opened
                case .failed(let sentence): return refuse(sentence)
                }
            }
        }
    }

    private mutating func refuse(_ sentence: String) -> Opening {
        isRefused = true
        return .failed(sentence)
    }

    private mutating func end(_ why: String) -> Opening { refuse("the proxy \(proxy): \(why)") }
}
