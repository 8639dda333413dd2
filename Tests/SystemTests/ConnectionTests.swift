// Connections that end, by plan or not, while others carry the same streams: nothing is missing, nothing is there twice.

import FastFeed
import TestKit
import Testing
import VenueSimulator

@Suite(.serialized)
struct ConnectionTests {
    private func rig(_ adjust: (inout Rig.Options) -> Void) throws -> Rig {
        var options = Rig.Options()
        options.simulator.symbolCount = 60
        options.simulator.pace = .realTime(speed: 10)
        options.intervals = [.s1]
        options.readerCount = 2
        adjust(&options)
        return try Rig(options)
    }

    /// Between the first and the last candle of each series there is every one, whatever of it went out.
    private func expectWhole(_ rig: Rig) throws {
        let report = rig.finish()
        #expect(report.isClean, "left: \(report)")
        try rig.expectTruth()
        #expect(!(try rig.checkTruth().absent.contains { $0.place == .between }))
        let counters = rig.counters
        #expect(counters[.gapCandlesMissing] == counters[.gapCandlesFilled] && rig.engine.openGaps.isEmpty)
    }

    /// Six connections of two readers, each at least twice.
    @Test(arguments: [ThreadingMode.shared, .dedicated])
    func theOldAreReplacedOneAfterTheOther(threading: ThreadingMode) throws {
        let rig = try rig {
            $0.threading = threading
            $0.adjust = {
                $0.streamsPerConnectionMax = 10
                $0.connectionLifetime = .seconds(10)
            }
        }
        rig.wait(seconds: 60, "12 replaced") { rig.counters[.rollovers] >= 12 }
        #expect(rig.counters[.reconnects] == 0 && (0..<6).allSatisfy { rig.engine.connections[$0] != nil })
        // Each begins where the one before it has ended.
        let steps = rig.engine.drainJournal().map(\.message).filter {
            $0.hasPrefix("replacing a connection") || $0 == "connection replaced"
        }
        for (place, step) in steps.enumerated() { #expect((step == "connection replaced") == (place % 2 == 1), "\(place): \(step)") }
        #expect(steps.count >= 24)
        try expectWhole(rig)
    }

    /// The exchange cuts one of two connections again and again.
    @Test(arguments: [(1, ThreadingMode.shared), (2, .shared), (2, .dedicated)])
    func aCutOfOneOfTwoCostsNothing(readers: Int, threading: ThreadingMode) throws {
        let rig = try rig {
            ($0.readerCount, $0.threading) = (readers, threading)
            $0.adjust = { $0.redundancy = 2 }
        }
        for _ in 0..<8 {
            rig.wait(seconds: 30, "both live") { rig.counters[.connectionsLive] == 2 }
            let before = rig.counters[.connectionsClosed]
            // The older one.
            rig.venue.inject(Fault(.drop))
            rig.wait(seconds: 20, "the cut noticed") { rig.counters[.connectionsClosed] > before }
        }
        let target = rig.counters[.closedWritten] + 300
        rig.wait(seconds: 60, "more candles, and both bring them") {
            rig.counters[.closedWritten] >= target && rig.counters[.connectionsLive] == 2 && rig.counters[.duplicates] > 0
        }
        #expect(rig.counters[.reconnects] >= 8)
        try expectWhole(rig)
    }

    /// Nobody listens at the second host; the first has all streams.
    @Test func aHostThatIsAwayCostsNothing() throws {
        let rig = try rig {
            $0.adjust = {
                $0.redundancy = 2
                $0.venues.append(WebSocketEndpoint(isSecure: false, host: "127.0.0.1", port: 1))
            }
        }
        rig.wait(seconds: 60, "candles") { rig.counters[.closedWritten] >= 600 && rig.counters[.connectFailures] >= 2 }
        #expect(rig.counters[.connectionsLive] == 1 && rig.engine.connections[0] != nil && rig.engine.connections[1] == nil)
        try expectWhole(rig)
    }
}
