// A concrete driver for the benchmarks, inside the module: records of a candle's size through the ring, on one thread
// and between two.

import Glibc
import Synchronization

package enum RingBench {
    /// 320 bytes, five cache lines, as a candle has.
    private struct Record: BitwiseCopyable {
        var words = InlineArray<40, UInt64>(repeating: 0)

        /// One word of each line: what moving a record between two caches costs, and no more.
        @inline(__always)
        mutating func fill(_ value: UInt64) { for line in 0..<5 { words[line &* 8] = value } }

        @inline(__always)
        var sum: UInt64 { words[0] &+ words[8] &+ words[16] &+ words[24] &+ words[32] }
    }

    private static let capacity = 2_048

    /// One thread writes a batch and takes it out again. Returns its CPU nanoseconds.
    @inline(never)
    package static func ping(records: Int, batch: Int) -> UInt64 {
        let ring = SPSCRing<Record>(zeroed: capacity)
        var producer = SPSCRing<Record>.Producer(ring)
        var consumer = SPSCRing<Record>.Consumer(ring)
        var check: UInt64 = 0
        let startNs = ThreadClock.nowNs()
        for round in 0..<records / batch {
            produce(&producer, batch, from: UInt64(round &* batch))
            check &+= consume(&consumer)
        }
        let cpuNs = ThreadClock.nowNs() - startNs
        precondition(check != 0)
        return cpuNs
    }

    /// A producing thread and this one. Returns wall nanoseconds for all records; nil when a record was lost.
    @inline(never)
    package static func twoThreads(records: Int, batch: Int) throws -> UInt64? {
        let ring = SPSCRing<Record>(zeroed: capacity)
        var consumer = SPSCRing<Record>.Consumer(ring)
        let startNs = MonotonicClock.nowNs()
        let thread = try PinnedThread.start(name: "ring-bench") {
            var producer = SPSCRing<Record>.Producer(ring)
            var (made, idle) = (0, 0)
            while made < records {
                let count = min(batch, producer.room(), records - made)
                if count == 0 { wait(&idle) } else { produce(&producer, count, from: UInt64(made)) }
                made += count
            }
        }
        var (taken, idle) = (0, 0)
        var check: UInt64 = 0
        while taken < records {
            let count = consumer.available()
            if count == 0 { wait(&idle) } else { check &+= consume(&consumer) }
            taken += count
        }
        let wallNs = MonotonicClock.nowNs() - startNs
        thread.join()
        let expected = UInt64(records) * UInt64(records - 1) / 2 * 5
        return check == expected ? wallNs : nil
    }

    /// Spins; but where both threads share a core, the other one must get it.
    @inline(__always)
    private static func wait(_ idle: inout Int) {
        idle &+= 1
        if idle & 255 == 0 { sched_yield() } else { Cores.pause() }
    }

    @inline(__always)
    private static func produce(_ producer: inout SPSCRing<Record>.Producer, _ count: Int, from first: UInt64) {
        for index in 0..<count {
            producer.slot.value.fill(first &+ UInt64(index))
            producer.keep()
        }
        _ = producer.publish()
    }

    @inline(__always)
    private static func consume(_ consumer: inout SPSCRing<Record>.Consumer) -> UInt64 {
        var sum: UInt64 = 0
        let count = consumer.available()
        for index in 0..<count { sum &+= consumer.record(index).sum }
        consumer.free(count)
        return sum
    }
}
