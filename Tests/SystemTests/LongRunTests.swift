// The load the engine promises to hold, for as long as FASTFEED_LONG_RUN_SECONDS says (default 15).

import FastFeed
import Foundation
import Testing
import VenueSimulator

@Suite(.serialized, .disabled(if: Sanitizer.isOn, "a load that the product holds, and a sanitizer does not"))
struct LongRunTests {
    @Test func holds500SymbolsAt4IntervalsAnd20000FramesPerSecond() throws {
        let seconds = ProcessInfo.processInfo.environment["FASTFEED_LONG_RUN_SECONDS"].flatMap(Double.init) ?? 15
        var options = Rig.Options()
        options.simulator.symbolCount = 500
        options.simulator.pace = .realTime(speed: 1)
        options.simulator.pushPeriodMs = 100
        options.simulator.truthCandlesMax = 4_000_000
        options.intervals = [.s1, .m1, .m5, .h1]
        let rig = try Rig(options)
        rig.wait(seconds: 60, "all live") { rig.counters[.connectionsLive] == 2 }
        let before = rig.engine.snapshot()
        Thread.sleep(forTimeInterval: seconds)
        let after = rig.engine.snapshot()
        let elapsed = Double(after.uptimeNs - before.uptimeNs) / 1e9
        let rate = Double(after.counters[.messagesReceived] - before.counters[.messagesReceived]) / elapsed
        let latency = after.latency - before.latency
        func ms(_ share: Double) -> Double { Double(latency.quantile(share) ?? 0) / 1e6 }
        print(
            String(
                format: "long run: %.0f s, %.0f frames/s, socket to ack p50 %.3f p99 %.3f p99.9 %.3f ms, RSS %.1f MB", elapsed, rate,
                ms(0.5), ms(0.99),
                ms(0.999), Double(after.residentBytes) / 1e6))
        #expect(rate > 18_000, "the load was not there: \(rate) frames/s")
        let report = rig.finish()
        #expect(report.isClean)
        try rig.expectTruth()
        try rig.expectLatest()
        let c = rig.counters
        #expect(c[.gapsSeen] == 0 && c.rejected == 0 && c[.closedQueueOverflow] == 0 && c[.connectionsClosed] <= 2)
    }
}
