// The catalogue's keys, against a small model of Redis: exactly what the newest lists say, whatever was there before.

import FastFeed
import TestKit
import Testing

/// As much of Redis as the catalogue uses.
private struct Keyspace {
    var hashes: [String: [String: String]] = [:]
    var sets: [String: Set<String>] = [:]
    var sorted: [String: [String: String]] = [:]
    var texts: [String: String] = [:]
    /// What it refuses, by the command's name, and in which words.
    var refusals: [String: String] = [:]
    var commands: [String: Int] = [:]

    mutating func run(_ command: [String]) -> RedisReply {
        commands[command[0], default: 0] += 1
        if let words = refusals[command[0]] { return .error(words) }
        let (key, rest) = (command[1], Array(command.dropFirst(2)))
        if !fits(key, command[0]) { return .error("WRONGTYPE Operation against a key holding the wrong kind of value") }
        let pairs = stride(from: 0, to: rest.count - 1, by: 2).map { (rest[$0], rest[$0 + 1]) }
        switch command[0] {
        case "SMEMBERS": return .array((sets[key] ?? []).map { .bytes(Array($0.utf8)) })
        case "HSET": for (field, value) in pairs { hashes[key, default: [:]][field] = value }
        case "SADD": sets[key, default: []].formUnion(rest)
        case "SREM":
            sets[key]?.subtract(rest)
            if sets[key]?.isEmpty == true { sets[key] = nil }
        case "DEL": for key in command.dropFirst() { (hashes[key], sets[key], sorted[key], texts[key]) = (nil, nil, nil, nil) }
        case "SET": texts[key] = rest[0]
        // The script that replaces an index: SystemTests run it. Two keys, the command, what it is given.
        case "EVAL":
            let (index, values) = (command[3], Array(command.dropFirst(6)))
            (hashes[index], sets[index], sorted[index], texts[index]) = (nil, nil, nil, nil)
            if command[5] == "SADD" { sets[index] = Set(values) }
            if command[5] == "ZADD" {
                sorted[index] = Dictionary(
                    uniqueKeysWithValues: stride(from: 0, to: values.count, by: 2).map { (values[$0 + 1], values[$0]) })
            }
        default: Issue.record("\(command)")
        }
        return .bytes(Array("OK".utf8))
    }

    private func fits(_ key: String, _ command: String) -> Bool {
        switch command {
        case "HSET": sets[key] == nil && sorted[key] == nil && texts[key] == nil
        case "SADD", "SREM", "SMEMBERS": hashes[key] == nil && sorted[key] == nil && texts[key] == nil
        default: true
        }
    }

    var keys: Set<String> { Set(hashes.keys).union(sets.keys).union(sorted.keys).union(texts.keys) }
}

struct CatalogueIndexTests {
    private var catalogue = Catalogue(schema: KeySchema(prefix: "p:", market: .um))
    private var redis = Keyspace()
    private var nowNs: UInt64 = 1

    private mutating func learn(_ names: [(String, String)], _ volumes: [(String, String)]) {
        catalogue.learn(names.map { CatalogueTests.instrument($0, $1) })
        catalogue.learn(CatalogueTests.figures(volumes), nowMs: 1_000, nowNs: nowNs)
    }

    /// - Parameter most: commands after which the process is gone.
    /// - Returns: what Redis has refused.
    @discardableResult
    private mutating func write(most: Int = .max) -> String? {
        var left = most
        if let question = catalogue.index.question(nowNs: nowNs) {
            if let refusal = catalogue.index.learn(question.map { redis.run($0) }, nowNs: nowNs) { return refusal }
        }
        while left > 0 {
            let commands = catalogue.index.take(nowMs: 7, max: min(left, 3))
            if commands.isEmpty { break }
            #expect(commands.allSatisfy { $0[0] == "EVAL" || $0.count <= Limits.catalogueChunkMax + 2 })
            let replies = commands.map { redis.run($0) }
            if let refusal = catalogue.index.settle(commands, replies, nowNs: nowNs) { return refusal }
            left -= commands.count
        }
        return nil
    }

    private func expectExactly(_ names: [(String, String)], _ comment: Comment? = nil) {
        let rows = catalogue.rows
        #expect(rows.map(\.symbol.name).sorted() == names.map(\.0).sorted(), comment)
        var wanted: [String: Set<String>] = ["all": Set(names.map(\.0)), "quotes": [], "statuses": []]
        for row in rows {
            if !row.quote.isEmpty {
                wanted["quotes"]!.insert(row.quote.lowercased())
                wanted["quote:" + row.quote.lowercased(), default: []].insert(row.symbol.name)
            }
            wanted["statuses"]!.insert(row.status.lowercased())
            wanted["status:" + row.status.lowercased(), default: []].insert(row.symbol.name)
        }
        let sets = Dictionary(uniqueKeysWithValues: wanted.filter { !$0.value.isEmpty }.map { ("p:symbols:{um:symbols}:" + $0, $1) })
        #expect(redis.sets == sets, comment)
        let volumes = Dictionary(uniqueKeysWithValues: rows.map { ($0.symbol.name, $0.quoteVolume?.description ?? "0") })
        #expect(redis.sorted == ["p:symbols:{um:symbols}:by_volume": volumes], comment)
        #expect(redis.texts == ["p:symbols:{um:symbols}:updated_at": "1000"], comment)
        #expect(Set(redis.hashes.keys) == Set(names.map { "p:symbol:{um:symbols}:" + $0.0 }), comment)
        for row in rows {
            var fields = Dictionary(uniqueKeysWithValues: row.hash)
            fields["updated_at"] = "7"
            #expect(redis.hashes["p:symbol:{um:symbols}:\(row.symbol)"] == fields, comment)
        }
    }

    @Test mutating func everyKeyFollowsTheList() {
        let first = [("btcusdt", "TRADING"), ("ethbtc", "TRADING"), ("lunausdt", "BREAK"), ("x", "NEW_ONE")]
        learn(first, [("btcusdt", "12.5"), ("ethbtc", "3")])
        write()
        expectExactly(first)
        #expect(redis.hashes["p:symbol:{um:symbols}:x"]?["quote"] == "" && redis.hashes["p:symbol:{um:symbols}:x"]?["trades"] == "")
        let hashes = redis.commands["HSET"]

        // Of one the volume has changed, one has another status, one is new, two are gone.
        let second = [("btcusdt", "TRADING"), ("lunausdt", "TRADING"), ("newusdt", "PENDING_TRADING")]
        learn(second, [("btcusdt", "13")])
        write()
        expectExactly(second, "a set that nobody is in any more is gone")
        #expect(redis.commands["HSET"]! - hashes! == 3)

        // Nothing new: nothing to write.
        let before = redis.commands
        learn(second, [("btcusdt", "13")])
        write()
        #expect(redis.commands == before && catalogue.index.dueNs == .max)
    }

    /// A process that was killed after any command leaves nothing behind for ever.
    @Test mutating func leftoversOfAnyMomentGo() {
        let first = [("ausdt", "TRADING"), ("bbtc", "BREAK"), ("cusdt", "HALT"), ("d", "TRADING")]
        let second = [("ausdt", "TRADING"), ("ebtc", "TRADING")]
        for count in 0..<60 {
            (redis, catalogue) = (Keyspace(), Catalogue(schema: KeySchema(prefix: "p:", market: .um)))
            learn(first, [("ausdt", "1")])
            write(most: count)
            catalogue = Catalogue(schema: KeySchema(prefix: "p:", market: .um))
            learn(second, [("ebtc", "2")])
            write()
            expectExactly(second, "after \(count)")
        }
    }

    @Test mutating func strangersInTheBooks() {
        learn([("ausdt", "TRADING")], [])
        redis.sets["p:symbols:{um:symbols}:all"] = ["gone", "../x", "A", "with space", "*"]
        redis.sets["p:symbols:{um:symbols}:quotes"] = ["busd", "\u{202E}"]
        redis.sets["p:symbols:{um:symbols}:quote:busd"] = ["gone"]
        redis.hashes["p:symbol:{um:symbols}:gone"] = ["symbol": "gone"]
        write()
        expectExactly([("ausdt", "TRADING")])
    }

    @Test mutating func whatRedisHasLostIsThereAgain() {
        let list = [("ausdt", "TRADING"), ("bbtc", "BREAK")]
        learn(list, [])
        write()
        redis = Keyspace()
        catalogue.index.doubt()
        #expect(catalogue.index.question(nowNs: nowNs + 1) == nil, "not at once, where keys are lost again and again")
        nowNs = catalogue.index.dueNs
        write()
        expectExactly(list, "after a minute")
        redis = Keyspace()
        nowNs += 3_600_000_000_000
        learn(list, [])
        write()
        expectExactly(list, "what nobody has seen: after an hour")
        redis = Keyspace()
        catalogue.index.forget()
        write()
        expectExactly(list, "a new connection")
    }

    @Test mutating func manySymbolsInChunks() {
        let list = (0..<1_234).map { ("s\($0)usdt", "TRADING") }
        learn(list, [])
        write()
        expectExactly(list)
        #expect(redis.commands["SADD"] == 5 && redis.commands["HSET"] == 1_234 && redis.commands["EVAL"] == 3)
    }

    /// Every key is in a name space of its own: what is of another type there is not somebody's to keep.
    @Test mutating func keysOfAnotherType() {
        let list = [("ausdt", "TRADING"), ("bbtc", "BREAK")]
        learn(list, [])
        for name in ["all", "quotes", "statuses", "quote:usdt", "by_volume"] { redis.texts["p:symbols:{um:symbols}:\(name)"] = "x" }
        for (name, _) in list { redis.sets["p:symbol:{um:symbols}:\(name)"] = ["x"] }
        #expect(write() == nil)
        expectExactly(list)
        #expect(catalogue.index.dueNs == .max)
    }

    @Test(arguments: ["NOPERM this user has no permissions", "ERR The user executing the script can't run this command or subcommand"])
    mutating func noRights(_ words: String) {
        learn([("ausdt", "TRADING")], [])
        for command in ["SMEMBERS", "SADD", "EVAL"] {
            redis.refusals = [command: words]
            #expect(write() == words)
            #expect(catalogue.index.question(nowNs: .max) == nil && catalogue.index.take(nowMs: 1, max: 10).isEmpty, "\(command)")
            #expect(catalogue.index.dueNs == .max, "\(command): until the connection is a new one")
            redis.refusals = [:]
            catalogue.index.forget()
            write()
            expectExactly([("ausdt", "TRADING")])
            (redis, catalogue) = (Keyspace(), Catalogue(schema: KeySchema(prefix: "p:", market: .um)))
            learn([("ausdt", "TRADING")], [])
        }
    }

    @Test(arguments: ["LOADING Redis is loading the dataset in memory", "OOM command not allowed", "READONLY You can't write"])
    mutating func refusalsThatPass(_ words: String) {
        let list = [("ausdt", "TRADING"), ("bbtc", "BREAK")]
        for (command, seconds) in [("SMEMBERS", 10), ("SADD", 60), ("HSET", 60), ("EVAL", 60), ("SET", 60)] as [(String, UInt64)] {
            (redis, catalogue) = (Keyspace(), Catalogue(schema: KeySchema(prefix: "p:", market: .um)))
            learn(list, [])
            redis.refusals = [command: words]
            #expect(write() == words)
            redis.refusals = [:]
            #expect(catalogue.index.dueNs == nowNs + seconds * 1_000_000_000, "\(command): not each turn")
            #expect(write() == nil && catalogue.index.take(nowMs: 1, max: 10).isEmpty)
            nowNs = catalogue.index.dueNs
            write()
            expectExactly(list, "\(command)")
        }
    }

    /// What Redis answers late it may have carried out in part.
    @Test mutating func aRedisThatDoesNotAnswer() {
        learn([("ausdt", "TRADING")], [])
        let question = catalogue.index.question(nowNs: nowNs) ?? []
        #expect(catalogue.index.question(nowNs: nowNs + 1) == nil, "one that does not answer is not asked each turn")
        #expect(catalogue.index.learn(question.map { redis.run($0) }, nowNs: nowNs) == nil)
        let commands = catalogue.index.take(nowMs: 1, max: 2)
        #expect(commands.count == 2 && catalogue.index.settle(commands, nil, nowNs: nowNs) == nil)
        #expect(catalogue.index.take(nowMs: 1, max: 10).isEmpty && catalogue.index.dueNs > nowNs)
        nowNs = catalogue.index.dueNs
        write()
        expectExactly([("ausdt", "TRADING")])
    }
}
