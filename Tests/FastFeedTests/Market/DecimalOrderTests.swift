// Decimal texts in the order of their values.

import FastFeed
import TestKit
import Testing

struct DecimalOrderTests {
    private func isLess(_ a: String, _ b: String) -> Bool {
        DecimalText(a)!.orderKey.lexicographicallyPrecedes(DecimalText(b)!.orderKey)
    }

    @Test func exactly() {
        let ascending = [
            "-1000000000000000000000.5", "-10", "-9.51", "-9.5", "-0.1", "-0.0001", "0", "0.00000001", "0.1",
            "0.10000000000000000000000001",
            "0.2", "1", "9.5", "10", "99.99999999", "100", "9007199254740992.1", "9007199254740992.2", "9007199254740993",
        ]
        for (index, text) in ascending.enumerated() {
            for other in ascending[(index + 1)...] { #expect(isLess(text, other) && !isLess(other, text), "\(text) \(other)") }
        }
        for (a, b) in [("1", "1.0"), ("001.50", "1.5"), ("-0", "0.000"), ("-2.0", "-2")] {
            #expect(DecimalText(a)!.orderKey == DecimalText(b)!.orderKey, "\(a) \(b)")
        }
    }

    @Test(arguments: seeds) func asIntegersDo(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        func text(_ thousandths: Int) -> String {
            let rest = thousandths.magnitude % 1_000
            return "\(thousandths < 0 ? "-" : "")\(thousandths.magnitude / 1_000).\(rest < 10 ? "00" : rest < 100 ? "0" : "")\(rest)"
        }
        for _ in 0..<2_000 {
            let (a, b) = (random.below(4_000_000) - 2_000_000, random.below(4_000) - 2_000)
            #expect(isLess(text(a), text(b)) == (a < b), "seed \(seed): \(a) \(b)")
        }
    }
}
