// The ring against a plain array, and between two real threads.

import FastFeed
import TestKit
import Testing

struct SPSCRingTests {
    @Test(arguments: seeds) func singleThreadModel(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var complaints = Complaints()
        for capacity in [1, 2, 8, 64] {
            let ring = SPSCRing<UInt64>(zeroed: capacity)
            var producer = SPSCRing.Producer(ring)
            var consumer = SPSCRing.Consumer(ring)
            var (kept, published, freed): (UInt64, UInt64, UInt64) = (0, 0, 0)
            /// Of the records published and not freed.
            var stamps: [UInt32] = []
            for step in 0..<5_000 {
                switch random.below(3) {
                case 0:
                    let room = producer.room()
                    complaints.check(room <= capacity - Int(kept - freed), "room \(room) at \(step)")
                    // A full-looking ring must look again once it is more than half full.
                    if Int(kept - freed) > capacity / 2 {
                        complaints.check(room == capacity - Int(kept - freed), "stale room \(room) at \(step)")
                    }
                    for _ in 0..<(room == 0 ? 0 : random.below(room + 1)) {
                        producer.slot.value = kept &* 7
                        producer.keep()
                        kept += 1
                    }
                case 1:
                    let stamp = UInt32(truncatingIfNeeded: random.next())
                    complaints.check(producer.hasKept == (kept != published), "kept at \(step)")
                    complaints.check(producer.publish(stamp: stamp) == (kept != published), "publish at \(step)")
                    stamps += Array(repeating: stamp, count: Int(kept - published))
                    published = kept
                default:
                    let available = consumer.available()
                    complaints.check(
                        available <= Int(published - freed) && (available > 0) == (published > freed), "available \(available) at \(step)")
                    for offset in 0..<available {
                        complaints.check(consumer.record(offset).value == (freed + UInt64(offset)) &* 7, "record at \(step)")
                        complaints.check(consumer.stamp(offset) == stamps[offset], "stamp at \(step)")
                    }
                    let taken = available == 0 ? 0 : 1 + random.below(available)
                    if taken > 0 { consumer.free(taken) }
                    stamps.removeFirst(taken)
                    freed += UInt64(taken)
                }
                complaints.check(ring.count == Int(published - freed), "count at \(step)")
            }
        }
        #expect(complaints.isEmpty, "seed \(seed): \(complaints.summary)")
    }

    private struct Record: BitwiseCopyable {
        var number: UInt64 = 0
        var words: (UInt64, UInt64, UInt64) = (0, 0, 0)
    }

    /// Keeps and publishes in runs of random length, until the deadline at the latest: then nobody takes them any more.
    private static func startProducer(_ ring: SPSCRing<Record>, _ total: UInt64, untilNs deadlineNs: UInt64) throws -> PinnedThread {
        try PinnedThread.start(name: "producer") {
            var producer = SPSCRing.Producer(ring)
            var random = SplitMix64(seed: 5)
            var number: UInt64 = 0
            while number < total {
                let room = producer.room()
                if room == 0 {
                    guard MonotonicClock.nowNs() < deadlineNs else { return }
                    Cores.pause()
                    continue
                }
                for _ in 0..<1 + random.below(room) where number < total {
                    let hash = SplitMix64.mix(number)
                    producer.slot.value = Record(number: number, words: (hash, ~hash, hash &+ 1))
                    producer.keep()
                    number += 1
                }
                _ = producer.publish()
            }
        }
    }

    /// Five million records: each in order, each whole.
    @Test func twoThreads() throws {
        let total: UInt64 = 5_000_000
        let ring = SPSCRing<Record>(zeroed: 1_024)
        let deadlineNs = MonotonicClock.nowNs() + 60_000_000_000
        let produced = try SPSCRingTests.startProducer(ring, total, untilNs: deadlineNs)
        var consumer = SPSCRing.Consumer(ring)
        var expected: UInt64 = 0
        var wrong = 0
        var random = SplitMix64(seed: 6)
        while expected < total && MonotonicClock.nowNs() < deadlineNs {
            let available = consumer.available()
            if available == 0 {
                Cores.pause()
                continue
            }
            let taken = 1 + random.below(available)
            for offset in 0..<taken {
                let record = consumer.record(offset).value
                let hash = SplitMix64.mix(expected)
                if record.number != expected || record.words != (hash, ~hash, hash &+ 1) { wrong += 1 }
                expected += 1
            }
            consumer.free(taken)
        }
        produced.join()
        #expect(wrong == 0)
        #expect(expected == total)
        #expect(ring.count == 0)
    }
}
