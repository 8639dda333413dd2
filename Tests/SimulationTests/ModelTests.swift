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
        // One node for all, so that nothing is trimmed: the model does not trim.
        for limit in ["stream-node-max-bytes", "stream-node-max-entries"] { _ = try client.command("CONFIG", "SET", limit, "0") }
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
            func entries(_ key: String) throws -> [(id: String, fields: [String])] {
                try client.command("XRANGE", key, "-", "+").elements.map { ($0.elements[0].text ?? "", $0.elements[1].strings) }
            }
            #expect(try entries(key).map { [$0.id] + $0.fields } == model.dump(key))
            let changes = ModelTests.changesKey(key)
            #expect(try entries(changes).map(\.fields) == model.changes(changes))
        }
    }

    @Test("A script is known by its name once it was loaded or sent, and not before")
    func scriptNames() throws {
        let server = try RedisServerProcess()
        defer { server.stop() }
        let client = try RedisClient.connect(server.endpoint)
        var model = RedisDatabase()
        let arguments = ["2", "candles:{a}:1s", "changes:{a}:1s", "5", "5", "1000-0"] + (0..<14).map(String.init)
        let name = String(repeating: "0", count: 40)
        let refusal = try ModelTests.text(client, ["EVALSHA", name] + arguments)
        // What follows the word is each server's own.
        for text in [refusal, model.run(["EVALSHA", name] + arguments)] { #expect(text.hasPrefix("-NOSCRIPT "), "\(text)") }
        let loaded = try #require(try client.command("SCRIPT", "LOAD", MergeScript.source).text)
        let modelled = String(model.run(["SCRIPT", "LOAD", MergeScript.source]).split(separator: "\r\n")[1])
        #expect(loaded.utf8.count == modelled.utf8.count)
        for count in [1, 0] {
            #expect(try ModelTests.text(client, ["EVALSHA", loaded] + arguments) == ":\(count)")
            #expect(model.run(["EVALSHA", modelled] + arguments) == ":\(count)\r\n")
        }
    }

    private static func changesKey(_ key: String) -> String { "changes" + key.dropFirst("candles".count) }

    private static func command(_ keys: [String], _ random: inout SplitMix64) -> [String] {
        func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
        let key = keys[number(0...1)]
        // Few open times and few values, so that everything meets.
        func values() -> [String] {
            let ids = number(0...2) == 0 ? ["-1", "-1"] : ["20", "2\(number(0...1) * number(0...1))"]
            return (0..<10).map { "\($0).\(number(0...14) == 0 ? 1 : 0)" } + ids + [number(0...1) == 0 ? "live" : "backfill", "0"]
        }
        let open = number(1...40)
        switch number(0...3) {
        case 0 where number(0...3) == 0: return ["HDEL", "latest:1s", "f\(number(0...3))"]
        case 0: return ["HSET", "latest:1s", "f\(number(0...3))", "{\(number(0...9))}", "g", "x"]
        case 1:
            let run = (open..<(open + number(1...8))).filter { _ in number(0...4) > 0 }
            let candles = (run.isEmpty ? [open] : run).flatMap { open in
                ["\(open * 1_000)-0"] + (number(0...9) == 0 ? Array(repeating: "", count: 14) : values())
            }
            let head = ["EVAL", MergeScript.source, "2", key, changesKey(key), number(0...3) == 0 ? "20" : "100000", "100000"]
            return head + candles + (number(0...4) == 0 ? ["NX"] : [])
        default:
            let fields = zip(CandleField.allCases, values()).flatMap { [$0.rawValue, $1] }
            return ["XADD", key, "MAXLEN", "~", "100000", "\(open * 1_000)-0"] + fields
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
