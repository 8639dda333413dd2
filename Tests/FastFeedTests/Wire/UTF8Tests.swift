// The streaming validator against the standard library: every sequence of one to three bytes, random ones of four, cut
// at every place.

import FastFeed
import TestKit
import Testing

struct UTF8Tests {
    private func standard(_ bytes: [UInt8]) -> Bool { String(validating: bytes, as: UTF8.self) != nil }
    private func ours(_ bytes: [UInt8]) -> Bool { UTF8Validator.isValid(bytes.span) }

    private func inPieces(_ bytes: [UInt8], cut: Int) -> Bool {
        var validator = UTF8Validator()
        return validator.accept(bytes.span.extracting(..<cut)) && validator.accept(bytes.span.extracting(cut...)) && validator.isComplete
    }

    @Test func everySequenceUpToThreeBytes() {
        var complaints = Complaints()
        for a in 0...255 {
            complaints.check(ours([UInt8(a)]) == standard([UInt8(a)]), "\(a)")
            for b in 0...255 {
                let two = [UInt8(a), UInt8(b)]
                complaints.check(ours(two) == standard(two), "\(two)")
                // Three bytes in full where the first can begin a character of three; elsewhere the last byte's classes.
                let isLead = (0xE0...0xEF).contains(a)
                for c in 0...255 where isLead || c == 0x41 || (a >= 0xC0 && (c & 0x0F == 0 || c & 0x0F == 0x0F)) {
                    let three = [UInt8(a), UInt8(b), UInt8(c)]
                    complaints.check(ours(three) == standard(three), "\(three)")
                }
            }
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }

    @Test(arguments: seeds) func fourBytesAndMore(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var complaints = Complaints()
        let borders: [UInt8] = [
            0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1,
            0xF3, 0xF4, 0xF5, 0xFF,
        ]
        for _ in 0..<100_000 {
            var bytes = (0..<4).map { _ in random.chance(50) ? random.pick(borders) : random.byte() }
            if random.chance(50) { (bytes[0], bytes[1]) = (0xF0 + UInt8(random.below(5)), 0x80 + UInt8(random.below(64))) }
            if random.chance(20) {
                bytes = [UInt8](repeating: 0x61, count: random.below(20)) + bytes + [UInt8](repeating: 0x62, count: random.below(20))
            }
            let expected = standard(bytes)
            complaints.check(ours(bytes) == expected, "\(bytes)")
            complaints.check(inPieces(bytes, cut: random.below(bytes.count + 1)) == expected, "\(bytes) in pieces")
        }
        #expect(complaints.isEmpty, "seed \(seed): \(complaints.summary)")
    }

    @Test func everyScalar() {
        var complaints = Complaints()
        for value in UInt32(0)...0x10FFFF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let bytes = Array(UTF8.encode(scalar)!)
            complaints.check(ours(bytes), "U+\(String(value, radix: 16))")
            if bytes.count > 1 { complaints.check(!ours(Array(bytes.dropLast())), "U+\(String(value, radix: 16)) cut") }
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }
}
