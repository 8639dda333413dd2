// Klines cut, mutated and reordered, against the obvious second parser.

import FastFeed
import Foundation
import TestKit
import Testing

struct KlineFuzzTests {
    private let bench = ParserBench()

    @Test(arguments: seeds) func anyKeyOrder(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var complaints = Complaints()
        for _ in 0..<500 {
            var text = KlineText()
            text.bar.shuffle(using: &random)
            text.event.shuffle(using: &random)
            text.isCombined = random.chance(50)
            text.space = random.pick(["", " ", "\n\t"])
            complaints.check(bench.parse(text.text) == .kline(KlineText.expected), text.text)
        }
        #expect(complaints.isEmpty, "seed \(seed): \(complaints.summary)")
    }

    /// A cut frame is never a kline and never something else that is valid.
    @Test func truncationAtEveryByte() {
        var complaints = Complaints()
        for text in [KlineText(), KlineText().combined()] {
            let bytes = text.bytes
            for count in 0..<bytes.count {
                // Behind the cut stand the bytes that a receive buffer would really hold there, and friendlier ones.
                let rest = Array(bytes[count...].prefix(Limits.paddingBytes))
                for padding in [rest, [0], [UInt8(ascii: "}")], [UInt8(ascii: "\""), UInt8(ascii: "}")], [UInt8(ascii: " ")]] {
                    let verdict = bench.parse(Array(bytes[..<count]), padding: padding)
                    complaints.check(verdict == .rejected(.rejectedMalformed), "\(count) bytes, padding \(padding.prefix(4)): \(verdict)")
                }
            }
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }

    /// Messages of every length modulo the kernel's block: what stands behind the last byte must not matter.
    @Test func paddingDoesNotMatter() {
        var random = SplitMix64(seed: 21)
        var complaints = Complaints()
        let paddings: [[UInt8]] = [
            Array("0123456789".utf8), [UInt8(ascii: "\"")], [UInt8(ascii: "}")], [UInt8(ascii: "{")], [UInt8(ascii: "\\")], [0xFF],
            [0xE2, 0x82],
            [UInt8(ascii: ",")], [UInt8(ascii: " ")], [0x01],
        ]
        for length in 0..<130 {
            var text = KlineText()
            text.event.append(("z", "\"" + String(repeating: "x", count: length) + "\""))
            for bytes in [
                text.bytes, Array("[\(String(repeating: "1", count: length + 1))".utf8),
                Array((String(repeating: " ", count: length) + "1").utf8),
            ] {
                let plain = bench.parse(bytes)
                for padding in paddings + [random.bytes(64)] {
                    complaints.check(bench.parse(bytes, padding: padding) == plain, "length \(bytes.count), padding \(padding.prefix(4))")
                }
            }
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }

    private static let replacements: [UInt8] = [
        0x00, 0x09, 0x0A, 0x1F, 0x20, 0x22, 0x2B, 0x2C, 0x2D, 0x2E, 0x30, 0x31, 0x39, 0x3A, 0x45, 0x5B, 0x5C, 0x5D, 0x6F, 0x65, 0x74, 0x7B,
        0x7D,
        0x7F, 0x80, 0xC3, 0xED, 0xF5, 0xFF,
    ]

    /// Every byte of a frame replaced by every one of a set: same verdict and same values as the slow way.
    @Test func everySingleByteMutation() {
        var complaints = Complaints()
        var accepted = 0
        var spaced = KlineText().with("x", "true").combined()
        spaced.space = " "
        for text in [KlineText(), spaced] {
            let original = text.bytes
            for place in original.indices {
                for byte in KlineFuzzTests.replacements where byte != original[place] {
                    var bytes = original
                    bytes[place] = byte
                    let verdict = ReferenceVerdict(bench.parse(bytes))
                    if case .kline = verdict { accepted += 1 }
                    complaints.check(verdict == ReferenceVerdict.of(bytes), "byte \(place) becomes \(byte): \(verdict)")
                }
            }
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
        // Digits, spaces and unknown members may change without harm; if nothing did, the loop above compared nothing.
        #expect(accepted > 1_000)
    }

    /// Several mutations at once: bytes changed, removed, doubled, pieces of other frames spliced in.
    @Test(arguments: seeds) func manyMutations(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var complaints = Complaints()
        for round in 0..<5_000 {
            var text = KlineText()
            text.isCombined = random.chance(50)
            if random.chance(30) { text.bar.shuffle(using: &random) }
            var bytes = text.bytes
            for _ in 0..<1 + random.below(3) {
                let place = random.below(bytes.count)
                switch random.below(4) {
                case 0: bytes[place] = random.chance(70) ? random.pick(KlineFuzzTests.replacements) : random.byte()
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(bytes[random.below(bytes.count)], at: place)
                default:
                    let from = random.below(bytes.count)
                    bytes.insert(contentsOf: Array(bytes[from..<min(bytes.count, from + random.below(20))]), at: place)
                }
            }
            let verdict = ReferenceVerdict(bench.parse(bytes))
            complaints.check(
                verdict == ReferenceVerdict.of(bytes), "round \(round): \(verdict) for \(String(decoding: bytes, as: UTF8.self))")
        }
        #expect(complaints.isEmpty, "seed \(seed): \(complaints.summary)")
    }

    /// Our reference's idea of JSON against Foundation's. Foundation is laxer (it repairs encodings) and stricter (lone
    /// surrogates, exponents out of range), so only frames without such parts are compared.
    @Test func referenceAgreesWithFoundation() {
        var random = SplitMix64(seed: 5)
        var complaints = Complaints()
        let original = KlineText().combined().bytes
        for _ in 0..<4_000 {
            var bytes = original
            bytes[random.below(bytes.count)] = random.pick(KlineFuzzTests.replacements.filter { $0 | 0x20 != UInt8(ascii: "e") })
            guard String(validating: bytes, as: UTF8.self) != nil, !bytes.contains(0) else { continue }
            let isJSON = (try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)) != nil
            complaints.check(
                (ReferenceJSON.read(bytes) != nil) == isJSON, "Foundation says \(isJSON): \(String(decoding: bytes, as: UTF8.self))")
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }

    @Test(arguments: seeds) func rubbishNeverCrashes(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var complaints = Complaints()
        for _ in 0..<3_000 {
            let bytes =
                random.chance(50)
                ? random.bytes(random.below(300)) : (0..<random.below(200)).map { _ in random.pick(Array("{}[]\",:\\ 0-.etnk".utf8)) }
            complaints.check(ReferenceVerdict(bench.parse(bytes)) == ReferenceVerdict.of(bytes), "\(bytes)")
        }
        #expect(complaints.isEmpty, "seed \(seed): \(complaints.summary)")
    }

    /// Text that is not UTF-8 must be told apart from text that is only no JSON: it ends the connection.
    @Test func notUTF8() {
        for broken: [UInt8] in [[0xFF], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82], [0x80]] {
            for key in ["z", "s", "o", "i"] {
                var text = KlineText()
                text.bar.append(("z", "\"\""))
                let frame = text.with(key, "\"@\"").bytes
                let place = frame.firstIndex(of: UInt8(ascii: "@"))!
                #expect(
                    bench.parse(Array(frame[..<place]) + broken + Array(frame[(place + 1)...])) == .rejected(.rejectedNotUTF8),
                    "\(key) \(broken)")
            }
        }
    }

    /// Also when the message is broken in other ways: stage 1 reports an open string or a control character first.
    @Test func notUTF8AndNotJSON() {
        let text = KlineText().bytes
        for tail: [UInt8] in [[0x22], [0x22, 0x01, 0x22], [0x22, 0x0A, 0x22]] {
            let verdict = bench.parse(text + [0x22, 0xFF, 0x22] + tail)
            #expect(verdict == .rejected(.rejectedNotUTF8))
        }
    }
}
