// Wrong answers to the upgrade request (RFC 6455, 4.1).

import Foundation
import Glibc

enum HandshakeCases {
    /// TCP and upgrade together must be done in this time where they must stall; the good connection beside them, too.
    static let stallMs = 2_000
    private static let restricted = #"{"code":0,"msg":"a restricted location"}"#
    private static let notHTTP = "upgrade refused: the answer is not HTTP/1.1"
    private static let malformed = "a malformed header line"

    static let answers: [HostileCase] = [
        .status("200 OK"), .status("204 No Content"), .status("400 Bad Request"), .status("401 Unauthorized"), .status("403 Forbidden"),
        .status("500 Internal Server Error"), .status("503 Service Unavailable"),
        // A redirect leads to a place that no script belongs to: a request there would be noticed.
        .status(
            "301 Moved Permanently", ["Location: /elsewhere?streams=trap@kline_1m"], shows: "Location: /elsewhere?streams=trap@kline_1m"),
        .status("302 Found", ["Location: /elsewhere?streams=trap@kline_1m"]),
        .status("429 Too Many Requests", ["Retry-After: 1"], pauseMsMin: 1_000, shows: "Retry-After: 1"),
        .refusal("a reason in the body", "HTTP status 451: {\"code\":0,\"msg\":\"a restricted location\"}", "451 x", body: [restricted]),
        .refusal(
            "a reason that comes later", "HTTP status 403: <html> not from here </html>", "403 x",
            body: ["<html>\r\n", " not from\there", " </html>"]),
        .changed("HTTP/1.0", "the answer is not HTTP/1.1") { $0[0] = "HTTP/1.0 101 Switching Protocols" },
        .changed("no Upgrade", "the Upgrade header is not 'websocket'") { $0.remove(at: 1) },
        .changed("wrong Upgrade", "the Upgrade header is not 'websocket'") { $0[1] = "Upgrade: h2c" },
        .changed("Upgrade twice", "the Upgrade header is not 'websocket'") { $0.append("Upgrade: websocket") },
        .changed("no Connection", "the Connection header does not say 'Upgrade'") { $0.remove(at: 2) },
        .changed("wrong Connection", "the Connection header does not say 'Upgrade'") { $0[2] = "Connection: keep-alive" },
        .changed("no Accept", "Sec-WebSocket-Accept is missing") { $0.removeLast() },
        .changed("wrong Accept", "Sec-WebSocket-Accept is missing or does not answer our key") {
            $0[3] = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        },
        .changed("Accept twice", "Sec-WebSocket-Accept is missing or does not answer our key") { $0.append($0[3]) },
        .changed("an extension nobody asked for", "the server uses an extension that was not offered") {
            $0.append("Sec-WebSocket-Extensions: permessage-deflate")
        },
        .changed("a subprotocol nobody asked for", "the server chose a subprotocol that was not offered") {
            $0.append("Sec-WebSocket-Protocol: chat")
        },
        .changed("a folded header", malformed) { $0.append(" folded") },
        .changed("a folded header with a colon", malformed) { $0.append("\tX-A: folded") },
        .changed("NUL in a value", malformed) { $0.append("X-A: a\0b") },
        .changed("NUL in a name", malformed) { $0.append("X\0A: b") },
        .changed("a space before the colon", malformed) { $0[1] = "Upgrade : websocket" },
        .changed("a bare line feed", malformed) { $0.append("X-A: a\nX-B: b") },
    ]

    static let streams: [HostileCase] = [
        // SETTINGS, as an HTTP/2 server begins; no line ever ends in it.
        .answer("HTTP/2", notHTTP) { _ in [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100] },
        .answer("garbage", notHTTP) { _ in (0..<200).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 130) } },
        .answer("another protocol", notHTTP) { _ in Array("220 mail.example ESMTP\r\n".utf8) },
        endless("an endless header line", start: "X-A: ", piece: String(repeating: "a", count: 4_096)),
        endless("endless header lines", start: "", piece: String(repeating: "X-A: aaaaaaaaaaaaaaaa\r\n", count: 200)),
        .changed("a long header line", "a header line is longer than 8192 bytes") {
            $0.append("X-A: " + String(repeating: "a", count: 9_000))
        },
        .changed("many headers", "more than 128 headers") { $0 += (0..<200).map { "X-\($0): a" } },
        HostileCase(name: "the end in mid-answer", outcome: .refused("the server closed the connection during the upgrade")) { peer, _ in
            peer.send(Array(HostilePeer.head(peer.rightAnswer).prefix(40)))
            peer.end()
        },
        HostileCase(name: "a reset in mid-answer", outcome: .refused("during the upgrade: Connection reset by peer")) { peer, _ in
            peer.send(Array(HostilePeer.head(peer.rightAnswer).prefix(40)))
            usleep(20_000)
            peer.reset()
        },
    ]

    /// Answers that never come to an end, nor to too many bytes.
    static let stalls: [HostileCase] = [
        HostileCase(name: "a byte now and then", outcome: .refused("no answer within \(stallMs) ms (upgrading)")) { peer, _ in
            for byte in HostilePeer.head(peer.rightAnswer) where peer.send([byte]) { usleep(50_000) }
            peer.awaitEnd(timeoutMs: 5_000)
        },
        HostileCase(name: "silence", outcome: .refused("no answer within \(stallMs) ms (upgrading)")) { peer, _ in
            peer.awaitEnd(timeoutMs: 5_000)
        },
        // The announced body never comes: the refusal is told long before the handshake's time is up.
        HostileCase(name: "a refusal without its body", outcome: .refused("upgrade refused: HTTP status 503")) { peer, _ in
            peer.send(HostilePeer.head(["HTTP/1.1 503 Service Unavailable", "Content-Length: 999999999999"]))
            peer.awaitEnd(timeoutMs: 5_000)
        },
    ]

    private static func endless(_ name: String, start: String, piece: String) -> HostileCase {
        HostileCase(name: name, outcome: .refused("upgrade refused: the answer's head is longer than 16384 bytes")) { peer, _ in
            peer.send("HTTP/1.1 101 Switching Protocols\r\n" + start)
            // 16 MB, or until the client has had enough.
            for _ in 0..<4_096 where !peer.attempt.clientEnded { peer.send(piece) }
        }
    }
}
