// A WebSocket server that sends what it is told to, byte for byte, one connection after another. A thread of its own,
// blocking sockets, loopback.

import FastFeed
import Glibc
import Synchronization
import TestKit

final class HostileVenue: Sendable {
    /// What one connection gets.
    struct Act: Sendable {
        let bytes: [UInt8]
        /// The close code the client must answer with; nil: the client ends the connection when it likes.
        let closesWith: UInt16?
    }

    let port: UInt16
    private let listener: Int32
    private let received = Lock<[UInt16]>([])
    private let ended = Atomic<Bool>(false)

    /// The close codes that came back, in the order of the acts that wait for one.
    var codes: [UInt16] { received.withLock { $0 } }

    init(_ acts: [Act]) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 && listen(descriptor, 4) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        guard isBound else { throw SystemError("bind") }
        port = UInt16(bigEndian: address.sin_port)
        let thread = try PinnedThread.start(name: "hostile-venue") { [self] in
            for act in acts {
                let connection = accept(descriptor, nil, nil)
                guard connection >= 0 else { break }
                play(act, connection)
                close(connection)
            }
            ended.store(true, ordering: .releasing)
        }
        thread.detach()
    }

    /// Waits for the end of the last act, or ends it.
    func finish() {
        _ = comesTrue(within: 5) { ended.load(ordering: .acquiring) }
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private func play(_ act: Act, _ connection: Int32) {
        var time = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        var request: [UInt8] = []
        while !request.suffix(4).elementsEqual([13, 10, 13, 10]) {
            guard let more = read(connection) else { return }
            request += more
        }
        let mark = "Sec-WebSocket-Key: "
        guard let line = String(decoding: request, as: UTF8.self).split(separator: "\r\n").first(where: { $0.hasPrefix(mark) }) else {
            return
        }
        let accept = UpgradeRequest.accept(for: String(line.dropFirst(mark.count)))
        let answer = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \(accept)\r\n\r\n"
        guard write(connection, Array(answer.utf8)), write(connection, act.bytes) else { return }
        var answered: [UInt8] = []
        while let more = read(connection) {
            answered += more
            // A masked close frame of ours begins the answer: head, key, code.
            guard act.closesWith != nil, answered.count >= 8 else { continue }
            if answered[0] == 0x88 {
                let code = UInt16(answered[6] ^ answered[2]) << 8 | UInt16(answered[7] ^ answered[3])
                received.withLock { $0.append(code) }
            }
            return
        }
    }

    private func read(_ connection: Int32) -> [UInt8]? {
        var chunk = [UInt8](repeating: 0, count: 4_096)
        let count = recv(connection, &chunk, chunk.count, 0)
        return count > 0 ? Array(chunk[..<count]) : nil
    }

    private func write(_ connection: Int32, _ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { send(connection, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}
