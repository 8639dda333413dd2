// What heals a history must live with, over real loopback sockets: closing events that come late, in whose place others come, or with other
// values; streams that are mute where they were subscribed; connections that end for their age; REST answers that go wrong in a row.

import FastFeed
import TestKit
import Testing
import VenueSimulator

@Suite(.serialized)
struct LateEventTests {
    /// Sixty virtual seconds in one.
    private func fast(_ change: (inout SimulatorConfiguration) throws -> Void = { _ in }) rethrows -> SimulatorConfiguration {
        var configuration = testConfiguration()
        configuration.pace = .realTime(speed: 60)
        try change(&configuration)
        return configuration
    }

    /// Bars as they come, until one fits; nil when the stream ends or is silent for long.
    private func bar(_ client: LoopbackClient, where fits: (JSONValue) -> Bool) throws -> JSONValue? {
        while case .text(let text) = client.next(timeoutMs: 5_000) {
            if let k = try JSONValue(parsing: Array(text.utf8))["k"], fits(k) { return k }
        }
        return nil
    }

    private func truth(_ simulator: VenueSimulator, _ k: JSONValue) -> ClosedCandle? {
        simulator.closedCandles().first { $0.candle.openTimeMs == k["t"]!.int }
    }

    @Test(arguments: [0, 300])
    func aCloseIsOvertakenByTheNextBar(_ delayMs: Int) throws {
        let configuration = try fast { $0.faults = try Fault.plan(text: "lateClose,after=100,value=\(delayMs)") }
        try withSimulator(configuration) { simulator in
            let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
            var seen: [Int64] = []
            let found = try bar(client) { k in
                seen.append(k["t"]!.int)
                return k["t"]!.int < seen.max()!
            }
            let late = try #require(found)
            let newest = seen.max()!
            #expect(late["x"]!.isTrue && seen.count { $0 == late["t"]!.int } == 1)
            // At once, or (a bar is 17 ms here) many bars later.
            #expect(delayMs == 0 ? newest - late["t"]!.int == 1_000 : newest - late["t"]!.int > 5_000)
            let known = try #require(truth(simulator, late))
            #expect(known.candle.volume.description == late["v"]!.text && known.candle.lastTradeID == late["L"]!.int)
            try eventually(20, "it counts as delivered") { truth(simulator, late)?.delivered == true }
        }
    }

    @Test(arguments: [0, 200])
    func aCloseSaysOtherwiseThanREST(_ delayMs: Int) throws {
        let configuration = try fast { $0.faults = try Fault.plan(text: "alteredClose,after=100,value=\(delayMs)") }
        try withSimulator(configuration) { simulator in
            let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
            let found = try bar(client) { k in truth(simulator, k)?.candle.volume.description != k["v"]!.text }
            let altered = try #require(found)
            let known = try #require(truth(simulator, altered))
            #expect(
                altered["x"]!.isTrue && altered["v"]!.text == "1\(known.candle.volume)"
                    && altered["q"]!.text == "1\(known.candle.quoteVolume)")
            #expect(altered["c"]!.text == known.candle.close.description && altered["n"]!.int == known.candle.tradeCount)
            let query = "symbol=BTCUSDT&interval=1s&limit=1&startTime=\(altered["t"]!.int)"
            let row = try JSONValue(parsing: httpGet(simulator, "/api/v3/klines?" + query).body)
            guard case .array(let rows) = row, case .array(let values)? = rows.first else { return #expect(Bool(false)) }
            #expect(values[5].text == known.candle.volume.description && truth(simulator, altered)?.delivered == false)
        }
    }

    /// After its acknowledgement a stream never speaks. On the same connection one kind can be healed, the other on another one only.
    @Test(arguments: [FaultKind.muteOnConnection, .muteSubscription])
    func muteAfterTheAcknowledgement(_ kind: FaultKind) throws {
        try withSimulator(fast { $0.faults = [Fault(kind, stream: "btcusdt@kline_1s")] }) { simulator in
            let client = try LoopbackClient(simulator, "/ws")
            func say(_ method: String, _ id: Int) {
                client.send("{\"method\":\"\(method)\",\"params\":[\"btcusdt@kline_1s\"],\"id\":\(id)}")
            }
            client.send(#"{"method":"SUBSCRIBE","params":["btcusdt@kline_1s","ethusdt@kline_1s"],"id":1}"#)
            var (bars, answered) = (0, false)
            func hears(_ symbol: String, after id: Int, bars wanted: Int) throws -> Bool {
                (bars, answered) = (0, false)
                while bars < wanted, case .text(let text) = client.next(timeoutMs: 5_000) {
                    let value = try JSONValue(parsing: Array(text.utf8))
                    if value["id"]?.int == Int64(id) { answered = true }
                    guard answered, let k = value["k"] else { continue }
                    if k["s"]!.text == symbol { return true }
                    bars += 1
                }
                return false
            }
            #expect(try !hears("BTCUSDT", after: 1, bars: 30) && bars == 30, "the other stream goes on")
            say("SUBSCRIBE", 2)
            #expect(try hears("BTCUSDT", after: 2, bars: 30) == (kind == .muteSubscription))
            if kind == .muteOnConnection {
                say("UNSUBSCRIBE", 3)
                say("SUBSCRIBE", 4)
                #expect(try !hears("BTCUSDT", after: 4, bars: 30) && bars == 30)
                let other = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
                #expect(try bar(other) { $0["s"]!.text == "BTCUSDT" } != nil)
            }
        }
    }

    /// A plan of answers that go wrong, in one text; in the end all is well.
    @Test func restGoesWrongInARow() throws {
        let plan = "restStatus,value=429,retry=1;restStatus,value=503;restTruncate;restReset;restStatus,value=418,retry=1"
        try withSimulator(fast { $0.faults = try Fault.plan(text: plan) }) { simulator in
            let target = "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=10"
            let answers = try (0..<5).map { _ in try httpGet(simulator, target) }
            // What came before a reset may be lost with it.
            let whole = [0, 1, 2, 4].map { answers[$0].head }
            #expect(whole.map { $0.split(separator: " ").dropFirst().first } == ["429", "503", "200", "418"])
            #expect(whole.allSatisfy { $0.contains("date: ") } && [0, 3].allSatisfy { whole[$0].contains("retry-after: 1\r\n") })
            #expect(answers.map(\.reset) == [false, false, false, true, false])
            #expect([2, 3].allSatisfy { (try? JSONValue(parsing: answers[$0].body)) == nil })
            try eventually(10, "an end of the ban") { try httpGet(simulator, target).head.contains(" 200 ") }
            let tally = simulator.statistics().rest
            #expect(tally.limited == 1 && tally.banned >= 1 && tally.klines.calls == tally.calls && tally.klines.calls >= 6)
            #expect(simulator.statistics().faultsApplied == 5)
        }
    }
}
