// RFC 6455 frames by table: each stream is fed whole, byte by byte and in random pieces, and must mean the same.

import FastFeed
import TestKit
import Testing

struct FrameDecoderTests {
    private static var server: FrameDecoder.Options {
        var options = FrameDecoder.Options()
        options.role = .server
        return options
    }

    private func check(
        _ frames: [RawFrame], _ expected: [SeenEvent], options: FrameDecoder.Options = .init(), _ note: String = "",
        location: SourceLocation = #_sourceLocation
    ) {
        var random = SplitMix64(seed: 31)
        let (events, agree) = Decoding.everyWay(frames.flatMap(\.bytes), options: options, &random)
        #expect(events == expected, "\(note)", sourceLocation: location)
        #expect(agree, "\(note): the pieces matter", sourceLocation: location)
    }

    @Test func sizes() {
        for count in [0, 1, 2, 124, 125, 126, 127, 128, 1_000, 65_535, 65_536] {
            let payload = [UInt8](repeating: 0x61, count: count)
            check(
                [RawFrame(1, payload), RawFrame(2, payload)], [.message(isText: true, payload), .message(isText: false, payload)],
                "\(count) bytes")
        }
    }

    @Test func fragments() {
        let text = Array("fragmented ünïcödé text €".utf8)
        for pieces in [[1], [3, 5], [0, 10, 0], [11, 1, 1, 1], [24]] {
            var frames: [RawFrame] = []
            var from = 0
            for piece in pieces {
                frames.append(RawFrame(frames.isEmpty ? 1 : 0, Array(text[from..<from + piece]), isFinal: false))
                from += piece
            }
            frames.append(RawFrame(0, Array(text[from...])))
            check(frames, [.message(isText: true, text)], "\(pieces)")
        }
        check([RawFrame(2, [], isFinal: false), RawFrame(0, [])], [.message(isText: false, [])], "empty fragments")
    }

    /// Control frames between the fragments come out where they came in and leave the message alone.
    @Test func controlFramesInside() {
        check(
            [
                RawFrame(9, "before"), RawFrame(1, "one ", isFinal: false), RawFrame(9, "in 1"), RawFrame(10, []),
                RawFrame(0, "two ", isFinal: false),
                RawFrame(9, [UInt8](repeating: 0xFF, count: 125)), RawFrame(0, "three"), RawFrame(10, "after"), RawFrame(1, "next"),
            ],
            [
                .ping(Array("before".utf8)), .ping(Array("in 1".utf8)), .pong([]), .ping([UInt8](repeating: 0xFF, count: 125)),
                .message(isText: true, Array("one two three".utf8)), .pong(Array("after".utf8)), .message(isText: true, Array("next".utf8)),
            ])
        check(
            [RawFrame(1, "never ended", isFinal: false), RawFrame(8, [0x03, 0xE8]), RawFrame(0, "ignored")], [.close(1_000, [])],
            "a close inside a message")
    }

    @Test func closes() {
        check([RawFrame(8)], [.close(1_005, [])])
        for code: UInt16 in [
            1_000, 1_001, 1_002, 1_003, 1_007, 1_008, 1_009, 1_010, 1_011, 1_012, 1_013, 1_014, 3_000, 3_999, 4_000, 4_999,
        ] {
            let bytes = [UInt8(code >> 8), UInt8(code & 0xFF)]
            check([RawFrame(8, bytes + Array("bye €".utf8)), RawFrame(1, "late")], [.close(code, Array("bye €".utf8))], "\(code)")
        }
        for code: UInt16 in [0, 1, 999, 1_004, 1_005, 1_006, 1_015, 1_016, 1_100, 2_000, 2_999, 5_000, 65_535] {
            check([RawFrame(8, [UInt8(code >> 8), UInt8(code & 0xFF)])], [.violation(1_002)], "\(code)")
        }
        check([RawFrame(8, [0x03])], [.violation(1_002)], "half a code")
        check([RawFrame(8, [0x03, 0xE8, 0xFF])], [.violation(1_007)], "reason is not UTF-8")
        check([RawFrame(8, [0x03, 0xE8, 0xE2, 0x82])], [.violation(1_007)], "reason ends inside a character")
        check([RawFrame(8, [0x03, 0xE8] + [UInt8](repeating: 0x61, count: 123))], [.close(1_000, [UInt8](repeating: 0x61, count: 123))])
    }

    /// Every broken rule, after a good message, which must have come out before.
    @Test func violations() {
        let good = RawFrame(1, "good")
        let first = SeenEvent.message(isText: true, Array("good".utf8))
        let start = RawFrame(1, "a", isFinal: false)
        var cases: [(String, [RawFrame])] = []
        for bits: UInt8 in 1...7 {
            cases.append(("reserved bits \(bits)", [good.changed { $0.reserved = bits }]))
            cases.append(("reserved bits \(bits) of a ping", [RawFrame(9).changed { $0.reserved = bits }]))
        }
        for opcode: UInt8 in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            cases.append(("opcode \(opcode)", [RawFrame(opcode)]))
            cases.append(("opcode \(opcode) inside", [start, RawFrame(opcode)]))
        }
        for opcode: UInt8 in [0, 1, 2, 8, 9, 10] { cases.append(("masked \(opcode)", [RawFrame(opcode, "abcd", mask: 0x0102_0304)])) }
        cases.append(("masked with zero", [RawFrame(1, "abcd", mask: 0)]))
        for opcode: UInt8 in [8, 9, 10] {
            cases.append(("fragmented \(opcode)", [RawFrame(opcode, [], isFinal: false)]))
            cases.append(("long \(opcode)", [RawFrame(opcode, [UInt8](repeating: 0x61, count: 126))]))
            cases.append(("long \(opcode) in 8 bytes", [RawFrame(opcode, "a").changed { $0.lengthBytes = 8 }]))
            cases.append(("long form \(opcode)", [RawFrame(opcode, "a").changed { $0.lengthBytes = 2 }]))
        }
        for count: UInt64 in [0, 1, 125] {
            cases.append(("16 bits for \(count)", [good.changed { ($0.announced, $0.lengthBytes, $0.payload) = (count, 2, []) }]))
        }
        for count: UInt64 in [0, 125, 126, 65_535] {
            cases.append(("64 bits for \(count)", [good.changed { ($0.announced, $0.lengthBytes, $0.payload) = (count, 8, []) }]))
        }
        for count: UInt64 in [1 << 63, .max] { cases.append(("2^63", [good.changed { ($0.announced, $0.lengthBytes) = (count, 8) }])) }
        cases.append(("a continuation without a start", [RawFrame(0, "a")]))
        cases.append(("a continuation without a start, not final", [RawFrame(0, "a", isFinal: false)]))
        cases.append(("a continuation after the end", [start, RawFrame(0, "b"), RawFrame(0, "c")]))
        cases.append(("text inside a message", [start, RawFrame(1, "b")]))
        cases.append(("binary inside a message", [start, RawFrame(2, "b", isFinal: false)]))
        for (note, frames) in cases {
            // The last frame breaks the rule; what stands before it may be a whole message.
            let before = frames.count == 3 ? [first, .message(isText: true, Array("ab".utf8))] : [first]
            check([good] + frames + [good], before + [.violation(1_002)], note)
        }
    }

    /// A violation is told as soon as the header shows it: no byte of the payload is waited for.
    @Test func violationsNeedNoPayload() {
        for frame in [
            RawFrame(3), RawFrame(1, "a", mask: 5), RawFrame(0), RawFrame(9, [], isFinal: false),
            RawFrame(9).changed { $0.lengthBytes = 2 },
        ] {
            #expect(Decoding.events(Array(frame.bytes.prefix(2))) == [.violation(1_002)])
        }
    }

    @Test func limits() {
        var options = FrameDecoder.Options()
        options.messageBytesMax = 1_000
        options.fragmentCountMax = 10
        let full = [UInt8](repeating: 0x61, count: 1_000)
        check([RawFrame(1, full), RawFrame(2, full)], [.message(isText: true, full), .message(isText: false, full)], options: options)
        check([RawFrame(1, full + [0x61])], [.violation(1_009)], options: options, "one too many")
        check(
            [RawFrame(1, full, isFinal: false), RawFrame(0, [0x61])], [.violation(1_009)], options: options, "one too many in a fragment")
        check([RawFrame(1, full, isFinal: false), RawFrame(0)], [.message(isText: true, full)], options: options, "an empty end")
        let fragments = [RawFrame(1, "a", isFinal: false)] + [RawFrame](repeating: RawFrame(0, "b", isFinal: false), count: 8)
        check(fragments + [RawFrame(0, "c")], [.message(isText: true, Array("abbbbbbbbc".utf8))], options: options, "ten fragments")
        check(fragments + [RawFrame(0, "c", isFinal: false), RawFrame(0, "d")], [.violation(1_008)], options: options, "eleven fragments")
        // The count begins anew with each message, and control frames are none.
        check(
            fragments + [RawFrame(9), RawFrame(0, "c")] + fragments + [RawFrame(0, "c")],
            [.ping([]), .message(isText: true, Array("abbbbbbbbc".utf8)), .message(isText: true, Array("abbbbbbbbc".utf8))],
            options: options)
    }

    @Test func serverRole() {
        var random = SplitMix64(seed: 32)
        let payload = random.bytes(3_000)
        var frames: [RawFrame] = []
        var expected: [SeenEvent] = []
        for mask: UInt32 in [0, 1, 0xFF00_00FF, 0xDEAD_BEEF, .max] {
            for count in [0, 1, 3, 4, 5, 7, 8, 9, 125, 126, 3_000] {
                frames.append(RawFrame(2, Array(payload[..<count]), mask: mask))
                expected.append(.message(isText: false, Array(payload[..<count])))
            }
            frames += [
                RawFrame(2, Array(payload[..<7]), isFinal: false, mask: mask), RawFrame(9, "ping", mask: ~mask),
                RawFrame(0, Array(payload[7..<20]), mask: mask &+ 1),
            ]
            expected += [.ping(Array("ping".utf8)), .message(isText: false, Array(payload[..<20]))]
        }
        check(frames, expected, options: FrameDecoderTests.server)
        check(
            [RawFrame(1, "a", mask: 1), RawFrame(1, "b")], [.message(isText: true, [0x61]), .violation(1_002)],
            options: FrameDecoderTests.server, "unmasked")
    }

    /// A peer that announces a terabyte and sends some of it makes us keep what came, not what was announced.
    @Test(.enabled(if: HeapStatistics.threadAllocatedBytes() != nil, "malloc is not jemalloc's: nothing to read"))
    func announcementsAllocateNothing() throws {
        let terabyte = RawFrame(2).changed { ($0.announced, $0.lengthBytes) = (1 << 40, 8) }.bytes
        #expect(Decoding.events(terabyte) == [.violation(1_009)])
        var options = FrameDecoder.Options()
        options.messageBytesMax = 1 << 41
        var decoder = FrameDecoder(options)
        var bytes = terabyte + [UInt8](repeating: 7, count: 1_000)
        let before = try #require(HeapStatistics.threadAllocatedBytes())
        let isWaiting = bytes.withUnsafeMutableBytes { raw in
            decoder.supply(raw.baseAddress!, count: raw.count)
            if case .needMore = decoder.takeEvent() { return true }
            return false
        }
        let allocated = try #require(HeapStatistics.threadAllocatedBytes()) - before
        #expect(isWaiting)
        // The Swift runtime may take a page of 16 KiB for its own metadata in between.
        #expect(allocated < 65_536)
    }
}
