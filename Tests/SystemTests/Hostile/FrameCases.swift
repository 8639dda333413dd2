// Frames that break RFC 6455 or a limit, and ends that are no ends.

import FastFeed
import Foundation
import Glibc
import TestKit

enum FrameCases {
    private static let text = Array("some text".utf8)
    private static func filler(_ count: Int) -> [UInt8] { Array(repeating: UInt8(ascii: "a"), count: count) }

    static let headers: [HostileCase] =
        [
            .violation("a masked frame", 1002, "a masked server frame", [0x81, 0x85, 1, 2, 3, 4] + [0x69, 0x67, 0x6F, 0x68, 0x6E]),
            .violation("RSV1", 1002, "a reserved bit is set", Frames.raw(0xC1, text)),
            .violation("RSV2", 1002, "a reserved bit is set", Frames.raw(0xA1, text)),
            .violation("RSV3", 1002, "a reserved bit is set", Frames.raw(0x91, text)),
            .violation("RSV1 on a ping", 1002, "a reserved bit is set", Frames.raw(0xC9, [])),
            .violation("16-bit length of 125", 1002, "not in its shortest form", Frames.raw(0x81, filler(125), lengthBytes: 2)),
            .violation("16-bit length of 0", 1002, "not in its shortest form", Frames.raw(0x82, [], lengthBytes: 2)),
            .violation("64-bit length of 125", 1002, "not in its shortest form", Frames.raw(0x81, filler(125), lengthBytes: 8)),
            .violation("64-bit length of 65535", 1002, "not in its shortest form", Frames.raw(0x81, filler(65_535), lengthBytes: 8)),
            .violation("a length of 2^63", 1002, "the highest bit set", Frames.header(0x81, 1 << 63)),
            .violation("a length of 2^64 - 1", 1002, "the highest bit set", Frames.header(0x82, .max)),
            .violation("a length of 2^63 - 1", 1009, "longer than the limit", Frames.header(0x82, 1 << 63 - 1)),
            .violation("1 TB announced, 4 MB sent", 1009, "longer than the limit", Frames.header(0x82, 1 << 40) + filler(4 << 20)),
            .violation("one byte over the limit", 1009, "longer than the limit", Frames.raw(0x81, filler(65_537))),
        ]
        + ([3, 4, 5, 6, 7, 11, 12, 13, 14, 15] as [UInt8]).map {
            .violation("opcode \($0)", 1002, "a reserved opcode", Frames.raw(0x80 | $0, text))
        }

    static let messages: [HostileCase] =
        [
            .violation(
                "a message over the limit by fragments", 1009, "longer than the limit",
                Frames.raw(0x01, filler(30_000)) + Frames.raw(0x00, filler(30_000)) + Frames.raw(0x00, filler(30_000))),
            .violation("endless fragments", 1008, "too many fragments", fragments(200_000, [0x61])),
            .violation("endless empty fragments", 1008, "too many fragments", fragments(200_000, [])),
            .violation("a continuation without a start", 1002, "a continuation without a message", Frames.raw(0x80, text)),
            .violation(
                "a new message inside a fragmented one", 1002, "a new message inside", Frames.raw(0x01, text) + Frames.raw(0x81, text)),
            .violation("a fragmented ping", 1002, "a fragmented control frame", Frames.raw(0x09, text)),
            .violation("a fragmented close", 1002, "a fragmented control frame", Frames.raw(0x08, [])),
            .violation("a ping of 126 bytes", 1002, "a control frame longer than 125 bytes", Frames.raw(0x89, filler(126))),
            .violation("a close of 126 bytes", 1002, "a control frame longer than 125 bytes", Frames.close(1000, filler(124))),
            .violation("a close of 1 byte", 1002, "a close frame with half a code", Frames.close([3])),
            .violation("a close reason that is not UTF-8", 1007, "a close reason that is not UTF-8", Frames.close(1000, [0xC3, 0x28])),
            .violation("short text that is not UTF-8", 1007, "text that is not UTF-8", Frames.raw(0x81, [0x61, 0xFF, 0x61])),
            .violation("long text that is not UTF-8", 1007, "text that is not UTF-8", Frames.raw(0x81, filler(300) + [0xED, 0xA0, 0x80])),
            .violation("a kline that is not UTF-8", 1007, "text that is not UTF-8") { symbol in
                Frames.raw(0x81, Array(NumberedCandle.message(symbol, 1).utf8).map { $0 == UInt8(ascii: "@") ? 0x80 : $0 })
            },
            .violation(
                "not UTF-8 across fragments", 1007, "text that is not UTF-8", Frames.raw(0x01, [0xE2, 0x82]) + Frames.raw(0x80, [0x28])),
            .violation(
                "text that ends inside a character", 1007, "ends inside a character",
                Frames.raw(0x01, [0x61]) + Frames.raw(0x80, [0xE2, 0x82])
            ),
        ]
        + ([0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535] as [UInt16]).map {
            .violation("close code \($0)", 1002, "a close code that must not be sent", Frames.close($0))
        }

    private static func fragments(_ count: Int, _ payload: [UInt8]) -> [UInt8] {
        Frames.raw(0x01, payload) + (0..<count).flatMap { _ in Frames.raw(0x00, payload) }
    }

    // MARK: Ends and floods

    static let ends: [HostileCase] = [
        HostileCase(name: "no answer to our close", outcome: .violation(1002, "a reserved opcode")) { peer, _ in
            peer.upgrade()
            peer.send(Frames.raw(0x83, []))
            peer.awaitClose()
            peer.awaitEnd(timeoutMs: 10_000)
        },
        HostileCase(name: "endless data instead of an answer to our close", outcome: .violation(1002, "a reserved opcode")) { peer, _ in
            peer.upgrade()
            peer.send(Frames.raw(0x83, []))
            let noise = Frames.text(NumberedCandle.message(peer.symbol, 2))
            while peer.send(noise) { _ = peer.nextFrame(timeoutMs: 2) }
        },
        HostileCase(name: "a reset instead of an answer to our close", outcome: .violation(1002, "a reserved opcode")) { peer, _ in
            peer.upgrade()
            peer.send(Frames.raw(0x83, []))
            peer.awaitClose()
            peer.reset()
        },
        HostileCase(name: "data after a close", outcome: .lost("close 1001 'bye'")) { peer, _ in
            peer.upgrade()
            peer.send(Frames.close(1001, Array("bye".utf8)) + Frames.text(NumberedCandle.message(peer.symbol, 1)))
            peer.awaitClose()
        },
        HostileCase(name: "a close without a code", outcome: .lost("close 1005")) { peer, _ in
            peer.upgrade()
            peer.send(Frames.close([]))
            peer.awaitClose()
        },
        HostileCase(name: "a close reason with control characters", outcome: .lost("close 4000 '?[2J??'")) { peer, _ in
            peer.upgrade()
            peer.send(Frames.close(4_000, Array("\u{1B}[2J\r\n".utf8)))
            peer.awaitClose()
        },
        HostileCase(name: "the end in mid-frame", outcome: .lost("without a close frame (1006)")) { peer, _ in
            peer.upgrade()
            peer.send(Array(Frames.text(NumberedCandle.message(peer.symbol, 1)).prefix(200)))
        },
        HostileCase(name: "a reset in mid-frame", outcome: .lost("Connection reset by peer")) { peer, _ in
            peer.upgrade()
            peer.send(Array(Frames.text(NumberedCandle.message(peer.symbol, 1)).prefix(200)))
            usleep(20_000)
            peer.reset()
        },
    ]

    /// Pings and pongs are legal; that many are not what they are for.
    static let floods: [HostileCase] = [
        // Answered may be the newest ping only (RFC 6455, 5.5.3), but that one must be.
        HostileCase(name: "a flood of pings", outcome: .lost("close 4001")) { peer, _ in
            peer.upgrade()
            let count = 150_000
            for start in stride(from: 0, to: count, by: 5_000) {
                guard peer.send((start..<start + 5_000).flatMap { Frames.raw(0x89, Array(String($0).utf8)) }) else { return }
            }
            let last = Array(String(count - 1).utf8)
            while let frame = peer.nextFrame(timeoutMs: 8_000) {
                if frame.opcode == 10 && frame.payload == last {
                    // A pong for each would have held up the reader's other connections.
                    peer.send(Frames.close(peer.attempt.frameCount < count / 2 ? 4_001 : 4_003))
                    peer.awaitClose()
                    return
                }
            }
        },
        HostileCase(name: "pings without end, pongs never read", outcome: .lost("cannot answer a ping")) { peer, _ in
            peer.upgrade()
            let pings = (0..<12).flatMap { _ in Frames.raw(0x89, filler(125)) }
            _ = comesTrue(within: 15, everyMicroseconds: 100) { !peer.send(pings) }
        },
        HostileCase(name: "a flood of pongs", outcome: .lost("close 4002")) { peer, _ in
            peer.upgrade()
            let pongs = (0..<5_000).flatMap { _ in Frames.raw(0x8A, text) }
            for _ in 0..<60 { guard peer.send(pongs) else { return } }
            peer.send(Frames.close(4_002))
            peer.awaitClose()
        },
    ]
}
