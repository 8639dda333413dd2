// The merge script inside a real redis-server, each kind of change alone. (Many of them, under readers: MergeScriptRoundTests.)

import FastFeed
import RedisServer
import TestKit
import Testing

/// A server, a history and its changes, and calls of the script.
final class MergeRig {
    /// A candle of a run; nil removes the entry.
    typealias Run = [(id: String, values: [String]?)]

    let server: RedisServerProcess
    let redis: RedisClient
    let key = "candles:{btcusdt}:1m"
    let changesKey = "changes:{btcusdt}:1m"
    private var sha = ""

    init() throws {
        var options = RedisServerProcess.Options()
        options.arguments = ["--appendonly", "no"]
        server = try RedisServerProcess(options)
        redis = try RedisClient.connect(server.endpoint)
        sha = try redis.command("SCRIPT", "LOAD", MergeScript.source).text ?? ""
    }

    deinit { redis.close() }

    static func values(_ candle: CandleRecord) -> [String] { CandleField.texts(candle).map(\.1) }

    func merge(_ run: Run, keep: Int = 100_000, isOnlyNew: Bool = false) throws -> RedisReply {
        let empty = Array(repeating: "", count: CandleField.allCases.count)
        return try redis.command(
            ["EVALSHA", sha, "2", key, changesKey, "\(keep)", "1000"] + run.flatMap { [$0.id] + ($0.values ?? empty) }
                + (isOnlyNew ? ["NX"] : []))
    }

    func merge(_ candles: CandleRecord..., keep: Int = 100_000) throws -> RedisReply {
        try merge(candles.map { ("\($0.openTimeMs)-0", MergeRig.values($0)) }, keep: keep)
    }

    func append(_ candle: CandleRecord) throws -> RedisReply {
        try redis.command(["XADD", key, "MAXLEN", "~", "100000", "\(candle.openTimeMs)-0"] + RESPText.fields(candle))
    }

    func entries(_ key: String? = nil) throws -> [(id: String, fields: [String])] {
        try redis.command("XRANGE", key ?? self.key, "-", "+").elements.map { ($0.elements[0].text!, $0.elements[1].strings) }
    }

    /// Open times in minutes.
    func ids() throws -> [Int64] { try entries().map { (Int64($0.id.prefix { $0 != "-" }) ?? -1) / 60_000 } }

    /// Open time in minutes, kind and revision of each change.
    func changes() throws -> [String] {
        try entries(changesKey).map { entry in
            #expect([0, 2, 4, 6].map { entry.fields[$0] } == ["open_time", "kind", "revision", "source"])
            return "\(Int64(entry.fields[1])! / 60_000) \(entry.fields[3]) \(entry.fields[5]) \(entry.fields[7])"
        }
    }

    /// A reply of names and values.
    static func pairs(_ reply: RedisReply) -> [String: RedisReply] {
        let elements = reply.elements
        return Dictionary(
            uniqueKeysWithValues: stride(from: 0, to: elements.count - 1, by: 2).map { (elements[$0].text ?? "", elements[$0 + 1]) })
    }

    func stream() throws -> [String: RedisReply] { MergeRig.pairs(try redis.command("XINFO", "STREAM", key)) }
}

@Suite(.serialized) final class MergeScriptTests {
    private let rig: MergeRig

    init() throws { rig = try MergeRig() }

    private func candle(_ number: Int64) -> CandleRecord { .sample(number, closed: true) }

    @Test func newThenSameThenCorrected() throws {
        #expect(try rig.merge(candle(5)) == .integer(1))
        #expect(try rig.merge(candle(5)) == .integer(0))
        var healed = candle(5)
        healed.source = .backfill
        #expect(try rig.merge(healed) == .integer(0), "who says it makes no other value")
        #expect(try rig.entries().map(\.fields) == [RESPText.fields(candle(5))])
        #expect(try rig.changes() == [], "what is appended is read at the end")
        for revision in 1...3 {
            healed.volume = DecimalText("99.\(revision)")!
            #expect(try rig.merge(healed) == .integer(1))
            #expect(try rig.merge(healed) == .integer(0))
            #expect(try rig.entries().map(\.fields) == [RESPText.fields(healed, revision: revision)])
        }
        #expect(try rig.changes() == (1...3).map { "5 corrected \($0) backfill" })
    }

    @Test("A run appends, inserts, corrects, removes, and leaves the rest as it is")
    func mixedRun() throws {
        for number: Int64 in [1, 2, 4, 6] { _ = try rig.append(candle(number)) }
        _ = try rig.redis.command("XADD", rig.key, "360000-7", "note", "x")
        var corrected = candle(4)
        corrected.close = DecimalText("1")!
        var run: MergeRig.Run = [candle(2), candle(3), corrected, candle(5), candle(6)].map { ("\($0.openTimeMs)-0", MergeRig.values($0)) }
        run += [("360000-7", nil), ("420000-0", MergeRig.values(candle(7))), ("480000-0", nil)]
        #expect(try rig.merge(run) == .integer(5))
        #expect(try rig.ids() == [1, 2, 3, 4, 5, 6, 7])
        #expect(try rig.changes() == ["3 inserted 0 live", "4 corrected 1 live", "5 inserted 0 live", "6 removed 0 "])
        let expected = (1...7).map { $0 == 4 ? RESPText.fields(corrected, revision: 1) : RESPText.fields(candle($0)) }
        #expect(try rig.entries().map(\.fields) == expected)
        #expect(try rig.merge(run) == .integer(0))
        #expect(try rig.append(candle(8)).text == "480000-0")
    }

    @Test("Of a series that was taken over what is there stays, and what is missing comes into its place")
    func onlyNew() throws {
        var corrected = candle(4)
        corrected.close = DecimalText("1")!
        for one in [candle(2), corrected, candle(6)] { _ = try rig.append(one) }
        let run: MergeRig.Run = [2, 4, 5, 6, 7].map { ("\(candle($0).openTimeMs)-0", MergeRig.values(candle($0))) }
        #expect(try rig.merge(run, isOnlyNew: true) == .integer(2))
        let expected = [candle(2), corrected, candle(5), candle(6), candle(7)].map { RESPText.fields($0) }
        #expect(try rig.entries().map(\.fields) == expected)
        #expect(try rig.changes() == ["5 inserted 0 live"])
        #expect(try rig.merge(run, isOnlyNew: true) == .integer(0))
        #expect(try rig.merge(run) == .integer(1), "without the word the bar is corrected")
        #expect(try rig.merge([("600000-0", MergeRig.values(candle(10)))], isOnlyNew: true) == .integer(1))
    }

    @Test("Trade ids that one side does not know make no other value, and known ones are kept")
    func tradeIDs() throws {
        _ = try rig.append(candle(5))
        var rest = candle(5)
        (rest.firstTradeID, rest.lastTradeID) = (-1, -1)
        #expect(try rig.merge(rest) == .integer(0))
        rest.volume = DecimalText("9")!
        #expect(try rig.merge(rest) == .integer(1))
        var kept = rest
        (kept.firstTradeID, kept.lastTradeID) = (50, 54)
        #expect(try rig.entries().map(\.fields) == [RESPText.fields(kept, revision: 1)])
        kept.lastTradeID = 55
        #expect(try rig.merge(kept) == .integer(1), "two that know differ")
        #expect(try rig.entries().map(\.fields) == [RESPText.fields(kept, revision: 2)])
    }

    @Test("An entry with other fields than a candle's is corrected")
    func otherFields() throws {
        let fields = RESPText.fields(candle(2))
        for strange in [["a", "b"], fields + ["note", "x"], Array(fields.dropLast(2)), fields.dropLast(2) + ["note", "x"]] {
            _ = try rig.redis.command("DEL", rig.key)
            _ = try rig.redis.command(["XADD", rig.key, "120000-0"] + strange)
            _ = try rig.append(candle(3))
            #expect(try rig.merge(candle(2)) == .integer(1), "\(strange)")
            #expect(try rig.entries().map(\.fields) == [RESPText.fields(candle(2), revision: 1), RESPText.fields(candle(3))])
        }
        let strangeID = fields.map { $0 == "\(candle(2).firstTradeID)" ? "x" : $0 }
        var rest = candle(2)
        rest.firstTradeID = -1
        _ = try rig.redis.command("DEL", rig.key)
        _ = try rig.redis.command(["XADD", rig.key, "120000-0"] + strangeID)
        #expect(try rig.merge(rest) == .integer(1), "what is no number is not kept")
        let turned = stride(from: 26, through: 0, by: -2).flatMap { fields[$0...($0 + 1)] }
        _ = try rig.redis.command("DEL", rig.key)
        _ = try rig.redis.command(["XADD", rig.key, "120000-0"] + turned)
        #expect(try rig.merge(candle(2)) == .integer(0), "their order is nobody's value")
    }

    @Test(arguments: seeds) func anyOrderGivesTheSameHistory(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var numbers = Array(Int64(1)...40)
        numbers.shuffle(using: &random)
        for number in numbers {
            if try rig.append(candle(number)).text == nil {
                #expect(try rig.merge(candle(number)) == .integer(1), "seed \(seed): \(number)")
            }
            // Twice, as after a reconnect or from a second writer.
            if random.chance(30) { #expect(try rig.merge(candle(number)) == .integer(0)) }
        }
        #expect(try rig.ids() == Array(1...40), "seed \(seed)")
        #expect(try rig.entries().map(\.fields) == (1...40).map { RESPText.fields(candle($0)) })
        // The last id is right again: a newer candle is simply appended, an older one is not.
        #expect(try rig.append(candle(41)).text == "2460000-0")
        guard case .error(let text) = try rig.append(candle(3)) else {
            Issue.record("an old candle was appended")
            return
        }
        #expect(ReplyVerdict(error: text) == .notNewest)
    }

    @Test func olderThanAFullHistoryIsPassedOver() throws {
        for number: Int64 in 10...14 { _ = try rig.append(candle(number)) }
        #expect(try rig.merge(candle(5), candle(11), keep: 5) == .integer(0))
        #expect(try rig.ids() == [10, 11, 12, 13, 14])
        #expect(try rig.merge(candle(5), keep: 6) == .integer(1), "there is room for one more")
        #expect(try rig.ids() == [5, 10, 11, 12, 13, 14])
        #expect(try rig.append(candle(15)).text != nil)
    }

    @Test("A history of foreign entries alone is emptied, and begins again")
    func emptied() throws {
        for place in 1...3 { _ = try rig.redis.command("XADD", rig.key, "9000000000000-\(place)", "a", "b") }
        #expect(try rig.merge((1...3).map { ("9000000000000-\($0)", nil) }) == .integer(3))
        #expect(try rig.append(candle(1)).text == "60000-0")
        #expect(try rig.ids() == [1])
    }

    @Test("Twelve thousand entries behind, in more commands than Lua hands values to one")
    func farBehind() throws {
        _ = try rig.redis.pipeline((2...12_001).map { ["XADD", rig.key, "\($0 * 60_000)-0", "n", "\($0)"] })
        #expect(try rig.merge(candle(1)) == .integer(1))
        #expect(try rig.ids() == Array(1...12_001))
    }

    @Test("What cannot be done is refused before anything is changed")
    func refusals() throws {
        for number: Int64 in [1, 2, 4] { _ = try rig.append(candle(number)) }
        let before = try rig.entries().map { [$0.id] + $0.fields }
        func refused(_ verdict: ReplyVerdict?, _ run: CandleRecord..., sourceLocation: SourceLocation = #_sourceLocation) throws {
            guard case .error(let text) = try rig.merge(run.map { ("\($0.openTimeMs)-0", MergeRig.values($0)) }) else {
                Issue.record("it was taken", sourceLocation: sourceLocation)
                return
            }
            if let verdict { #expect(ReplyVerdict(error: text) == verdict, "\(text)", sourceLocation: sourceLocation) }
            #expect(try rig.entries().map { [$0.id] + $0.fields } == before, sourceLocation: sourceLocation)
        }
        try refused(nil, candle(5), candle(3))
        try refused(nil, candle(0), candle(3))
        // The changes are something else.
        _ = try rig.redis.command("SET", rig.changesKey, "x")
        try refused(.never, candle(3))
        _ = try rig.redis.command("DEL", rig.changesKey)
        _ = try rig.redis.command("CONFIG", "SET", "maxmemory", "1")
        try refused(.later, candle(3))
        _ = try rig.redis.command("CONFIG", "SET", "maxmemory", "0")
        for command in ["xsetid", "xdel", "xadd"] {
            _ = try rig.redis.command("ACL", "SETUSER", "default", "-\(command)")
            try refused(.apart, candle(3))
            _ = try rig.redis.command("ACL", "SETUSER", "default", "+\(command)")
        }
        #expect(try rig.changes() == [])
        // The history is something else.
        _ = try rig.redis.command("SET", rig.key, "x")
        guard case .error(let text) = try rig.merge(candle(1)) else {
            Issue.record("a string was taken for a history")
            return
        }
        #expect(ReplyVerdict(error: text) == .never, "\(text)")
        #expect(try rig.redis.command("GET", rig.key).text == "x")
    }
}
