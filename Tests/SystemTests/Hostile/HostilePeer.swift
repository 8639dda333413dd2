// One accepted connection of the hostile server: blocking reads and writes with deadlines, and the client's
// frames as they came over the wire. Thread: the connection's own.

import FastFeed
import Foundation
import Glibc
import TestKit

/// What the server saw of one connection.
struct HostileAttempt: Sendable {
    var acceptedNs: UInt64
    /// The first frames; floods are counted only.
    var frames: [ClientFrame] = []
    var frameCount = 0
    var unmaskedCount = 0
    /// The client ended TCP (by FIN or reset) before the server did.
    var clientEnded = false

    var closeCodes: [UInt16] { frames.compactMap(\.closeCode) }
}

final class HostilePeer {
    let descriptor: Int32
    /// The upgrade request: its target and key.
    private(set) var target = ""
    private(set) var key = ""
    private(set) var attempt: HostileAttempt
    private var unread: [UInt8] = []
    private var isOpen = true
    static let framesKeptMax = 64

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        attempt = HostileAttempt(acceptedNs: MonotonicClock.nowNs())
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { end() }

    /// The symbol in `…streams=SYMBOL@kline_1m`.
    var symbol: String {
        guard let start = target.range(of: "streams=") else { return "" }
        return String(target[start.upperBound...].prefix { $0 != "@" })
    }

    // MARK: Bytes

    /// False when the client is gone, or takes nothing for `stallMs`.
    @discardableResult
    func send(_ bytes: [UInt8], stallMs: Int32 = 3_000) -> Bool {
        var sent = 0
        while sent < bytes.count && isOpen {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
            if count > 0 {
                sent += count
            } else if errno == EAGAIN {
                var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                guard Glibc.poll(&entry, 1, stallMs) == 1 else { return false }
            } else if errno != EINTR {
                attempt.clientEnded = true
                return false
            }
        }
        return sent == bytes.count
    }

    @discardableResult
    func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    /// Reads what comes within the time; false at its end, or when the client has ended TCP.
    private func fill(untilNs: UInt64) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while isOpen {
            let nowNs = MonotonicClock.nowNs()
            guard nowNs < untilNs else { return false }
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = Glibc.poll(&entry, 1, Int32(clamping: (untilNs - nowNs) / 1_000_000 + 1))
            if ready == 0 { return false }
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count > 0 {
                unread += chunk[..<count]
                return true
            }
            if count == 0 || errno != EINTR {
                attempt.clientEnded = true
                return false
            }
        }
        return false
    }

    private static func deadline(_ milliseconds: Int) -> UInt64 { MonotonicClock.nowNs() + UInt64(milliseconds) * 1_000_000 }

    // MARK: Upgrade

    /// Reads the request; false when none comes.
    func readRequest(timeoutMs: Int = 5_000) -> Bool {
        let untilNs = HostilePeer.deadline(timeoutMs)
        let mark = Array("\r\n\r\n".utf8)
        while true {
            if let end = unread.firstRange(of: mark) {
                let lines = String(decoding: unread[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
                unread.removeSubrange(..<end.upperBound)
                let parts = lines.first?.split(separator: " ") ?? []
                guard parts.count == 3 else { return false }
                target = String(parts[1])
                for line in lines where line.hasPrefix("Sec-WebSocket-Key: ") { key = String(line.dropFirst(19)) }
                return true
            }
            guard fill(untilNs: untilNs) else { return false }
        }
    }

    /// The right answer, as lines to change at will.
    var rightAnswer: [String] {
        [
            "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Accept: \(UpgradeRequest.accept(for: key))",
        ]
    }

    static func head(_ lines: [String]) -> [UInt8] { Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) }

    func upgrade() { send(HostilePeer.head(rightAnswer)) }

    // MARK: Frames

    /// The next frame; nil when none comes in time or the client is gone.
    func nextFrame(timeoutMs: Int) -> ClientFrame? {
        let untilNs = HostilePeer.deadline(timeoutMs)
        while true {
            if let frame = ClientFrame.take(&unread) {
                attempt.frameCount += 1
                if frame.maskKey == nil { attempt.unmaskedCount += 1 }
                if attempt.frames.count < HostilePeer.framesKeptMax || frame.opcode == 8 { attempt.frames.append(frame) }
                return frame
            }
            guard fill(untilNs: untilNs) else { return nil }
        }
    }

    // MARK: Ends

    /// What a proper server does when the client closes: the same code back, then the end of TCP.
    func answerCloseAndEnd(timeoutMs: Int = 6_000) {
        if let code = awaitClose(timeoutMs: timeoutMs) {
            send(Frames.close(code == 1005 ? [] : [UInt8(code >> 8), UInt8(code & 0xFF)]))
        }
        end()
    }

    /// The code of the client's close frame; nil when none comes.
    @discardableResult
    func awaitClose(timeoutMs: Int = 6_000) -> UInt16? {
        let untilNs = HostilePeer.deadline(timeoutMs)
        while MonotonicClock.nowNs() < untilNs {
            guard let frame = nextFrame(timeoutMs: Int((untilNs - MonotonicClock.nowNs()) / 1_000_000) + 1) else { return nil }
            if let code = frame.closeCode { return code }
        }
        return nil
    }

    /// Waits until the client ends TCP.
    func awaitEnd(timeoutMs: Int) {
        let untilNs = HostilePeer.deadline(timeoutMs)
        while !attempt.clientEnded && MonotonicClock.nowNs() < untilNs {
            while ClientFrame.take(&unread) != nil {}
            _ = fill(untilNs: untilNs)
            if unread.count > 1 << 20 { unread.removeAll() }
        }
    }

    /// FIN.
    func end() {
        guard isOpen else { return }
        isOpen = false
        close(descriptor)
    }

    /// RST.
    func reset() {
        guard isOpen else { return }
        var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        end()
    }
}

/// The `number`th one-minute candle of a symbol, invented; its number stands in several fields.
enum NumberedCandle {
    static let firstOpenMs: Int64 = 1_790_001_240_000
    static func openMs(_ number: Int) -> Int64 { firstOpenMs + Int64(number) * 60_000 }

    static func message(_ symbol: String, _ number: Int, isClosed: Bool = true) -> String {
        let open = openMs(number)
        let name = symbol.uppercased()
        return """
            {"stream":"\(symbol)@kline_1m","data":{"e":"kline","E":\(open + (isClosed ? 60_001 : 30_000)),"s":"\(name)","k":{"t":\(open),\
            "T":\(open + 59_999),"s":"\(name)","i":"1m","f":\(number * 10 + 1),"L":\(number * 10 + 9),"o":"\(number).10000000",\
            "c":"\(number).30000000","h":"\(number).40000000","l":"\(number).05000000","v":"\(number + 1).00000000","n":\(number + 7),\
            "x":\(isClosed),"q":"2.00000000","V":"1.50000000","Q":"1.00000000","B":"0"}}}
            """
    }
}
