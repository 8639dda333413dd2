// REST as whoever heals a history meets it: rows that come late or unfinished, weights, bans, and the count of what was asked.

import FastFeed
import Testing
import VenueSimulator

struct RestLimitsTests {
    private func header(_ response: HTTPResponse, _ name: String) -> String? { response.headers.first { $0.name == name }?.value }

    // MARK: The newest bar

    private static let minute = "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=3"

    /// What REST says of a bar in the lag behind its end, minute after minute.
    @Test func aBarIsMissingOrUnfinishedForAWhile() throws {
        var configuration = testConfiguration()
        configuration.restLagMs = 5_000
        var world = RestWorld(configuration)
        let first = testStartMs / 60_000 * 60_000
        var (missing, unfinished, shorter) = (0, 0, 0)
        for end in stride(from: first, to: first + 40 * 60_000, by: 60_000) {
            var early: [[[JSONValue]]] = []
            for now in [end, end + 4_999] {
                world.nowMs = now
                early.append(try world.rows(Self.minute))
            }
            world.nowMs = end + 5_000
            let settled = try world.rows(Self.minute)
            #expect(settled.map { $0[0].int } == [end - 120_000, end - 60_000, end], "the bar in progress comes last")
            #expect(early[0] == early[1], "the same for as long as it lags")
            let newest = try #require(early[0].last)
            if newest[0].int == end - 60_000 {
                unfinished += 1
                // Trades of its last moment are not in it, if there are any.
                #expect(newest[8].int <= settled[1][8].int)
                if newest[8].int < settled[1][8].int { shorter += 1 }
                #expect(newest[0] == settled[1][0] && newest[1] == settled[1][1] && newest[6] == settled[1][6])
            } else {
                missing += 1
                #expect(newest == settled[0])
            }
        }
        #expect(missing > 5 && shorter > 5 && shorter * 2 > unfinished, "\(missing) missing, \(unfinished) unfinished, \(shorter) shorter")
    }

    /// A lag longer than the bars hides all that ended in it; nothing is given out behind a bar that is not there.
    @Test func theLagHidesShortBars() throws {
        var configuration = testConfiguration()
        configuration.restLagMs = 3_500
        var world = RestWorld(configuration)
        var lacking: Set<Int64> = []
        for second in 0..<40 as Range<Int64> {
            world.nowMs = testStartMs + second * 1_000
            let rows = try world.rows("/api/v3/klines?symbol=BTCUSDT&interval=1s&limit=10")
            #expect(zip(rows, rows.dropFirst()).allSatisfy { $1[0].int == $0[0].int + 1_000 })
            let (newest, present) = (rows.last![0].int, world.nowMs / 1_000 * 1_000)
            lacking.insert((present - newest) / 1_000)
        }
        // 400 ms of the present second have passed: the bar that ended 3.4 s ago is the oldest in the lag.
        #expect(lacking == [4, 5])
        let asked = try world.rows("/api/v3/klines?symbol=BTCUSDT&interval=1s&startTime=\(testStartMs / 1_000 * 1_000 + 38_000)")
        #expect(asked.isEmpty, "asked for by its time it is not there, either")
    }

    @Test func everyAnswerIsDated() {
        var configuration = testConfiguration()
        configuration.weightPerMinuteMax = 3
        var world = RestWorld(configuration)
        let targets = ["/api/v3/ping", "/api/v3/klines?symbol=NOPE&interval=1m", "/api/v3/time", "/api/v3/nothing"]
        var answers = targets.map { world.get($0) } + (0..<7).map { _ in world.get("/api/v3/time") }
        answers.append(world.refuse(Fault(.restStatus, value: 502), wallMs: 1))
        world.rest.isClosed = true
        answers.append(world.get("/api/v3/time"))
        #expect(Set(answers.map(\.status)) == [200, 400, 404, 418, 429, 502, 503])
        #expect(answers.allSatisfy { header($0, "date") == "Mon, 21 Sep 2026 13:47:16 GMT" })
    }

    /// The streams' bars around a time without trading are REST's, and REST has none in between.
    @Test func theEdgesOfAPauseAgree() throws {
        var configuration = testConfiguration()
        configuration.closeDelayMs = 0...0
        configuration.symbolChanges = [
            SymbolChange("btcusdt", .break, afterMs: 90_000), SymbolChange("btcusdt", .trading, afterMs: 400_000),
        ]
        var engine = PushEngine(configuration: configuration, startMs: testStartMs)
        let known = engine.streamIndex(ofName: "btcusdt@kline_1m")
        engine.subscribe(try #require(known), in: .millisecond)
        var sink = CollectingSink()
        _ = engine.run(untilMs: testStartMs + 900_000, eventsMax: .max, into: &sink)
        var rest = RestResponder(configuration: configuration, symbols: engine.symbols)
        let first = testStartMs / 60_000 * 60_000
        let target = "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=\(first)"
        let answer = rest.respond(to: request(target), from: "a", nowMs: engine.nowMs, wallMs: 1, histories: &engine.histories)
        guard case .array(let rows) = try JSONValue(parsing: answer.body) else { return #expect(Bool(false)) }
        let bars = rows.map { if case .array(let row) = $0 { row } else { [] as [JSONValue] } }
        // From 13:48:46.4 to 13:53:56.4.
        #expect(bars.map { ($0[0].int - first) / 60_000 } == [0, 1] + Array(6...15))
        let told = sink.entries.filter(\.event.isClosed).map { $0.json["k"]! }
        #expect(told.map { ($0["t"]!.int - first) / 60_000 } == [0] + Array(6...14), "nobody was told of the bar that the pause cut")
        for k in told {
            let row = bars.first { $0[0] == k["t"]! }
            #expect(row?.prefix(11) == [k["t"]!, k["o"]!, k["h"]!, k["l"]!, k["c"]!, k["v"]!, k["T"]!, k["q"]!, k["n"]!, k["V"]!, k["Q"]!])
        }
        // The judge knows the cut bar, and no other in the pause.
        let candles = engine.exchangeCandles(fromMs: first)
        #expect(candles.map(\.candle.openTimeMs) == bars.dropLast().map { $0[0].int })
        #expect(candles.map(\.candle.tradeCount) == bars.dropLast().map { $0[8].int })
    }

    // MARK: Weights

    @Test func weightsLimitsAndBans() throws {
        var configuration = testConfiguration()
        (configuration.weightPerMinuteMax, configuration.banSeconds) = (50, 3)
        var world = RestWorld(configuration)
        let first = world.get("/api/v3/exchangeInfo", wallMs: 60_000)
        #expect(header(first, "x-mbx-used-weight") == "20" && header(first, "x-mbx-used-weight-1m") == "20")
        guard case .array(let limits)? = try JSONValue(parsing: first.body)["rateLimits"] else { return #expect(Bool(false)) }
        #expect(limits.first { $0["rateLimitType"] == .string("REQUEST_WEIGHT") }?["limit"]?.int == 50)
        _ = world.get("/api/v3/exchangeInfo", wallMs: 60_001)
        let third = world.get("/api/v3/exchangeInfo", wallMs: 90_000)
        #expect(third.status == 429 && header(third, "retry-after") == "30" && code(of: third) == -1003)
        #expect(header(third, "x-mbx-used-weight-1m") == "60")
        let neighbour = world.get("/api/v3/ping", from: "127.0.0.2", wallMs: 90_000)
        #expect(neighbour.status == 200 && header(neighbour, "x-mbx-used-weight-1m") == "1", "each address has its own")
        // Who goes on is banned, and each time for longer.
        var atMs: Int64 = 91_000
        for seconds in [3, 6, 12] as [Int64] {
            for _ in 0...WeightLedger.refusalsMax { _ = world.get("/api/v3/exchangeInfo", wallMs: atMs) }
            let banned = world.get("/api/v3/ping", wallMs: atMs + 1_000)
            #expect(banned.status == 418 && header(banned, "retry-after") == "\(seconds - 1)" && code(of: banned) == -1003)
            // By the exchange's clock, as all that it says.
            #expect(String(decoding: banned.body, as: UTF8.self).contains("until \(testStartMs + (seconds - 1) * 1_000)."))
            #expect(world.get("/api/v3/ping", from: "127.0.0.2", wallMs: atMs + 1_000).status == 200)
            atMs = (atMs / 60_000 + 1) * 60_000 + 60_000
            #expect(world.get("/api/v3/ping", wallMs: atMs).status == 200)
            for _ in 0..<2 { _ = world.get("/api/v3/exchangeInfo", wallMs: atMs) }
        }
    }

    @Test func whatWasAskedIsCounted() {
        var configuration = testConfiguration()
        configuration.weightPerMinuteMax = 30
        var world = RestWorld(configuration)
        #expect(world.rest.tally == RestTally() && world.rest.tally.calls == 0)
        for target in [
            "klines?symbol=BTCUSDT&interval=1m", "uiKlines?symbol=BTCUSDT&interval=1m", "klines?symbol=NOPE&interval=1m", "ping",
        ] {
            _ = world.get("/api/v3/" + target)
        }
        _ = world.get("/api/v3/exchangeInfo")
        _ = world.get("/api/v3/nowhere")
        var tally = world.rest.tally
        #expect(tally.klines.calls == 3 && tally.klines.weight == 6, "a refused question costs as much")
        #expect(tally.ping.weight == 1 && tally.exchangeInfo.weight == 20 && tally.time.calls == 0)
        #expect(tally.calls == 5 && tally.weight == 27 && tally.weightPeak == 27 && tally.limited + tally.early == 0)
        #expect(world.get("/api/v3/exchangeInfo").status == 429)
        _ = world.get("/api/v3/time", wallMs: 59_999)
        _ = world.get("/api/v3/time", wallMs: 60_001)
        tally = world.rest.tally
        #expect(tally.limited == 2 && tally.early == 2 && tally.weightPeak == 48, "twice before the Retry-After was over")
        _ = world.get("/api/v3/time", wallMs: 120_001)
        #expect(world.rest.tally.early == 2 && world.rest.tally.time.calls == 3)
        var statistics = SimulatorStatistics()
        statistics.rest = tally
        let json = try? JSONValue(parsing: Array(TruthJSON.text(statistics).utf8))
        #expect(json?["rest"]?["klines"]?["weight"]?.int == 6 && json?["rest"]?["early"]?.int == 2 && json?["klineFrames"]?.int == 0)
    }

    /// Told to wait by a fault: who asks before is counted, and after a 418 kept out.
    @Test func faultsCountAsWarnings() {
        var world = RestWorld(testConfiguration())
        let limited = world.refuse(Fault(.restStatus, value: 429, retrySeconds: 2), wallMs: 10_000)
        #expect(limited.status == 429 && header(limited, "retry-after") == "2" && code(of: limited) == -1003)
        #expect(world.get("/api/v3/ping", wallMs: 11_999).status == 200 && world.rest.tally.early == 1)
        #expect(world.get("/api/v3/ping", wallMs: 12_000).status == 200 && world.rest.tally.early == 1)
        #expect(header(world.refuse(Fault(.restStatus, value: 418, retrySeconds: 3), wallMs: 20_000), "retry-after") == "3")
        let banned = world.get("/api/v3/ping", wallMs: 21_500)
        #expect(banned.status == 418 && header(banned, "retry-after") == "2")
        #expect(world.get("/api/v3/ping", wallMs: 23_000).status == 200)
        let tally = world.rest.tally
        #expect(tally.limited == 1 && tally.banned == 2 && tally.early == 2)
    }
}
