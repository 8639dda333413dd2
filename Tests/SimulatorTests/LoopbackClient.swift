// A small blocking client for the socket tests, made of the Wire room's parts: what it receives has passed
// the product's own TLS, upgrade check and frame decoder.

import FastFeed
import Foundation
import Glibc
import VenueSimulator

final class LoopbackClient {
    enum Event: Equatable {
        case text(String)
        case ping([UInt8])
        case pong([UInt8])
        case close(UInt16, String)
        case violation(UInt16)
        /// TCP ended: true when it was a reset.
        case ended(reset: Bool)
        case timeout
    }

    private var transport: Transport
    private var decoder: FrameDecoder
    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: 65_536 + 64, alignment: 64)
    var answersPings = true

    deinit { buffer.deallocate() }

    /// Connects TCP, and TLS when an authority is given.
    init(port: UInt16, authorityFile: String? = nil) throws {
        transport = try Transport.connect(to: SocketAddress(numericHost: "127.0.0.1", port: port)!)
        var options = FrameDecoder.Options()
        options.role = .client
        decoder = FrameDecoder(options)
        LoopbackClient.wait(transport.number, POLLOUT)
        if let error = transport.finishConnect() { throw error }
        guard let authorityFile else { return }
        transport.startTLS(try TLSContext.client(authorityFile: authorityFile), host: "localhost")
        while true {
            switch transport.handshake() {
            case .done: return
            case .wantRead: LoopbackClient.wait(transport.number, POLLIN)
            case .wantWrite: LoopbackClient.wait(transport.number, POLLOUT)
            case .failed(let reason): throw FeedError(.tls, reason)
            }
        }
    }

    /// Connects and upgrades; throws the refusal.
    convenience init(_ simulator: VenueSimulator, _ target: String) throws {
        try self.init(port: simulator.port, authorityFile: simulator.certificateAuthorityFile)
        let endpoint = WebSocketEndpoint(isSecure: simulator.configuration.usesTLS, host: "localhost", port: simulator.port, target: target)
        let request = UpgradeRequest(endpoint: endpoint)
        write(request.bytes)
        var reply = UpgradeReply(to: request)
        while true {
            let chunk = readSome(timeoutMs: 5_000)
            guard case .bytes(let bytes) = chunk else { throw FeedError(.handshake, "no answer to the upgrade") }
            switch bytes.withUnsafeBytes({ reply.feed($0) }) {
            case .needMore: continue
            case .refused(let refusal): throw refusal
            case .accepted(let rest):
                early = rest
                return
            }
        }
    }

    private var early: [UInt8] = []

    private static func wait(_ number: Int32, _ events: Int32, timeoutMs: Int32 = 5_000) {
        var entry = pollfd(fd: number, events: Int16(events), revents: 0)
        _ = poll(&entry, 1, timeoutMs)
    }

    func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let result = transport.write(rest.span)
            switch result {
            case .bytes(let count): rest = rest.dropFirst(count)
            case .wouldBlock: LoopbackClient.wait(transport.number, POLLOUT)
            default: return
            }
        }
    }

    func send(_ opcode: FrameOpcode, _ payload: [UInt8]) {
        write(FrameEncoder.frame(opcode, payload.span, mask: FrameEncoder.freshMask()))
    }

    func send(_ text: String) { send(.text, Array(text.utf8)) }

    enum Chunk { case bytes([UInt8]), end(reset: Bool), timeout }

    func readSome(timeoutMs: Int64) -> Chunk {
        let deadline = WallClock.nowMs() + timeoutMs
        while true {
            switch transport.read(into: buffer, count: 65_536) {
            case .bytes(let count): return .bytes(Array(UnsafeRawBufferPointer(start: buffer, count: count)))
            case .endOfStream: return .end(reset: false)
            case .failed: return .end(reset: true)
            case .wouldBlock:
                let left = deadline - WallClock.nowMs()
                if left <= 0 { return .timeout }
                LoopbackClient.wait(transport.number, POLLIN, timeoutMs: Int32(left))
            }
        }
    }

    private var window: [UInt8] = []
    private var windowIsSupplied = false

    /// The next event; pings are answered on the way.
    func next(timeoutMs: Int64 = 5_000) -> Event {
        let deadline = WallClock.nowMs() + timeoutMs
        while true {
            if let event = decoded() { return event }
            if !early.isEmpty {
                supply(early)
                early = []
                continue
            }
            switch readSome(timeoutMs: max(0, deadline - WallClock.nowMs())) {
            case .bytes(let bytes): supply(bytes)
            case .end(let reset): return .ended(reset: reset)
            case .timeout: return .timeout
            }
        }
    }

    private func supply(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { buffer.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        decoder.supply(buffer, count: bytes.count)
    }

    private func decoded() -> Event? {
        while true {
            switch decoder.takeEvent() {
            case .needMore: return nil
            case .message(_, let bytes): return .text(String(decoding: bytes, as: UTF8.self))
            case .ping(let bytes):
                let payload = Array(bytes)
                guard answersPings else { return .ping(payload) }
                send(.pong, payload)
            case .pong(let bytes): return .pong(Array(bytes))
            case .close(let code, let reason): return .close(code, String(decoding: reason, as: UTF8.self))
            case .violation(let code, _): return .violation(code)
            }
        }
    }

    /// Every text until something else happens or the time is up.
    func texts(forMs: Int64) -> (texts: [String], last: Event) {
        let deadline = WallClock.nowMs() + forMs
        var texts: [String] = []
        while true {
            let event = next(timeoutMs: max(0, deadline - WallClock.nowMs()))
            guard case .text(let text) = event else { return (texts, event) }
            texts.append(text)
            // Who sends without end is never waited for.
            if WallClock.nowMs() >= deadline { return (texts, .timeout) }
        }
    }

    /// The first event that is not a text.
    func untilOther(timeoutMs: Int64 = 5_000) -> Event { texts(forMs: timeoutMs).last }
}

/// One HTTP exchange on a connection of its own.
func httpGet(_ simulator: VenueSimulator, _ target: String, method: String = "GET") throws -> (head: String, body: [UInt8], reset: Bool) {
    let client = try LoopbackClient(port: simulator.port, authorityFile: simulator.certificateAuthorityFile)
    client.write(Array("\(method) \(target) HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".utf8))
    var bytes: [UInt8] = []
    var wasReset = false
    reading: while true {
        switch client.readSome(timeoutMs: 5_000) {
        case .bytes(let more): bytes += more
        case .end(let reset):
            wasReset = reset
            break reading
        case .timeout: break reading
        }
    }
    let text = String(decoding: bytes, as: UTF8.self)
    guard let end = text.range(of: "\r\n\r\n") else { return (text, [], wasReset) }
    let head = String(text[..<end.lowerBound])
    return (head, Array(bytes.dropFirst(head.utf8.count + 4)), wasReset)
}

/// A running simulator, stopped with the test.
func withSimulator(_ configuration: SimulatorConfiguration, _ body: (VenueSimulator) throws -> Void) throws {
    let simulator = try VenueSimulator(configuration: configuration)
    try simulator.start()
    defer { simulator.stop() }
    try body(simulator)
}
