// Answers that bring a careless client down, or pass it unseen. Where a trap is at stake the test runs in a process of its own.

import FastFeed
import Testing

struct HostileAnswerTests {
    /// `Retry-After` is a peer's number: whatever it says, the pause must be a pause and not an overflow.
    @Test func hugeRetryAfter() async {
        await #expect(processExitsWith: .success) {
            var backoff = Backoff(Limits.venueBackoffMs, seed: 1)
            _ = backoff.nextDelayNs(atLeastSeconds: .max)
            _ = backoff.nextDelayNs(atLeastSeconds: 99_999_999_999)
        }
    }

    /// A read that brought nothing changes nothing.
    @Test func emptyReadDuringTheUpgrade() async {
        await #expect(processExitsWith: .success) {
            var reply = UpgradeReply(
                to: UpgradeRequest(
                    endpoint: WebSocketEndpoint(isSecure: false, host: "h", port: 80), keyBytes: [UInt8](repeating: 0, count: 16)))
            let bytes = Array("HTTP/1.1 101".utf8)
            _ = bytes.withUnsafeBytes { reply.feed($0) }
            _ = bytes[..<0].withUnsafeBytes { reply.feed($0) }
        }
    }

    /// Header text is ASCII: U+212A is no K, though String's comparison (canonical equivalence) and lower-casing take it for one.
    @Test func lookAlikesAreNotTheAnswer() {
        // A key whose accept value has a K in it.
        var seed: UInt8 = 0
        var accept = ""
        var key: [UInt8] = []
        while !accept.contains("K") {
            key = [UInt8](repeating: seed, count: 16)
            let request = UpgradeRequest(endpoint: WebSocketEndpoint(isSecure: false, host: "h", port: 80), keyBytes: key)
            let line = String(decoding: request.bytes, as: UTF8.self).split(separator: "\r\n").first {
                $0.hasPrefix("Sec-WebSocket-Key: ")
            }!
            accept = UpgradeRequest.accept(for: String(line.dropFirst("Sec-WebSocket-Key: ".count)))
            seed += 1
        }
        func isAccepted(_ upgrade: String, _ accept: String) -> Bool {
            var reply = UpgradeReply(to: UpgradeRequest(endpoint: WebSocketEndpoint(isSecure: false, host: "h", port: 80), keyBytes: key))
            let text = "HTTP/1.1 101 x\r\nUpgrade: \(upgrade)\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \(accept)\r\n\r\n"
            return Array(text.utf8).withUnsafeBytes { reply.feed($0) } == .accepted(rest: [])
        }
        #expect(isAccepted("websocket", accept))
        #expect(!isAccepted("websoc\u{212A}et", accept))
        #expect(!isAccepted("websocket", accept.replacing("K", with: "\u{212A}")))
    }
}
