// The open loop: frames at their instants whatever happens, evenly over the streams, and stamps that say so.

import FastFeed
import Foundation
import Testing
import VenueSimulator

@Suite(.serialized)
struct OpenLoopTests {
    @Test func everyFrameHasItsInstant() {
        var schedule = OpenLoopSchedule(framesPerSecond: 3)
        #expect(schedule.nextDueNs == .max)
        #expect(schedule.takeDue(nowNs: 1_000) == 1_000)
        #expect(schedule.takeDue(nowNs: 333_334_332) == nil)
        #expect(schedule.takeDue(nowNs: 333_334_333) == 333_334_333)
        // A stall: all that was due comes at once, each frame with its own instant.
        let late = (0..<5).map { _ in schedule.takeDue(nowNs: 2_000_001_000) }
        #expect(late == [666_667_666, 1_000_001_000, 1_333_334_333, 1_666_667_666, 2_000_001_000])
        #expect(schedule.takeDue(nowNs: 2_000_001_000) == nil)
        #expect(schedule.nextDueNs == 2_333_334_333)
    }

    @Test func theRateIsKeptForAYear() {
        var schedule = OpenLoopSchedule(framesPerSecond: 7)
        for second in 0..<1_000 as Range<UInt64> {
            #expect(schedule.takeDue(nowNs: .max / 2 + second * 1_000_000_000) == .max / 2 + second * 1_000_000_000)
            for _ in 0..<6 { #expect(schedule.takeDue(nowNs: .max) != nil) }
        }
    }

    @Test func streamsTakeTurnsAndTheTruthHasTheStamps() throws {
        var configuration = testConfiguration()
        configuration.pace = .openLoop(framesPerSecond: 100)
        configuration.closeDelayMs = 0...0
        configuration.stampsTrades = true
        try configuration.validate()
        var engine = PushEngine(configuration: configuration, startMs: testStartMs)
        for name in ["btcusdt@kline_1m", "ethusdt@kline_1m", "sim0001usdt@kline_1s", "sim0002usdt@kline_1m"] {
            let known = engine.streamIndex(ofName: name)
            engine.subscribe(try #require(known), in: .millisecond)
        }
        var sink = CollectingSink()
        let startNs: UInt64 = 5_000_000_000
        let frames = 12_000
        for frame in 0..<frames as Range<Int> {
            let dueNs = startNs + UInt64(frame) * 10_000_000
            _ = engine.run(untilMs: testStartMs + Int64(frame) * 10, eventsMax: .max, into: &sink)
            engine.sayNextTurn(dueNs: dueNs, into: &sink)
        }
        #expect(sink.entries.count == frames, "one frame for each instant")
        #expect(sink.entries.indices.allSatisfy { sink.entries[$0].event.stream == $0 % 4 })
        for (frame, entry) in sink.entries.enumerated() {
            let k = try #require(entry.json["k"])
            #expect(k["f"]!.int == 5_000_000 + Int64(frame) * 10_000 && k["L"]!.int > 0)
        }
        let closed = sink.entries.filter { $0.event.isClosed }
        #expect(closed.count >= 119 + 3 * 2 && closed.count == engine.closedCandles().count)
        for (entry, candle) in zip(closed, engine.closedCandles()) {
            let k = try #require(entry.json["k"])
            #expect(k["f"]!.int == candle.candle.firstTradeID && k["L"]!.int == candle.candle.lastTradeID)
        }
    }

    @Test func overASocketTheInstantsAreEven() throws {
        var configuration = testConfiguration()
        configuration.pace = .openLoop(framesPerSecond: 2_000)
        configuration.stampsTrades = true
        try withSimulator(configuration) { simulator in
            let client = try LoopbackClient(simulator, "/stream?streams=btcusdt@kline_1h/ethusdt@kline_1h")
            let stamps = try client.texts(forMs: 500).texts.map { text in
                let k = try #require(try JSONValue(parsing: Array(text.utf8))["data"]?["k"])
                return (due: k["f"]!.int, made: k["L"]!.int)
            }
            #expect(stamps.count > 500)
            #expect(zip(stamps, stamps.dropFirst()).allSatisfy { $1.due - $0.due == 500 })
            #expect(stamps.allSatisfy { $0.made >= $0.due })
        }
    }

    @Test func stampsAtTheExchangesOwnPaceNameTheBarsEnd() throws {
        var configuration = testConfiguration()
        configuration.closeDelayMs = 0...0
        configuration.stampsTrades = true
        try withSimulator(configuration) { simulator in
            let client = try LoopbackClient(simulator, "/stream?streams=btcusdt@kline_1s/ethusdt@kline_1s/sim0001usdt@kline_1s")
            let due = try client.texts(forMs: 1_800).texts.map { text in
                try #require(try JSONValue(parsing: Array(text.utf8))["data"]?["k"]?["f"]?.int)
            }
            #expect(due.count >= 3 && due.count % 3 == 0)
            #expect(Set(due).count == due.count / 3, "all close at one instant")
        }
    }

    @Test func stampsNeedAClock() {
        var configuration = testConfiguration()
        configuration.pace = .flatOut
        configuration.stampsTrades = true
        #expect(throws: SimulatorConfigurationError.self) { try configuration.validate() }
        configuration.pace = .openLoop(framesPerSecond: 0)
        #expect(throws: SimulatorConfigurationError.self) { try configuration.validate() }
    }
}
