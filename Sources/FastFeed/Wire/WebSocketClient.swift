// The same connection code as the readers use, as a small client for any WebSocket server: synchronous, one
// thread at a time.

/// A WebSocket client (RFC 6455, no extensions).
///
///     let client = try WebSocketClient.connect(url: "ws://127.0.0.1:9443/ws/btcusdt@kline_1m")
///     while let message = try client.receive(timeout: .seconds(5)) {
///         if case .text(let bytes) = message { print(String(decoding: bytes, as: UTF8.self)) }
///         if case .closed = message { break }
///     }
///     client.close()
///
/// Pings are answered while `receive` runs. Blocking calls block up to their time-out.
public final class WebSocketClient {
    /// Bounds of one connection, whom it trusts, and which way it goes.
    public struct Options: Sendable {
        /// The longest message taken, whole or in fragments. Beyond: close 1009.
        public var messageBytesMax = 1024 * 1024
        /// Fragments of one message. Beyond: close 1008.
        package var fragmentCountMax = 262_144
        /// TCP, TLS and upgrade together.
        public var handshakeTimeout = Duration.seconds(10)
        /// PEM file of the authority to trust instead of the system's store.
        public var authorityFile: String?
        /// Allow plain `ws://` to a host that is not this machine.
        public var allowsPlainRemote = false
        /// The proxy on the way to the server; nil: there is none.
        public var proxy: ProxyEndpoint?
        /// Request headers besides those of the upgrade, names and values.
        public var headers: [(String, String)] = []

        /// The defaults: the system's trust store, no proxy.
        public init() {}
    }

    /// A whole message, its fragments joined.
    public enum Message: Sendable, Equatable {
        /// UTF-8, checked; a message that is not ends the connection with 1007.
        case text([UInt8])
        /// Any bytes.
        case binary([UInt8])
        /// The connection is over. 1005: the peer's close frame had no code; 1006: there was none. When this side
        /// closed it because the peer broke the protocol, its own code and reason.
        case closed(code: UInt16, reason: String)
    }

    private var connection: WebSocketConnection
    private let buffer = PaddedBuffer(count: Limits.receiveBytesMax)
    private var ended: Message?

    private init(_ connection: consuming WebSocketConnection) { self.connection = connection }

    /// Connects and upgrades.
    /// - Throws: one sentence saying what failed: URL, name, TLS, or which check of the upgrade.
    public static func connect(url: String, options: Options = Options()) throws(FeedError) -> WebSocketClient {
        try connect(WebSocketEndpoint(url: url), options: options)
    }

    /// Connects to a URL that was read before. Blocks as `connect` with a text does.
    public static func connect(_ endpoint: WebSocketEndpoint, options: Options = Options()) throws(FeedError) -> WebSocketClient {
        var settings = ConnectionOptions()
        settings.handshakeTimeoutMs = options.handshakeTimeout.milliseconds
        settings.allowsPlainRemote = options.allowsPlainRemote
        settings.headers = options.headers
        settings.proxy = options.proxy
        settings.decoder.messageBytesMax = options.messageBytesMax
        settings.decoder.fragmentCountMax = options.fragmentCountMax
        let tls = endpoint.isSecure ? try TLSContext.client(authorityFile: options.authorityFile) : nil
        var connection = WebSocketConnection(endpoint: endpoint, options: settings, tls: tls, port: nil, nowNs: MonotonicClock.nowNs())
        while true {
            let nowNs = MonotonicClock.nowNs()
            switch connection.open(nowNs: nowNs) {
            case .opened: return WebSocketClient(connection)
            case .failed(let reason, _): throw FeedError(.handshake, "cannot connect to \(endpoint): \(reason)")
            case .pending: connection.wait(nowNs: nowNs, untilNs: connection.nextDeadlineNs(nowNs: nowNs))
            }
        }
    }

    // MARK: Sending

    /// Sends a text message. Blocks while the peer takes nothing.
    /// - Throws: when the connection is over.
    public func send(text: String) throws(FeedError) { try send(.text, Array(text.utf8)) }
    /// The same with a text that is UTF-8 already; it is not checked.
    public func send(text: [UInt8]) throws(FeedError) { try send(.text, text) }
    /// Sends a binary message. Blocks until the socket has taken it.
    public func send(binary: [UInt8]) throws(FeedError) { try send(.binary, binary) }
    /// - Parameter payload: at most 125 bytes.
    public func ping(_ payload: [UInt8] = []) throws(FeedError) {
        guard payload.count <= 125 else { throw FeedError(.webSocket, "a ping carries at most 125 bytes, not \(payload.count)") }
        try send(.ping, payload)
    }

    private func send(_ opcode: FrameOpcode, _ payload: [UInt8]) throws(FeedError) {
        guard ended == nil, connection.send(opcode, payload) else {
            throw FeedError(.webSocket, "the connection is closed, or the message is longer than its limit")
        }
        try drain()
    }

    /// Blocks until the socket has taken everything.
    private func drain() throws(FeedError) {
        let deadlineNs = MonotonicClock.nowNs() + 30_000_000_000
        while !connection.outbox.isEmpty {
            let nowNs = MonotonicClock.nowNs()
            guard nowNs < deadlineNs else { throw FeedError(.webSocket, "the peer takes no bytes") }
            connection.wait(nowNs: nowNs, untilNs: nowNs + 10_000_000)
            guard connection.flush() else { throw FeedError(.webSocket, "the connection is lost") }
        }
    }

    // MARK: Receiving

    /// The next message. Nil when none came in time; `.closed` once the connection is over, and ever after.
    /// - Parameter timeout: nil waits for ever.
    public func receive(timeout: Duration? = nil) throws(FeedError) -> Message? {
        if let ended { return ended }
        let deadlineNs = timeout.map { MonotonicClock.nowNs() + $0.nanoseconds } ?? .max
        while true {
            if let message = takeMessage() { return message }
            switch connection.read(into: buffer) {
            case .bytes(let count): connection.decoder.supply(buffer, count: count)
            case .wouldBlock:
                let nowNs = MonotonicClock.nowNs()
                guard nowNs < deadlineNs else { return nil }
                connection.wait(nowNs: nowNs, untilNs: deadlineNs)
                if !connection.flush() { return end(1006, "write failed") }
            case .endOfStream: return end(1006, "the peer ended the connection without a close frame")
            case .failed(let code): return end(1006, connection.describe(code))
            }
        }
    }

    private func end(_ code: UInt16, _ reason: String) -> Message {
        connection.drop()
        ended = .closed(code: code, reason: reason)
        return ended!
    }

    /// The next message of the window; nil when it is used up.
    private func takeMessage() -> Message? {
        while true {
            switch connection.decoder.takeEvent() {
            case .needMore: return nil
            case .message(let isText, let payload): return isText ? .text(Array(payload)) : .binary(Array(payload))
            case .ping(let payload): _ = connection.send(.pong, payload.span)
            case .pong: break
            case .close(let code, let reason): return leave(code, answer: "", String(decoding: reason, as: UTF8.self))
            case .violation(let code, let reason): return leave(code, answer: "\(reason)", "\(reason)")
            }
        }
    }

    /// Sends a close frame, then reads and forgets until the server ends TCP (RFC 6455, 7.1.1), at most two seconds, so that the
    /// kernel does not turn unread bytes into a reset that swallows the frame.
    private func leave(_ code: UInt16, answer: String, _ reason: String) -> Message {
        let startNs = MonotonicClock.nowNs()
        connection.close(code: code, reason: answer, nowNs: startNs)
        let deadlineNs = startNs + .ns(ms: Limits.closeTimeoutMs)
        var nowNs = startNs
        reading: while nowNs < deadlineNs, connection.flush() {
            switch connection.read(into: buffer) {
            case .bytes: break
            case .wouldBlock: connection.wait(nowNs: nowNs, untilNs: deadlineNs)
            case .endOfStream, .failed: break reading
            }
            nowNs = MonotonicClock.nowNs()
        }
        return end(code, reason)
    }

    /// The closing handshake from our side: sends the code, waits for the answer (two seconds), ends TCP.
    public func close(code: UInt16 = 1000, reason: String = "") {
        if ended == nil { _ = leave(code, answer: reason, reason) }
    }
}
