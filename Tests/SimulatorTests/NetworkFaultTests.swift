// Faults of connecting and of order, and the calendar, over real sockets.

import FastFeed
import Foundation
import TestKit
import Testing
import VenueSimulator

@Suite(.serialized)
struct NetworkFaultTests {
    private func fast(_ change: (inout SimulatorConfiguration) -> Void = { _ in }) -> SimulatorConfiguration {
        var configuration = testConfiguration()
        configuration.pace = .realTime(speed: 60)
        change(&configuration)
        return configuration
    }

    private func parsed(_ texts: [String]) throws -> [(symbol: String, event: Int64, open: Int64, isClosed: Bool)] {
        try texts.compactMap { text in
            let value = try JSONValue(parsing: Array(text.utf8))
            guard let k = value["k"] else { return nil }
            return (value["s"]!.text, value["E"]!.int, k["t"]!.int, k["x"]!.isTrue)
        }
    }

    @Test func tlsIsNeverAnswered() throws {
        try withSimulator(fast { $0.usesTLS = true }) { simulator in
            // Bytes that are no TLS end the connection, when somebody looks at them.
            let refused = try LoopbackClient(port: simulator.port)
            refused.write(Array("GET / HTTP/1.1\r\n\r\n".utf8))
            var last = refused.readSome(timeoutMs: 1_000)
            while case .bytes = last { last = refused.readSome(timeoutMs: 1_000) }
            guard case .end = last else { return #expect(Bool(false), "the server did not look") }
            simulator.inject(Fault(.stallTLS))
            let stalled = try LoopbackClient(port: simulator.port)
            stalled.write(Array("GET / HTTP/1.1\r\n\r\n".utf8))
            guard case .timeout = stalled.readSome(timeoutMs: 400) else { return #expect(Bool(false), "it was answered") }
            // Only once: the next connection is served.
            let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
            #expect(!client.texts(forMs: 300).texts.isEmpty)
            #expect(simulator.statistics().faultsApplied == 1)
            withExtendedLifetime(stalled) {}
        }
    }

    @Test func whoLeavesASilentConnectionIsForgotten() throws {
        try withSimulator(fast()) { simulator in
            simulator.inject(Fault(.stallHandshake, count: 3))
            do {
                let clients = try (0..<3).map { _ in try LoopbackClient(port: simulator.port) }
                for client in clients {
                    client.write(Array("GET /ws HTTP/1.1\r\nupgrade: websocket\r\n\r\nmore".utf8))
                    guard case .timeout = client.readSome(timeoutMs: 100) else { return #expect(Bool(false), "it was answered") }
                }
                #expect(simulator.statistics().connectionsClosed == 0)
            }
            usleep(900_000)
            #expect(simulator.statistics().connectionsClosed == 3)
        }
    }

    @Test func tcpIsRefusedForAWhile() throws {
        try withSimulator(fast()) { simulator in
            let early = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
            #expect(try httpGet(simulator, "/sim/fault?kind=refuseConnect&duration=3000", method: "POST").head.contains(" 200 "))
            _ = early.texts(forMs: 150)
            #expect(throws: SystemError.self) { try LoopbackClient(port: simulator.port) }
            #expect(!early.texts(forMs: 200).texts.isEmpty, "open connections are served on")
            #expect(throws: SystemError.self) { try LoopbackClient(port: simulator.port) }
            var later: LoopbackClient?
            try eventually(20, "a connection again") {
                later = try? LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
                return later != nil
            }
            #expect(later?.texts(forMs: 300).texts.isEmpty == false)
            // By hand: no end but the clearing of faults.
            simulator.inject(Fault(.refuseConnect))
            usleep(100_000)
            #expect(throws: SystemError.self) { try LoopbackClient(port: simulator.port) }
            simulator.clearFaults()
            usleep(100_000)
            #expect(throws: Never.self) { try LoopbackClient(port: simulator.port) }
        }
    }

    @Test func otherStreamsOvertakeAHeldEvent() throws {
        try withSimulator(fast()) { simulator in
            let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s/ethusdt@kline_1s")
            var texts = client.texts(forMs: 200).texts
            simulator.inject(Fault(.hold, stream: "btcusdt@kline_1s", value: 300))
            texts += client.texts(forMs: 1_000).texts
            let events = try parsed(texts)
            let overtaken = zip(events, events.dropFirst()).contains {
                $0.symbol == "ETHUSDT" && $1.symbol == "BTCUSDT" && $1.event < $0.event - 5_000
            }
            #expect(overtaken, "some hundred real milliseconds are many virtual seconds")
            for symbol in ["BTCUSDT", "ETHUSDT"] {
                let own = events.filter { $0.symbol == symbol && $0.isClosed }
                #expect(own.count > 40)
                #expect(zip(own, own.dropFirst()).allSatisfy { $1.open == $0.open + 1_000 && $1.event > $0.event }, "in order, none lost")
            }
            let truth = simulator.closedCandles().filter { $0.series.symbol.name == "btcusdt" }
            #expect(truth.count { $0.delivered } >= events.count { $0.symbol == "BTCUSDT" && $0.isClosed })
        }
    }

    @Test func aStallEndsInABurst() throws {
        try withSimulator(fast()) { simulator in
            let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s/ethusdt@kline_1s")
            var texts = client.texts(forMs: 200).texts
            simulator.inject(Fault(.stall, value: 700))
            texts += client.texts(forMs: 100).texts
            let silence = client.texts(forMs: 400)
            #expect(silence.texts.isEmpty && silence.last == .timeout)
            let from = WallClock.nowMs()
            let burst = client.texts(forMs: 300).texts
            #expect(burst.count > 60 && WallClock.nowMs() - from < 1_000)
            texts += burst + client.texts(forMs: 200).texts
            let own = try parsed(texts).filter { $0.symbol == "BTCUSDT" && $0.isClosed }
            #expect(zip(own, own.dropFirst()).allSatisfy { $1.open == $0.open + 1_000 }, "none lost")
        }
    }

    @Test func standingsByHTTP() throws {
        try withSimulator(fast()) { simulator in
            func post(_ query: String) throws -> String { try httpGet(simulator, "/sim/symbol?" + query, method: "POST").head }
            func status() throws -> String {
                let info = try httpGet(simulator, "/api/v3/exchangeInfo?symbol=BTCUSDT").body
                return String(decoding: info, as: UTF8.self).split(separator: "\"status\":\"").last!.prefix { $0 != "\"" }.description
            }
            let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s/ethusdt@kline_1s")
            for bad in [
                "symbol=NOPE&state=HALT", "symbol=BTCUSDT&state=SLEEPY", "symbol=BTCUSDT&state=HALT&after=-1",
                "symbol=BTCUSDT&state=HALT&after=x",
            ] {
                #expect(try post(bad).contains(" 400 "))
            }
            for state in ["BREAK", "CANCEL_ONLY"] {
                #expect(try post("symbol=BTCUSDT&state=\(state)").contains(" 200 "))
                #expect(try status() == state)
                _ = client.texts(forMs: 150)
                let others = try parsed(client.texts(forMs: 300).texts)
                #expect(!others.isEmpty && others.allSatisfy { $0.symbol == "ETHUSDT" })
                #expect(try post("symbol=btcusdt&state=HALT").contains(" 200 "))
                #expect(try status() == "HALT")
                let halted = try parsed(client.texts(forMs: 300).texts)
                #expect(halted.contains { $0.symbol == "BTCUSDT" })
            }
            // Six virtual seconds are a tenth of a real one.
            #expect(try post("symbol=BTCUSDT&state=DELISTED&after=6000").contains(" 200 "))
            usleep(200_000)
            #expect(try httpGet(simulator, "/api/v3/exchangeInfo?symbol=BTCUSDT").head.contains(" 400 "))
            #expect(simulator.symbolStates[0] == .unlisted)
            try simulator.plan(SymbolChange("btcusdt", .trading))
            #expect(try status() == "TRADING")
            #expect(throws: SimulatorConfigurationError.self) { try simulator.plan(SymbolChange("nope", .halt)) }
        }
    }

    @Test(arguments: [AgeLimitClose.goingAway, .drop])
    func maintenanceDropsEverybody(_ kind: AgeLimitClose) throws {
        try withSimulator(fast { $0.maintenanceClose = kind }) { simulator in
            let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
            let other = try LoopbackClient(simulator, "/ws/ethusdt@kline_1m")
            _ = client.texts(forMs: 200)
            // A minute of the exchange is one second here.
            let reply = try httpGet(simulator, "/sim/maintenance?after=6000&duration=60000", method: "POST")
            let window = try JSONValue(parsing: reply.body)
            let (from, until) = (window["fromMs"]!.int, window["untilMs"]!.int)
            #expect(until - from == 60_000)
            let ending: LoopbackClient.Event = kind == .goingAway ? .close(1001, "") : .ended(reset: false)
            let (texts, last) = client.texts(forMs: 2_000)
            let otherLast = other.untilOther(timeoutMs: 500)
            #expect(last == ending && otherLast == ending)
            #expect(try parsed(texts).allSatisfy { $0.event < from })
            let refusal = #expect(throws: UpgradeRefusal.self) { try LoopbackClient(simulator, "/ws/btcusdt@kline_1s") }
            #expect(refusal?.status == 503)
            #expect(try httpGet(simulator, "/api/v3/ping").head.contains(" 503 "))
            #expect(try httpGet(simulator, "/truth/stats").head.contains(" 200 "), "the simulator's own endpoints answer")
            while simulator.virtualTimeMs < until { usleep(10_000) }
            let again = try LoopbackClient(simulator, "/ws/btcusdt@kline_1s")
            #expect(try parsed(again.texts(forMs: 300).texts).allSatisfy { $0.event >= until })
            let query = "/api/v3/klines?symbol=BTCUSDT&interval=1s&startTime=\(from - 5_000)&endTime=\(until + 5_000)"
            guard case .array(let rows) = try JSONValue(parsing: httpGet(simulator, query).body) else { return #expect(Bool(false)) }
            let opens = rows.map { if case .array(let row) = $0 { row[0].int } else { Int64(0) } }
            #expect(opens.count >= 8 && opens.allSatisfy { $0 < from || $0 + 1_000 > until })
            #expect(!simulator.closedCandles().contains { $0.candle.openTimeMs >= from && $0.candle.closeTimeMs < until })
        }
    }

    @Test func flatOutMaintenancePassesAtOnce() throws {
        var configuration = testConfiguration()
        configuration.pace = .flatOut
        configuration.maintenance = [MaintenanceWindow(afterMs: 3_600_000, durationMs: 86_400_000)]
        try withSimulator(configuration) { simulator in
            let client = try LoopbackClient(simulator, "/ws/btcusdt@kline_1m")
            #expect(client.untilOther() == .close(1001, ""))
            usleep(200_000)
            #expect(simulator.virtualTimeMs == testStartMs + 3_600_000 + 86_400_000, "it stands where the exchange opens again")
            let again = try LoopbackClient(simulator, "/ws/btcusdt@kline_1m")
            #expect(try parsed([{ if case .text(let text) = again.next() { text } else { "{}" } }()]).count == 1)
        }
    }
}
