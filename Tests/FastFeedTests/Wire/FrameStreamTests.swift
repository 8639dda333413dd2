// Random streams of frames, UTF-8 across every seam, and our encoder read back by our decoder.

import FastFeed
import TestKit
import Testing

struct FrameStreamTests {
    /// Honest traffic with an occasional wrong byte: however it is cut, the decoder sees the same.
    @Test(arguments: seeds) func piecesNeverMatter(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var complaints = Complaints()
        for round in 0..<150 {
            var options = FrameDecoder.Options()
            options.role = random.chance(50) ? .server : .client
            options.checksTextInPlace = random.chance(50)
            options.messageBytesMax = 4_096
            var frames: [RawFrame] = []
            var isOpen = false
            for _ in 0..<1 + random.below(12) {
                let mask: UInt32? = options.role == .server ? UInt32(truncatingIfNeeded: random.next()) : nil
                if random.chance(25) {
                    frames.append(RawFrame(random.pick([9, 10]), random.bytes(random.below(126)), mask: mask))
                    continue
                }
                let isFinal = random.chance(60)
                let text = String((0..<random.below(300)).map { _ in random.pick(Array("abc€𝄞é{}\"")) })
                frames.append(RawFrame(isOpen ? 0 : random.pick([1, 2]), text, isFinal: isFinal, mask: mask))
                isOpen = !isFinal
            }
            var stream = frames.flatMap(\.bytes)
            let isDamaged = random.chance(40)
            if isDamaged { stream[random.below(stream.count)] ^= UInt8(1 << random.below(8)) }
            // Where the consumer checks whole texts itself, a damaged text is told earlier or later by how it is cut.
            if isDamaged { options.checksTextInPlace = true }
            let (events, agree) = Decoding.everyWay(stream, options: options, &random)
            complaints.check(agree, "round \(round): \(events)")
            if !isDamaged {
                complaints.check(!events.contains { if case .violation = $0 { true } else { false } }, "round \(round): \(events)")
            }
        }
        #expect(complaints.isEmpty, "seed \(seed): \(complaints.summary)")
    }

    @Test(arguments: seeds) func rubbishNeverCrashes(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<2_000 {
            var options = FrameDecoder.Options()
            options.role = random.chance(50) ? .server : .client
            _ = Decoding.events(random.bytes(random.below(400)), pieces: random.pieces(of: 400, longest: 60), options: options)
        }
    }

    /// Bytes of a text until the decoder gives up: it must be at the first byte that cannot continue a valid text, whether
    /// that is in a first frame, in a fragment, or at the seam of two pieces.
    @Test func badTextFailsAtOnce() {
        let bad: [(prefix: String, broken: [UInt8], at: Int)] = [
            ("", [0xFF], 0), ("abc", [0x80], 0), ("κόσμε", [0xED, 0xA0, 0x80], 1), ("a", [0xC0, 0xAF], 0),
            ("12345678", [0xE0, 0x80, 0x80], 1),
            ("a€", [0xF4, 0x90, 0x80, 0x80], 1), ("", [0xF5], 0), ("x", [0xE2, 0x82, 0x41], 2), ("", [0xF0, 0x80], 1),
            ("y", [0xC3, 0x28], 1),
        ]
        for (prefix, broken, at) in bad {
            let text = Array(prefix.utf8) + broken
            let failing = prefix.utf8.count + at
            for split in 0...text.count {
                let head = RawFrame(1, Array(text[..<split]), isFinal: false)
                let tail = RawFrame(0, Array(text[split...]), isFinal: false).changed { $0.announced = UInt64(text.count - split + 50) }
                let stream = head.bytes + tail.bytes
                var decoder = FrameDecoder()
                var taken = 0
                for byte in stream {
                    var events: [SeenEvent] = []
                    Decoding.take([byte], &decoder, &events)
                    taken += 1
                    if events.isEmpty { continue }
                    #expect(events == [.violation(1_007)])
                    break
                }
                // Two bytes of header before the first fragment, two more before the second.
                #expect(taken == failing + 1 + (failing < split ? 2 : 4), "\(prefix) \(broken) split at \(split)")
            }
        }
    }

    @Test func textsThatEndInsideACharacter() {
        for cut: [UInt8] in [[0xC3], [0xE2, 0x82], [0xF0, 0x9F, 0x98]] {
            #expect(Decoding.events(RawFrame(1, cut).bytes) == [.violation(1_007)])
            #expect(Decoding.events(RawFrame(1, cut, isFinal: false).bytes + RawFrame(0).bytes) == [.violation(1_007)])
            // Binary is not text.
            #expect(Decoding.events(RawFrame(2, cut).bytes) == [.message(isText: false, cut)])
        }
    }

    @Test func whoeverParsesMayCheckTheText() {
        var options = FrameDecoder.Options()
        options.checksTextInPlace = false
        #expect(Decoding.events(RawFrame(1, [0xFF]).bytes, options: options) == [.message(isText: true, [0xFF])])
    }

    @Test func midMessage() {
        var decoder = FrameDecoder()
        var events: [SeenEvent] = []
        var seen: [Bool] = [decoder.isMidMessage]
        for bytes in [[0x81], [0x01, 0x61], RawFrame(1, "a", isFinal: false).bytes, RawFrame(0, "b").bytes] {
            Decoding.take(bytes, &decoder, &events)
            seen.append(decoder.isMidMessage)
        }
        #expect(seen == [false, true, false, true, false] && events.count == 2)
    }

    @Test(arguments: [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000]) func encoderRoundTrip(_ count: Int) {
        var random = SplitMix64(seed: UInt64(count))
        let payload = random.bytes(count)
        var options = FrameDecoder.Options()
        options.role = .server
        options.messageBytesMax = 1_000_000
        for mask: UInt32 in [0, 0x0102_0304, FrameEncoder.freshMask()] {
            let frame = FrameEncoder.frame(.binary, payload.span, mask: mask)
            #expect(frame == RawFrame(2, payload, mask: mask).bytes)
            #expect(Decoding.events(frame, pieces: [1, 1, 5, 3, 1_000], options: options) == [.message(isText: false, payload)])
        }
        options.role = .client
        let frame = FrameEncoder.frame(.binary, payload.span, mask: nil)
        #expect(Decoding.events(frame, options: options) == [.message(isText: false, payload)])
    }

    @Test func closePayloads() {
        #expect(FrameEncoder.closePayload(code: 1_005) == [])
        #expect(FrameEncoder.closePayload(code: 1_000) == [0x03, 0xE8])
        #expect(FrameEncoder.closePayload(code: 1_001, reason: "bye") == [0x03, 0xE9] + Array("bye".utf8))
        #expect(FrameEncoder.closePayload(code: 1_000, reason: String(repeating: "a", count: 500)).count == 125)
    }

    /// Masks of client frames are unpredictable; at least they must not repeat (RFC 6455, 5.3).
    @Test func masksDiffer() {
        let masks = (0..<10_000).map { _ in FrameEncoder.freshMask() }
        #expect(Set(masks).count > 9_980)
        for byte in 0..<4 {
            var counts = [Int](repeating: 0, count: 256)
            for mask in masks { counts[Int(mask >> UInt32(8 * byte) & 0xFF)] += 1 }
            // 39 expected each; ten standard deviations away is no chance.
            #expect(counts.max()! < 110 && counts.min()! > 2)
        }
    }
}
