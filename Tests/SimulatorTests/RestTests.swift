// REST as a function: parameter rules, paging, errors; and the handshake's judgement of paths.

import FastFeed
import Testing
import VenueSimulator

struct RestTests {
    @Test func pingTimeAndUnits() {
        var world = RestWorld(testConfiguration())
        #expect(world.get("/api/v3/ping").body == Array("{}".utf8))
        #expect(world.get("/api/v3/time").body == Array("{\"serverTime\":\(testStartMs)}".utf8))
        #expect(
            world.get("/api/v3/time", headers: ["x-mbx-time-unit": "MICROSECOND"]).body == Array("{\"serverTime\":\(testStartMs)000}".utf8))
        #expect(code(of: world.get("/api/v3/time", headers: ["x-mbx-time-unit": "DAY"])) == -1194)
        #expect(world.get("/api/v3/nothing").status == 404)
        #expect(world.get("/fapi/v1/ping").status == 404)
    }

    @Test func klinesRows() throws {
        var world = RestWorld(testConfiguration())
        let rows = try world.rows("/api/v3/klines?symbol=BTCUSDT&interval=1m")
        #expect(rows.count == 181, "three hours and the current minute")
        #expect(rows.allSatisfy { $0.count == 12 && $0[11] == .string("0") })
        #expect(rows.last![6].int > testStartMs, "the last bar is unfinished")
        #expect(zip(rows, rows.dropFirst()).allSatisfy { $1[0].int == $0[0].int + 60_000 })
        let ui = try world.rows("/api/v3/uiKlines?symbol=BTCUSDT&interval=1m")
        #expect(ui == rows)
        let open = rows[100][0].int
        let page = try world.rows("/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=\(open - 59_999)&endTime=\(open + 60_000)")
        #expect(page == Array(rows[100...101]))
        let micro = try world.rows("/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=\(open)000&endTime=\(open)000")
        #expect(micro == [rows[100]])
        let future = try world.rows("/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=\(testStartMs + 86_400_000)")
        #expect(future.count <= 1)
        #expect(world.get("/api/v3/klines?symbol=BTCUSDT&interval=1m&endTime=1500000000000").body == Array("[]".utf8))
        #expect(world.get("/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=\(open + 60_000)&endTime=\(open)").body == Array("[]".utf8))
        let long = try world.rows("/api/v3/klines?symbol=BTCUSDT&interval=1s&limit=5000")
        #expect(long.count == 1_000, "silently cut")
        let zone = try world.rows("/api/v3/klines?symbol=BTCUSDT&interval=1d&timeZone=8&limit=1")
        #expect(zone[0][0].int % 86_400_000 == 57_600_000)
        let illiquid = try world.rows("/api/v3/klines?symbol=SIM0004USDT&interval=1m")
        #expect(illiquid.contains { $0[8].int == 0 && $0[5] == .string("0.00000000") && $0[1] == $0[4] })
    }

    @Test func microsecondRows() throws {
        var world = RestWorld(testConfiguration())
        let response = world.get("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1", headers: ["x-mbx-time-unit": "microsecond"])
        #expect(String(decoding: response.body, as: UTF8.self).contains("999999,\""))
    }

    @Test(arguments: [
        ("interval=1m", -1102), ("symbol=BTCUSDT", -1102), ("symbol=&interval=1m", -1102), ("symbol=btcusdt&interval=1m", -1100),
        ("symbol=NOSUCHUSDT&interval=1m", -1121), ("symbol=BTCUSDT&interval=7m", -1120), ("symbol=BTCUSDT&interval=1m&limit=x", -1100),
        ("symbol=BTCUSDT&interval=1m&limit=0", -1130), ("symbol=BTCUSDT&interval=1m&limit=99999999999999999999", -1108),
        ("symbol=BTCUSDT&interval=1m&foo=1", -1104), ("symbol=BTCUSDT&interval=1m&symbol=ETHUSDT", -1101),
        ("symbol=BTCUSDT&interval=1m&timeZone=15", -1130), ("symbol=BTCUSDT&interval=1m&startTime=", -1105),
    ])
    func errors(_ query: String, _ expected: Int64) {
        var world = RestWorld(testConfiguration())
        let response = world.get("/api/v3/klines?" + query)
        #expect(response.status == 400 && code(of: response) == expected)
    }

    @Test(arguments: [("0", 0), ("8", 480), ("-1:00", -60), ("05:45", 345), ("-12:00", -720), ("14", 840)])
    func timeZones(_ text: String, _ minutes: Int64) throws {
        #expect(try KlinesQuery.timeZone(text) == minutes * 60_000)
    }

    @Test func futures() throws {
        var world = RestWorld(testConfiguration(market: .um))
        #expect(code(of: world.get("/fapi/v1/klines?symbol=BTCUSDT&interval=1s")) == -1120)
        #expect(code(of: world.get("/fapi/v1/klines?symbol=BTCUSDT&interval=1m&timeZone=1")) == -1104)
        let rows = try world.rows("/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=1")
        #expect(rows[0][1].text.split(separator: ".")[1].count == 1, "the symbol's own precision")
        let info = try JSONValue(parsing: world.get("/fapi/v1/exchangeInfo").body)
        #expect(info["futuresType"] == .string("U_MARGINED"))
    }

    @Test func exchangeInformation() throws {
        var world = RestWorld(testConfiguration())
        func symbols(_ target: String) throws -> [String] {
            guard case .array(let list)? = try JSONValue(parsing: world.get(target).body)["symbols"] else { return [] }
            return list.map { $0["symbol"]!.text }
        }
        #expect(try symbols("/api/v3/exchangeInfo").count == 16)
        #expect(try symbols("/api/v3/exchangeInfo?symbol=ETHUSDT") == ["ETHUSDT"])
        #expect(try symbols("/api/v3/exchangeInfo?symbols=%5B%22ETHUSDT%22,%22BTCUSDT%22%5D") == ["ETHUSDT", "BTCUSDT"])
        #expect(code(of: world.get("/api/v3/exchangeInfo?symbol=NOPE")) == -1121)
    }

    // MARK: Handshake

    private func decide(_ target: String, _ market: Market = .spot) -> Handshake.Decision {
        Handshake.decide(
            request(target, headers: ["sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="]),
            configuration: testConfiguration(market: market))
    }

    @Test func paths() {
        func open(_ combined: Bool, _ streams: [String], _ unit: TimeUnit = .millisecond, _ route: Route = .all) -> Handshake.Decision {
            .open(StreamOpening(isCombined: combined, streams: streams, unit: unit, route: route))
        }
        #expect(decide("/ws") == open(false, []))
        #expect(decide("/ws/btcusdt@kline_1m/ethusdt@kline_1m") == open(false, ["btcusdt@kline_1m", "ethusdt@kline_1m"]))
        #expect(
            decide("/ws/btcusdt%40kline_1d%40%2B08%3A00?timeUnit=MICROSECOND") == open(false, ["btcusdt@kline_1d@+08:00"], .microsecond))
        #expect(decide("/stream") == open(true, []))
        #expect(
            decide("/stream?streams=a@kline_1m/b@kline_1d@+08:00&timeUnit=microsecond")
                == open(true, ["a@kline_1m", "b@kline_1d@+08:00"], .microsecond))
        #expect(decide("/market/ws/btcusdt@kline_1m") == .refuse(404))
        #expect(decide("/market/stream", .um) == open(true, [], .millisecond, .market))
        #expect(decide("/public/ws", .um) == open(false, [], .millisecond, .book))
        #expect(decide("/ws", .um) == open(false, [], .millisecond, .book))
        #expect(decide("/elsewhere") == .refuse(404))
        #expect(decide("/ws/" + String(repeating: "a", count: 8_100)) == .refuse(414))
        #expect(decide("/ws/%zz") == .refuse(400))
        #expect(Handshake.decide(request("/ws"), configuration: testConfiguration()) == .refuse(400))
    }

    @Test func heads() {
        let text = "GET /ws?x=1 HTTP/1.1\r\nHost: a\r\nUpgrade:  WebSocket \r\n\r\nrest"
        guard case .complete(let head) = RequestHead.parse(Array(text.utf8)) else { return #expect(Bool(false)) }
        #expect(head.headers == ["host": "a", "upgrade": "WebSocket"] && head.byteCount == text.utf8.count - 4)
        for count in 0..<head.byteCount { #expect(RequestHead.parse(Array(text.utf8.prefix(count))) == .needsMore) }
        #expect(RequestHead.parse(Array("nonsense\r\n\r\n".utf8)) == .malformed)
    }

    @Test func connectLimit() {
        var ledger = ConnectLedger(perWindowMax: 2)
        let verdicts = [0, 1, 2, 300_002].map { ledger.admit("a", nowMs: Int64($0) + 1) }
        #expect(verdicts == [true, true, false, true])
    }
}
