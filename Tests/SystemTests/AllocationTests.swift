// The hot path allocates nothing: jemalloc's own per-thread count, over the whole engine under load.

import FastFeed
import Testing
import VenueSimulator

@Suite(.serialized, .disabled(if: Sanitizer.isOn, "the allocator is the sanitizer's, which counts nothing by thread"))
struct AllocationTests {
    @Test(arguments: [ThreadingMode.shared, .dedicated])
    func steadyStateAllocatesNothing(_ threading: ThreadingMode) throws {
        var options = Rig.Options()
        options.simulator.symbolCount = 200
        options.simulator.pace = .realTime(speed: 4)
        options.simulator.pushPeriodMs = 100
        // What happens now and then belongs to the steady state: pings, and messages that a read has cut.
        options.simulator.pingIntervalMs = 1_000
        options.threading = threading
        let rig = try Rig(options)
        // Warm: every series known, every buffer at its size, several closes of every interval seen.
        rig.wait(seconds: 60, "warm-up") { rig.counters[.closedWritten] > 4_000 && rig.counters[.messagesReceived] > 40_000 }
        let before = rig.engine.snapshot()
        rig.wait(seconds: 60, "100,000 more frames") { rig.counters[.messagesReceived] > before.counters[.messagesReceived] + 100_000 }
        let after = rig.engine.snapshot()
        let bytesBefore = try #require(before.dataThreadsAllocatedBytes, "jemalloc must be linked")
        #expect(bytesBefore > 0, "jemalloc must be the allocator")
        let bytes = try #require(after.dataThreadsAllocatedBytes) - bytesBefore
        let frames = after.counters[.messagesReceived] - before.counters[.messagesReceived]
        let changed = CounterID.allCases.filter { after.counters[$0] != before.counters[$0] }
            .map { "\($0.name) +\(after.counters[$0] &- before.counters[$0])" }
        #expect(bytes == 0, "\(bytes) bytes allocated over \(frames) frames; \(changed.joined(separator: ", "))")
        #expect(after.counters[.closedWritten] > before.counters[.closedWritten])
        _ = rig.finish()
        try rig.expectTruth()
    }
}
