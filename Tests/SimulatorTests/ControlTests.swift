// The control plane as a machine: every method, every error text, every limit.

import FastFeed
import Testing
import VenueSimulator

struct ControlTests {
    private func session(_ configuration: SimulatorConfiguration, combined: Bool = false, route: Route = .all) -> ControlSession {
        ControlSession(configuration: configuration, isCombined: combined, route: route)
    }

    /// What one message leads to on a fresh spot connection.
    private func answer(_ text: String, _ configuration: SimulatorConfiguration = testConfiguration()) -> [ControlAction] {
        var fresh = session(configuration, route: configuration.market == .um ? .market : .all)
        return fresh.receive(Array(text.utf8))
    }

    @Test func theFiveMethods() {
        var one = session(testConfiguration())
        func say(_ text: String) -> [ControlAction] { one.receive(Array(text.utf8)) }
        #expect(
            say(#"{"method":"SUBSCRIBE","params":["btcusdt@kline_1m","ethusdt@aggTrade"],"id":7}"#)
                == [.subscribe("btcusdt@kline_1m"), .reply(#"{"result":null,"id":7}"#)])
        #expect(
            say(#"{"id":"a-1","method":"LIST_SUBSCRIPTIONS"}"#)
                == [.reply(#"{"result":["btcusdt@kline_1m","ethusdt@aggTrade"],"id":"a-1"}"#)])
        #expect(
            say(#"{"method":"SUBSCRIBE","params":["btcusdt@kline_1m"],"id":null}"#) == [
                .resubscribe("btcusdt@kline_1m"), .reply(#"{"result":null,"id":null}"#),
            ])
        #expect(say(#"{"method":"GET_PROPERTY","params":["combined"],"id":1}"#) == [.reply(#"{"result":false,"id":1}"#)])
        #expect(say(#"{"method":"SET_PROPERTY","params":["combined",true],"id":2}"#) == [.reply(#"{"result":null,"id":2}"#)])
        #expect(say(#"{"method":"GET_PROPERTY","params":["combined"],"id":3}"#) == [.reply(#"{"result":true,"id":3}"#)])
        #expect(
            say(#"{"method":"UNSUBSCRIBE","params":["btcusdt@kline_1m","x@trade"],"id":-4}"#)
                == [.unsubscribe("btcusdt@kline_1m"), .reply(#"{"result":null,"id":-4}"#)])
        #expect(one.subscriptions == ["ethusdt@aggTrade"])
    }

    @Test(arguments: [
        (#"{"method":"GET_PROPERTY","params":["speed"],"id":1}"#, 0, "Unknown property"),
        (#"{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}"#, 1, "Invalid value type: expected Boolean"),
        (#"{"method":"GET_PROPERTY","params":[1],"id":1}"#, 2, "Invalid request: property name must be a string"),
        (#"{"method":"SET_PROPERTY","params":["combined",true,1],"id":1}"#, 2, "Invalid request: too many parameters"),
        (#"{"method":"SUBSCRIBE","params":["btcusdt"],"id":1}"#, 2, "Invalid request: invalid stream"),
        (#"{"method":"SUBSCRIBE","params":["btc usdt@kline_1m"],"id":1}"#, 2, "Invalid request: invalid stream"),
        (#"{"method":"SUBSCRIBE","params":["btcusdt@kline_7m"],"id":1}"#, 2, "Invalid request: invalid stream"),
        (#"{"params":["combined"],"id":1}"#, 2, "Invalid request: missing field `method` at line 1 column 30"),
        (
            #"{"method":"HELLO","id":1}"#, 2,
            "Invalid request: unknown variant `HELLO`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY` at line 1 column 17"
        ),
    ])
    func errors(_ text: String, _ code: Int, _ message: String) {
        #expect(answer(text) == [.reply("{\"error\":{\"code\":\(code),\"msg\":\(JSONValue.quoted(message))},\"id\":1}")])
        var flat = testConfiguration()
        flat.flatErrors = true
        #expect(answer(text, flat) == [.reply("{\"code\":\(code),\"msg\":\(JSONValue.quoted(message)),\"id\":1}")])
    }

    @Test(arguments: [("{nonsense}", 2), ("", 1), ("{\"a\":1}x", 8), ("{\"a\":01}", 7), ("\u{7}", 1)])
    func brokenJSON(_ text: String, _ column: Int) {
        #expect(
            answer(text) == [
                .reply("{\"error\":{\"code\":3,\"msg\":\"Invalid JSON: expected value at line 1 column \(column)\"},\"id\":null}")
            ])
    }

    @Test func identifiersByMarket() {
        let list = { (id: String) in "{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":\(id)}" }
        let refusal = ControlAction.reply(
            "{\"error\":{\"code\":2,\"msg\":\"Invalid request: request ID must be an unsigned integer\"},\"id\":null}")
        for id in ["9223372036854775807", "-9223372036854775808", "\"abc123\"", "null"] {
            #expect(answer(list(id)) == [.reply("{\"result\":[],\"id\":\(id)}")])
        }
        for id in ["1.5", "true", "[1]", "\"\(String(repeating: "a", count: 37))\""] { #expect(answer(list(id)) == [refusal]) }
        let um = testConfiguration(market: .um)
        #expect(answer(list("18446744073709551615"), um) == [.reply("{\"result\":[],\"id\":18446744073709551615}")])
        for id in ["-1", "\"b1\""] { #expect(answer(list(id), um) == [refusal]) }
    }

    @Test func silenceAndRoutes() {
        // Unknown symbols are acknowledged like known ones; whether they speak is the engine's business.
        #expect(answer(#"{"method":"SUBSCRIBE","params":["nosuchcoin@kline_1m"],"id":1}"#).last == .reply(#"{"result":null,"id":1}"#))
        let um = testConfiguration(market: .um)
        let subscribe = Array(#"{"method":"SUBSCRIBE","params":["btcusdt@kline_1m"],"id":1}"#.utf8)
        var wrong = session(um, route: .book)
        #expect(wrong.receive(subscribe) == [.reply(#"{"result":null,"id":1}"#)])
        var right = session(um, route: .market)
        #expect(right.receive(subscribe).count == 2)
        #expect(answer(#"{"method":"SUBSCRIBE","params":["btcusdt@kline_1s"],"id":1}"#, um).count == 1)
    }

    @Test func limits() {
        let names = (0..<200).map { "\"sim\($0)usdt@kline_1m\"" }.joined(separator: ",")
        #expect(answer("{\"method\":\"SUBSCRIBE\",\"params\":[\(names)],\"id\":1}") == [], "larger than 4096 bytes")
        var configuration = testConfiguration()
        configuration.streamsPerConnectionMax = 2
        let three = #"{"method":"SUBSCRIBE","params":["a@kline_1m","b@kline_1m","c@kline_1m"],"id":1}"#
        #expect(answer(three, configuration) == [.reply(#"{"error":{"code":2,"msg":"Invalid request: too many streams"},"id":1}"#)])
        configuration.excessStreams = .ignore
        #expect(answer(three, configuration).count == 3)
        configuration.excessStreams = .close
        #expect(answer(three, configuration) == [.close(code: 1008, reason: "Too many streams")])
    }

    @Test func messageRate() {
        var rate = MessageRate(perSecondMax: 5)
        for time in 0..<5 { let ok = rate.admit(nowMs: Int64(1_000 + time)); #expect(ok) }
        let sixth = rate.admit(nowMs: 1_999)
        let later = rate.admit(nowMs: 2_000)
        #expect(!sixth && later)
    }

    @Test(arguments: [
        ("btcusdt@kline_1M", StreamName.Meaning.kline(symbol: "btcusdt", interval: .month1, offsetMs: 0)),
        ("btcusdt@kline_1d@+08:00", .kline(symbol: "btcusdt", interval: .d1, offsetMs: 28_800_000)),
        ("btcusdt@kline_1d@+09:00", .malformed), ("@kline_1d", .malformed), ("btcusdt@kline_", .malformed),
        ("!miniTicker@arr", .market), ("btcusdt@depth@100ms", .book), ("btcusdt@depth@7ms", .malformed), ("btcusdt@nothing", .malformed),
    ])
    func names(_ name: String, _ meaning: StreamName.Meaning) { #expect(StreamName.meaning(of: name, market: .spot) == meaning) }

    @Test func jsonReader() throws {
        let value = try JSONValue(parsing: Array(#" {"a":[1,-2,3.5,"x\u00e9\ud83d\ude00\n",true,null],"b":{}} "#.utf8))
        #expect(value["a"] == .array([.integer(1), .integer(-2), .number("3.5"), .string("xé😀\n"), .bool(true), .null]))
        #expect(value["b"] == .object([]))
        let deep = String(repeating: "[", count: 100)
        #expect(throws: JSONValue.SyntaxError.self) { try JSONValue(parsing: Array(deep.utf8)) }
    }
}
