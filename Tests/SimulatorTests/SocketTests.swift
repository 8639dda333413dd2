// The simulator over real loopback sockets, plain and TLS.

import FastFeed
import Foundation
import Testing
import VenueSimulator

@Suite(.serialized)
struct SocketTests {
    /// Sixty virtual seconds in one: seconds' bars close all the time.
    private func fast(_ change: (inout SimulatorConfiguration) -> Void = { _ in }) -> SimulatorConfiguration {
        var configuration = testConfiguration()
        configuration.pace = .realTime(speed: 60)
        change(&configuration)
        return configuration
    }

    private func closes(_ texts: [String]) throws -> [(stream: String, k: JSONValue)] {
        try texts.compactMap { text in
            let value = try JSONValue(parsing: Array(text.utf8))
            guard let data = value["data"], let k = data["k"], k["x"] == .bool(true) else { return nil }
            return (value["stream"]!.text, k)
        }
    }

    private func matches(_ k: JSONValue, _ closed: ClosedCandle) -> Bool {
        let c = closed.candle
        return k["t"]!.int == c.openTimeMs && k["T"]!.int == c.closeTimeMs && k["o"]!.text == c.open.description
            && k["h"]!.text == c.high.description && k["l"]!.text == c.low.description && k["c"]!.text == c.close.description
            && k["v"]!.text == c.volume.description && k["q"]!.text == c.quoteVolume.description
            && k["V"]!.text == c.takerBuyVolume.description && k["Q"]!.text == c.takerBuyQuoteVolume.description
            && k["f"]!.int == c.firstTradeID && k["L"]!.int == c.lastTradeID && k["n"]!.int == c.tradeCount
    }

    @Test(arguments: [false, true])
    func whatArrivesIsTheTruth(_ secure: Bool) throws {
        try withSimulator(fast { $0.usesTLS = secure }) { simulator in
            let client = try LoopbackClient(simulator, "/stream?streams=btcusdt@kline_1s/ethusdt@kline_1m/sim0004usdt@kline_1s")
            let received = try closes(client.texts(forMs: 1_500).texts)
            let truth = simulator.closedCandles()
            #expect(received.count > 100)
            for (stream, k) in received {
                let found = truth.first { closed in
                    stream == "\(closed.series.symbol)@kline_\(closed.series.interval.token)" && closed.candle.openTimeMs == k["t"]!.int
                }
                let closed = try #require(found)
                #expect(closed.delivered && matches(k, closed))
            }
            #expect(truth.count { $0.delivered } >= received.count)
            let statistics = simulator.statistics()
            #expect(statistics.closedKlineFrames >= received.count && statistics.connectionsAccepted == 1)
            #expect(simulator.latestStates().count == 3)
        }
    }

    @Test func controlMessagesOverTheWire() throws {
        try withSimulator(fast()) { simulator in
            let client = try LoopbackClient(simulator, "/ws")
            client.send(#"{"method":"SUBSCRIBE","params":["btcusdt@kline_1s"],"id":1}"#)
            var texts = client.texts(forMs: 300).texts
            #expect(texts.contains(#"{"result":null,"id":1}"#))
            #expect(texts.contains { $0.hasPrefix(#"{"e":"kline""#) })
            client.send(#"{"method":"SET_PROPERTY","params":["combined",true],"id":2}"#)
            texts = client.texts(forMs: 300).texts
            #expect(texts.last?.hasPrefix(#"{"stream":"btcusdt@kline_1s","data":{"e":"kline""#) == true)
            client.send(#"{"method":"UNSUBSCRIBE","params":["btcusdt@kline_1s"],"id":3}"#)
            _ = client.texts(forMs: 200)
            #expect(client.texts(forMs: 200).texts.isEmpty)
            client.send(.ping, [1, 2, 3])
            #expect(client.next() == .pong([1, 2, 3]))
            client.send(.close, FrameEncoder.closePayload(code: 1000))
            #expect(client.next() == .close(1000, ""))
            #expect(client.next() == .ended(reset: false))
        }
    }

    @Test func sixMessagesInASecondAreTooMany() throws {
        try withSimulator(fast()) { simulator in
            let client = try LoopbackClient(simulator, "/ws")
            for id in 0..<6 { client.send("{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":\(id)}") }
            let (texts, last) = client.texts(forMs: 3_000)
            #expect(texts.count == 5 && last == .close(1008, "Too many requests"))
        }
    }

    @Test func pingsAndPongDeadline() throws {
        // Four pings a second: answered, they stay below the message limit.
        try withSimulator(fast { ($0.pingIntervalMs, $0.pongTimeoutMs) = (250, 600) }) { simulator in
            let bad = try LoopbackClient(simulator, "/ws")
            bad.answersPings = false
            guard case .ping(let payload) = bad.next() else { return #expect(Bool(false), "no ping") }
            #expect(Int64(String(decoding: payload, as: UTF8.self)) != nil)
            bad.send(.pong, [])
            bad.send(.pong, [1])
            var event = bad.next()
            while case .ping = event { event = bad.next() }
            #expect(event == .close(1008, "Pong timeout"), "neither an empty pong nor a wrong one counts")
            #expect(simulator.statistics().wrongPongs == 1)
            let good = try LoopbackClient(simulator, "/ws")
            #expect(good.untilOther(timeoutMs: 1_500) == .timeout)
        }
    }

    @Test func frameCutInTheMiddle() throws {
        try withSimulator(fast()) { simulator in
            let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
            _ = client.texts(forMs: 200)
            simulator.inject(Fault(.cutFrame))
            #expect(client.untilOther() == .ended(reset: false))
            // It ends inside a message: the last candle was not delivered.
            let undelivered = simulator.closedCandles().first { !$0.delivered }
            #expect(undelivered != nil)
        }
    }

    @Test func endings() throws {
        try withSimulator(fast()) { simulator in
            func ending(_ fault: Fault) throws -> LoopbackClient.Event {
                let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
                simulator.inject(fault)
                return client.untilOther(timeoutMs: 2_000)
            }
            #expect(try ending(Fault(.reset)) == .ended(reset: true))
            #expect(try ending(Fault(.drop)) == .ended(reset: false))
            #expect(try ending(Fault(.close, value: 1001)) == .close(1001, ""))
            #expect(try ending(Fault(.close, value: 1008)) == .close(1008, "Too many requests"))
            #expect(try ending(Fault(.massDisconnect, value: 1001)) == .close(1001, ""))
            let silent = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
            simulator.inject(Fault(.halfOpen))
            _ = silent.texts(forMs: 100)
            #expect(silent.texts(forMs: 300) == ([], .timeout))
        }
    }

    @Test func ageLimitAndShutdownNotice() throws {
        let configuration = fast { ($0.connectionAgeMaxMs, $0.shutdownNoticeMs) = (500, 200) }
        try withSimulator(configuration) { simulator in
            let client = try LoopbackClient(simulator, "/stream?streams=btcusdt@kline_1s")
            let (texts, last) = client.texts(forMs: 3_000)
            #expect(texts.contains { $0.hasPrefix(#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":"#) })
            #expect(last == .close(1001, ""))
        }
    }

    @Test func eventFaults() throws {
        try withSimulator(fast()) { simulator in
            func texts(_ fault: Fault, _ ms: Int64 = 500) throws -> [String] {
                simulator.clearFaults()
                let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
                simulator.inject(fault)
                return client.texts(forMs: ms).texts
            }
            #expect(try texts(Fault(.corruptJSON, count: 0)).contains { (try? JSONValue(parsing: Array($0.utf8))) == nil })
            #expect(try texts(Fault(.duplicate, count: 0)).count { $0.contains("\"x\":true") } > 30)
            #expect(try texts(Fault(.unknownEvent)).contains { $0.contains("klineSummary") })
            simulator.clearFaults()
            let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s/ethusdt@kline_1s")
            simulator.inject(Fault(.mute, stream: "btcusdt@kline_1s"))
            _ = client.texts(forMs: 100)
            let later = client.texts(forMs: 300).texts
            #expect(!later.isEmpty && later.allSatisfy { $0.contains("ETHUSDT") })
        }
    }

    @Test func fragmentsAndSplitWrites() throws {
        try withSimulator(fast { $0.faults = [Fault(.fragment), Fault(.splitWrites)] }) { simulator in
            let client = try LoopbackClient(simulator, "/stream?streams=btcusdt@kline_1s")
            let received = try closes(client.texts(forMs: 800).texts)
            #expect(received.count > 20)
            let truth = simulator.closedCandles()
            #expect(received.allSatisfy { _, k in truth.contains { $0.candle.openTimeMs == k["t"]!.int && matches(k, $0) } })
        }
    }

    @Test func repliesLateAndLost() throws {
        try withSimulator(fast()) { simulator in
            let client = try LoopbackClient(simulator, "/ws")
            simulator.inject(Fault(.loseAck))
            client.send(#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#)
            #expect(client.next(timeoutMs: 200) == .timeout)
            simulator.inject(Fault(.delayAck, value: 2_000))
            client.send(#"{"method":"LIST_SUBSCRIPTIONS","id":2}"#)
            #expect(client.next(timeoutMs: 150) == .timeout)
            #expect(client.next(timeoutMs: 20_000) == .text(#"{"result":[],"id":2}"#))
        }
    }

    @Test func handshakesRefused() throws {
        try withSimulator(fast { $0.connectsPerFiveMinutesMax = 1 }) { simulator in
            for status in [403, 429, 451, 503] {
                simulator.inject(Fault(.refuseHandshake, value: status))
                let refusal = #expect(throws: UpgradeRefusal.self) { try LoopbackClient(simulator, "/ws") }
                #expect(refusal?.status == status && (status != 429 || refusal?.retryAfterSeconds == 35))
            }
            let notFound = #expect(throws: UpgradeRefusal.self) { try LoopbackClient(simulator, "/nowhere") }
            #expect(notFound?.status == 404)
            let tooMany = #expect(throws: UpgradeRefusal.self) { try LoopbackClient(simulator, "/ws") }
            #expect(tooMany?.status == 429)
        }
    }

    @Test func restTruthAndFaultsOverHTTP() throws {
        try withSimulator(fast()) { simulator in
            let rows = try httpGet(simulator, "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=3")
            #expect(rows.head.hasPrefix("HTTP/1.1 200 OK") && rows.head.contains("x-mbx-used-weight-1m: 2"))
            guard case .array(let bars) = try JSONValue(parsing: rows.body) else { return #expect(Bool(false)) }
            #expect(bars.count == 3)
            let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
            _ = client.texts(forMs: 300)
            let lines = try httpGet(simulator, "/truth/closed?limit=5").body.split(separator: UInt8(ascii: "\n"))
            #expect(lines.count == 5)
            #expect(try JSONValue(parsing: Array(lines[0]))["symbol"] == .string("btcusdt"))
            #expect(try JSONValue(parsing: httpGet(simulator, "/truth/stats").body)["connectionsAccepted"]!.int > 1)
            #expect(try JSONValue(parsing: httpGet(simulator, "/truth/latest").body)["stream"] == .string("btcusdt@kline_1s"))
            #expect(try httpGet(simulator, "/sim/fault?kind=nonsense", method: "POST").head.contains(" 400 "))
            #expect(try httpGet(simulator, "/sim/fault?kind=restStatus&status=403", method: "POST").head.contains(" 200 "))
            let page = try httpGet(simulator, "/api/v3/ping")
            #expect(page.head.contains(" 403 ") && String(decoding: page.body, as: UTF8.self).contains("<html>"))
            simulator.inject(Fault(.restTruncate))
            let whole = try httpGet(simulator, "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=10").body.count
            let full = try httpGet(simulator, "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=10").body.count
            #expect(whole < full && whole > 0)
            simulator.inject(Fault(.restReset))
            #expect(try httpGet(simulator, "/api/v3/exchangeInfo").reset)
            simulator.inject(Fault(.restWrongLength))
            let wrong = try httpGet(simulator, "/api/v3/ping")
            #expect(wrong.head.contains("content-length: 9") && wrong.body.count == 2)
        }
    }

    @Test func flatOutWaitsForTheReader() throws {
        var configuration = testConfiguration()
        configuration.pace = .flatOut
        try withSimulator(configuration) { simulator in
            #expect(simulator.virtualTimeMs == testStartMs, "the clock stands while nobody listens")
            let names = (0..<12).map { "\(simulator.symbols[$0].symbol)@kline_1s" }.joined(separator: "/")
            let client = try LoopbackClient(simulator, "/stream?streams=" + names)
            // Until the kernel's buffers and ours are full, however slow the machine.
            var stalled: Int64 = 0
            for _ in 0..<50 where stalled != simulator.virtualTimeMs || stalled == testStartMs {
                stalled = simulator.virtualTimeMs
                usleep(200_000)
            }
            #expect(simulator.virtualTimeMs == stalled && stalled > testStartMs, "nobody reads: the clock waits")
            let received = try closes(client.texts(forMs: 400).texts)
            #expect(received.count > 1_000)
            // Nothing is lost on the way: the bars of a stream are consecutive.
            var last: [String: Int64] = [:]
            for (stream, k) in received {
                if let before = last[stream] { #expect(k["t"]!.int == before + 1_000) }
                last[stream] = k["t"]!.int
            }
        }
    }

    @Test func flatOutStandsStillForTheSilent() throws {
        var configuration = testConfiguration()
        configuration.pace = .flatOut
        try withSimulator(configuration) { simulator in
            let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
            _ = client.next()
            simulator.inject(Fault(.halfOpen))
            _ = client.texts(forMs: 300)
            let stood = simulator.virtualTimeMs
            usleep(100_000)
            #expect(simulator.virtualTimeMs == stood)
        }
    }

    @Test func timeGoesOnWhileNobodyIsThere() throws {
        try withSimulator(fast()) { simulator in
            usleep(500_000)
            let time = try JSONValue(parsing: httpGet(simulator, "/api/v3/time").body)["serverTime"]!.int
            #expect(time - testStartMs > 25_000 && time - testStartMs < 120_000)
            #expect(simulator.virtualTimeMs >= time)
        }
    }

    @Test func restComesLate() throws {
        try withSimulator(fast { $0.faults = [Fault(.restSlow, value: 300)] }) { simulator in
            let from = WallClock.nowMs()
            let late = try httpGet(simulator, "/api/v3/ping")
            #expect(late.body == Array("{}".utf8))
            #expect(WallClock.nowMs() - from >= 300)
        }
    }

    @Test func aResetTakesDeliveriesBack() throws {
        try withSimulator(fast()) { simulator in
            let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
            _ = client.texts(forMs: 300)
            #expect(simulator.closedCandles().contains { $0.delivered })
            simulator.inject(Fault(.reset))
            #expect(client.untilOther() == .ended(reset: true))
            #expect(!simulator.closedCandles().contains { $0.delivered }, "all of it within the last second")
        }
    }

    @Test func closedCandlesEqualREST() throws {
        try withSimulator(fast { $0.pace = .realTime(speed: 600) }) { simulator in
            let client = try LoopbackClient(simulator, "/stream?streams=btcusdt@kline_1m/sim0004usdt@kline_1m/ethusdt@kline_3m")
            let received = try closes(client.texts(forMs: 2_000).texts)
            #expect(received.count > 25)
            for (stream, k) in received {
                let query = "symbol=\(k["s"]!.text)&interval=\(k["i"]!.text)&startTime=\(k["t"]!.int)&limit=1"
                guard case .array(let rows) = try JSONValue(parsing: httpGet(simulator, "/api/v3/klines?" + query).body),
                    case .array(let row)? = rows.first
                else { return #expect(Bool(false), "no row for \(stream)") }
                let pushed = [k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["T"], k["q"], k["n"], k["V"], k["Q"]].map { $0! }
                #expect(Array(row.prefix(11)) == pushed)
            }
        }
    }

    @Test func slowConsumersAreClosed() throws {
        let configuration = fast {
            $0.pace = .realTime(speed: 20_000)
            $0.outputBufferBytesMax = 1 << 16
        }
        try withSimulator(configuration) { simulator in
            let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s/ethusdt@kline_1s/bnbusdt@kline_1s")
            usleep(3_000_000)
            #expect(simulator.statistics().slowConsumersClosed == 1)
            withExtendedLifetime(client) {}
        }
    }

    @Test func futuresRoutes() throws {
        var configuration = fast()
        configuration.market = .um
        try withSimulator(configuration) { simulator in
            let wrong = try LoopbackClient(simulator, "/ws/btcusdt@kline_1m")
            let right = try LoopbackClient(simulator, "/market/ws/btcusdt@kline_1m")
            #expect(!right.texts(forMs: 300).texts.isEmpty)
            #expect(wrong.texts(forMs: 100).texts.isEmpty)
        }
    }

    @Test func truthFile() throws {
        let path = "/tmp/simulator-truth-\(WallClock.nowMs()).jsonl"
        defer { unlink(path) }
        try withSimulator(fast { $0.truthFile = path }) { simulator in
            let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
            _ = client.texts(forMs: 300)
        }
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.split(separator: "\n").count > 10)
        // From an instant on: all bars, also those before anybody listened.
        let sinceMs = testStartMs / 1_000 * 1_000 - 100_000
        try withSimulator(
            fast {
                $0.truthFile = path
                $0.truthSinceMs = sinceMs
            }
        ) { simulator in
            let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
            _ = client.next()
            let lines = try httpGet(simulator, "/truth/bars?from=\(sinceMs)").body.split(separator: UInt8(ascii: "\n"))
            #expect(try lines.count >= 100 && ClosedCandle(line: Array(lines[0])).candle.openTimeMs == sinceMs)
        }
        let bars = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").filter { !$0.hasPrefix("{\"stream\"") }
        let opens = try bars.map { try ClosedCandle(line: Array($0.utf8)).candle.openTimeMs }
        #expect(opens.count >= 100 && opens[0] == sinceMs && zip(opens, opens.dropFirst()).allSatisfy { $1 == $0 + 1_000 })
    }
}
