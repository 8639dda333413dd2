// The model of Redis against a real one: the same commands, the same answers, the same streams.

import FastFeed
import RedisServer
import Simulation
import Testing

@Suite struct ModelTests {
    @Test(arguments: [UInt64(1), 2, 3, 4])
    func answersAsRedisDoes(seed: UInt64) throws {
        let server = try RedisServerProcess()
        defer { server.stop() }
        let client = try RedisClient.connect(server.endpoint)
        var random = SplitMix64(seed: seed)
        var model = RedisDatabase()
        let keys = ["candles:{a}:1s", "candles:{b}:1s"]
        for step in 0..<400 {
            let command = ModelTests.command(keys, &random)
            let expected = model.run(command)
            let reply = try ModelTests.text(client, command)
            #expect(
                reply == expected.split(separator: "\r\n").last.map(String.init), "step \(step): \(command.filter { $0.utf8.count < 40 })")
        }
        for key in keys {
            let entries = try client.command("XRANGE", key, "-", "+").elements.map { [$0.elements[0].text ?? ""] + $0.elements[1].strings }
            #expect(entries == model.dump(key))
        }
    }

    private static func command(_ keys: [String], _ random: inout SplitMix64) -> [String] {
        func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
        let key = keys[number(0...1)]
        // Few open times and few values, so that everything meets.
        let open = "\(number(1...40) * 1_000)"
        let names = [
            "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count", "taker_buy_volume", "taker_buy_quote_volume",
            "first_trade_id", "last_trade_id",
        ]
        let fields = names.flatMap { [$0, "\($0.utf8.count).\(number(0...9) == 0 ? 1 : 0)"] } + ["source", "live", "revision", "0"]
        switch number(0...3) {
        case 0 where number(0...3) == 0: return ["HDEL", "latest:1s", "f\(number(0...3))"]
        case 0: return ["HSET", "latest:1s", "f\(number(0...3))", "{\(number(0...9))}", "g", "x"]
        case 1: return ["EVAL", HistoryScript.source, "1", key, open, "100000"] + fields
        default: return ["XADD", key, "MAXLEN", "~", "100000", "\(open)-0"] + fields
        }
    }

    /// A reply as its last line on the wire.
    private static func text(_ client: RedisClient, _ command: [String]) throws -> String {
        let reply = try client.command(command)
        switch reply {
        case .integer(let number): return ":\(number)"
        case .error(let message): return "-\(message)"
        default: return reply.text ?? "?"
        }
    }
}
