// The history script inside a real redis-server.

import FastFeed
import RedisServer
import TestKit
import Testing

@Suite(.serialized) final class HistoryScriptTests {
    private let server: RedisServerProcess
    private let redis: RedisClient
    private let key = "candles:{btcusdt}:1m"

    init() throws {
        var options = RedisServerProcess.Options()
        options.arguments = ["--appendonly", "no"]
        server = try RedisServerProcess(options)
        redis = try RedisClient.connect(server.endpoint)
    }

    deinit { redis.close() }

    private func script(_ candle: CandleRecord, keep: Int = 1_500) throws -> RedisReply {
        try redis.command(["EVAL", HistoryScript.source, "1", key, "\(candle.openTimeMs)", "\(keep)"] + RESPText.fields(candle))
    }

    private func append(_ candle: CandleRecord) throws -> RedisReply {
        try redis.command(["XADD", key, "MAXLEN", "~", "1500", "\(candle.openTimeMs)-0"] + RESPText.fields(candle))
    }

    private func entries() throws -> [(id: String, fields: [String])] {
        try redis.command("XRANGE", key, "-", "+").elements.map { ($0.elements[0].text!, $0.elements[1].strings) }
    }

    private func ids() throws -> [Int64] { try entries().map { (Int64($0.id.prefix { $0 != "-" }) ?? -1) / 60_000 } }

    private func candle(_ number: Int64) -> CandleRecord { .sample(number, closed: true) }

    @Test func newThenSameThenCorrected() throws {
        #expect(try script(candle(5)) == .integer(1))
        #expect(try script(candle(5)) == .integer(0))
        var healed = candle(5)
        healed.source = .backfill
        #expect(try script(healed) == .integer(0), "who says it makes no other value")
        #expect(try entries().map(\.fields) == [RESPText.fields(candle(5))])
        for revision in 1...3 {
            healed.volume = DecimalText("99.\(revision)")!
            #expect(try script(healed) == .integer(2))
            #expect(try script(healed) == .integer(0))
            #expect(try entries().map(\.fields) == [RESPText.fields(healed, revision: revision)])
        }
    }

    @Test(arguments: seeds) func anyOrderGivesTheSameHistory(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        _ = try redis.command("DEL", key)
        var numbers = Array(Int64(1)...40)
        numbers.shuffle(using: &random)
        for number in numbers {
            if try append(candle(number)).text == nil { #expect(try script(candle(number)) == .integer(1), "seed \(seed): \(number)") }
            // Twice, as after a reconnect or from a second writer.
            if random.chance(30) { #expect(try script(candle(random.pick(numbers.filter { $0 == number }))) == .integer(0)) }
        }
        #expect(try ids() == Array(1...40), "seed \(seed)")
        #expect(try entries().map(\.fields) == (1...40).map { RESPText.fields(candle($0)) })
        // The last id is right again: a newer candle is simply appended, an older one is not.
        #expect(try append(candle(41)).text == "2460000-0")
        guard case .error(let text) = try append(candle(3)) else {
            Issue.record("an old candle was appended")
            return
        }
        #expect(ReplyVerdict(error: text) == .notNewest)
    }

    @Test func correctionInTheMiddleKeepsItsPlace() throws {
        for number: Int64 in 1...5 { _ = try append(candle(number)) }
        var corrected = candle(3)
        corrected.close = DecimalText("1")!
        #expect(try script(corrected) == .integer(2))
        #expect(try ids() == [1, 2, 3, 4, 5])
        #expect(try entries()[2].fields == RESPText.fields(corrected, revision: 1))
        // Revisions of the others stay as they were.
        #expect(try entries()[4].fields == RESPText.fields(candle(5)))
    }

    @Test func olderThanAFullHistoryIsRefused() throws {
        for number: Int64 in 10...14 { _ = try append(candle(number)) }
        #expect(try script(candle(5), keep: 5) == .integer(3))
        #expect(try ids() == [10, 11, 12, 13, 14])
        #expect(try script(candle(5), keep: 6) == .integer(1), "there is room for one more")
        #expect(try ids() == [5, 10, 11, 12, 13, 14])
        #expect(try append(candle(15)).text != nil)
    }

    @Test func consumerGroupsSurvive() throws {
        for number: Int64 in [1, 2, 4] { _ = try append(candle(number)) }
        #expect(try redis.command("XGROUP", "CREATE", key, "workers", "0").text == "OK")
        _ = try redis.command("XREADGROUP", "GROUP", "workers", "w", "COUNT", "2", "STREAMS", key, ">")
        #expect(try script(candle(3)) == .integer(1))
        #expect(try ids() == [1, 2, 3, 4])
        let rest = try redis.command("XREADGROUP", "GROUP", "workers", "w", "STREAMS", key, ">")
        let read = rest.elements.first?.elements[1].elements.map { $0.elements[0].text }
        #expect(read == ["180000-0", "240000-0"], "what was put in behind the group's place is read, and nothing twice")
        // Acknowledging works on ids that were taken off and appended again.
        #expect(try redis.command("XACK", key, "workers", "60000-0", "120000-0", "240000-0") == .integer(3))
    }

    @Test func otherKeysAreLeftAlone() throws {
        _ = try redis.command("SET", key, "x")
        guard case .error(let text) = try script(candle(1)) else {
            Issue.record("a string was taken for a history")
            return
        }
        #expect(ReplyVerdict(error: text) == .never, "\(text)")
        #expect(try redis.command("GET", key).text == "x")
    }
}
