// The hash table of series against a dictionary.

import FastFeed
import TestKit
import Testing

struct SeriesIndexTests {
    private struct Key: Hashable {
        let symbol: Symbol
        let interval: Interval
    }

    /// Looked up as the exchange writes it, with rubbish behind the name: 32 bytes are read whatever the length.
    private func find(_ index: borrowing SeriesIndex, _ name: String, _ interval: Interval, behind: UInt8 = 0x5A) -> SeriesHandle? {
        let bytes = Array(name.utf8) + [UInt8](repeating: behind, count: 32)
        return bytes.withUnsafeBytes {
            index.find(symbol: PaddedBytes(start: $0.baseAddress!, count: name.utf8.count), interval: interval.rawValue)
        }
    }

    private func symbols(_ count: Int, _ random: inout SplitMix64) -> [Symbol] {
        var found: Set<Symbol> = []
        let alphabet = Array("abcdefghijklmnopqrstuvwxyz0123456789_")
        while found.count < count {
            let length = random.chance(20) ? 32 : 1 + random.below(31)
            let name = String((0..<length).map { _ in random.pick(alphabet) })
            found.insert(Symbol(name)!)
            // Pairs of which one is the other's beginning, and pairs that differ in the last byte alone.
            if length < 32 { found.insert(Symbol(name + "a")!) }
            found.insert(Symbol(String(name.dropLast() + "b"))!)
        }
        return found.sorted()
    }

    @Test(arguments: seeds) func agreesWithADictionary(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var index = SeriesIndex()
        var model: [Key: SeriesHandle] = [:]
        let names = symbols(400, &random)
        let intervals: [Interval] = [.s1, .m1, .h1, .month1]
        var complaints = Complaints()
        for step in 0..<20_000 {
            let key = Key(symbol: random.pick(names), interval: random.pick(intervals))
            // Grows through several doublings, then shrinks, then grows again.
            let adds = (step / 4_000) % 2 == 0 ? 70 : 25
            if random.chance(adds) {
                let handle = SeriesHandle(id: UInt32(step), generation: UInt16(truncatingIfNeeded: step))
                index.set(key.symbol, key.interval, handle)
                model[key] = handle
            } else {
                index.remove(key.symbol, key.interval)
                model[key] = nil
            }
            let probe = Key(symbol: random.pick(names), interval: random.pick(intervals))
            complaints.check(find(index, probe.symbol.upperCased, probe.interval, behind: random.byte()) == model[probe], "step \(step)")
            complaints.check(index.count == model.count, "count at step \(step)")
        }
        for name in names {
            for interval in intervals {
                complaints.check(
                    find(index, name.upperCased, interval) == model[Key(symbol: name, interval: interval)], "\(name) at the end")
            }
        }
        #expect(complaints.isEmpty, "seed \(seed): \(complaints.summary)")
    }

    @Test func namesThatAreNot() {
        var index = SeriesIndex()
        let handle = SeriesHandle(id: 7, generation: 1)
        index.set(Symbol("btcusdt")!, .m1, handle)
        #expect(find(index, "BTCUSDT", .m1) == handle)
        // (A NUL behind the name would match the zero padding; stage 1 of the JSON parser lets none pass inside a string.)
        for name in ["btcusdt", "BTCUSD", "BTCUSDTT", "BTCUSDT\u{1}", "", String(repeating: "B", count: 33), "XBTCUSDT"] {
            #expect(find(index, name, .m1) == nil, "\(name)")
        }
        #expect(find(index, "BTCUSDT", .month1) == nil)
        index.remove(Symbol("ethusdt")!, .m1)
        #expect(index.count == 1)
    }
}
