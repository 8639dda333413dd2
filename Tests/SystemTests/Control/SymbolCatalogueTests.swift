// The exchange's instruments as a database: in a real Redis, by command, by the command line and by redis-cli's own means; what leaves
// the exchange's list leaves every index.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Symbols: the catalogue", .serialized)
struct SymbolCatalogueTests {
    private static func key(_ index: ListIndex, _ market: Market = .spot) -> String {
        KeySchema(prefix: "", market: market).listIndexKey(index)
    }

    private func members(_ client: RedisClient, _ index: ListIndex) throws -> [String] {
        try client.command("SMEMBERS", Self.key(index)).strings.sorted()
    }

    private func names(_ answer: (status: Int32, out: String, err: String)) throws -> [String] {
        let rows = try JSONValue(parsing: Array(answer.out.utf8))["symbols"]?.array ?? []
        return rows.compactMap { $0["symbol"]?.string }
    }

    @Test("Hashes, sets and ranking are what the exchange says, and what the command answers; a flux of the highest")
    func everyIndex() throws {
        let rig = try SymbolRig(["--flux", "btcusdt:1s"]) {
            $0.symbolCount = 4
            $0.extraSymbols = ["龙虾USDT", "simbtc"].map { Symbol($0)! }
            $0.symbolChanges = [SymbolChange("bnbusdt", .break)]
        }
        let all = rig.venue.symbols.map(\.symbol.name)
        try eventually(20, "the ranking: \(rig.service.errorText)") {
            try rig.client.command("ZCARD", Self.key(.byVolume)).integer == 6 && members(rig.client, .all).count == 6
        }
        #expect(try members(rig.client, .all) == all.sorted() && members(rig.client, .quotes) == ["btc", "usdt"])
        #expect(try members(rig.client, .quote("btc")) == ["simbtc"] && members(rig.client, .statuses) == ["break", "trading"])
        #expect(try members(rig.client, .status("break")) == ["bnbusdt"])
        #expect(try rig.client.command("EXISTS", Self.key(.next)).integer == 0)

        let answer = try JSONValue(parsing: Array(try rig.feedd("symbols", "--status", "any", "--json").out.utf8))
        try eventually(10, "its age") {
            try rig.client.command("GET", Self.key(.updatedAt)).text == answer["updated_at"]?.integer.map(String.init)
        }
        let rows = answer["symbols"]?.array ?? []
        #expect(rows.count == 6)
        for row in rows {
            let hash = Dictionary(try rig.client.command("HGETALL", "symbol:{symbols}:\(row["symbol"]?.string ?? "")").pairs) { $1 }
            #expect(hash["updated_at"].flatMap { Int64($0) } ?? 0 > 0 && hash.count == 9, "\(hash)")
            for member in row.members ?? [] { #expect(hash[member.key] == member.value.string ?? member.value.text, "\(member.key)") }
            let score = try rig.client.command("ZSCORE", Self.key(.byVolume), row["symbol"]?.string ?? "").text
            #expect(score.flatMap { Double($0) } == row["quote_volume"]?.string.flatMap { Double($0) })
        }
        // As docs/commands.md has it: those of one quote asset that trade, by volume.
        let ranked = try rig.client.command(
            "ZINTER", "3", Self.key(.byVolume), Self.key(.quote("usdt")), Self.key(.status("trading")), "WEIGHTS", "1", "0", "0"
        ).strings.reversed()
        #expect(try names(rig.feedd("symbols", "--quote", "usdt", "--json")) == Array(ranked) && ranked.count == 4)
        #expect(try names(rig.feedd("symbols", "虾", "--json")) == ["龙虾usdt"])
        let table = try rig.feedd("symbols", "--quote", "USDT", "--top", "2")
        #expect(table.status == 0 && table.out.hasPrefix("SYMBOL") && table.out.contains("\n2 of 4 symbols"), "\(table)")

        let created = try rig.feedd("create", "--top", "2", "--quote", "USDT", "1s", "--name", "top")
        #expect((created.status, created.out) == (0, "created top\n"), "\(created.err)")
        let flux = try JSONValue(parsing: Array(try rig.feedd("status", "top", "--json").out.utf8))
        #expect(flux["symbols"]?.string == ranked.prefix(2).sorted().joined(separator: ","), "\(flux.text)")
        let wrong = try rig.feedd("create", "--top", "2", "--quote", "NOSUCH", "1s")
        #expect(wrong.status == 1 && wrong.err.contains("trades nothing against 'NOSUCH'"), "\(wrong)")
        let spent = rig.venue.statistics().rest
        #expect(spent.dayTickers.calls == 1 && spent.dayTickers.weight == 80, "asked for once, however many want to know")
        try eventually(20, "a candle") { try rig.client.command("XLEN", Keys.history("btcusdt", .s1)).integer ?? 0 > 0 }
        try rig.finish()
    }

    @Test("A symbol that is delisted leaves every key")
    func delisted() throws {
        let rig = try SymbolRig(["--flux", "btcusdt:1s"]) { $0.symbolCount = 4 }
        let hash = "symbol:{symbols}:ethusdt"
        try eventually(20, "the symbols: \(rig.service.errorText)") { try members(rig.client, .all).contains("ethusdt") }
        try eventually(10, "all of it") { try rig.client.command("EXISTS", hash).integer == 1 }
        try rig.venue.plan(SymbolChange("ethusdt", .unlisted))
        try eventually(40, "it is gone: \(rig.service.errorText)") {
            // A name that nobody knows has the list asked for again.
            _ = try rig.feedd("create", "nosuchusdt", "1s")
            return try rig.client.command("EXISTS", hash).integer == 0 && !members(rig.client, .all).contains("ethusdt")
        }
        let others = [ListIndex.quotes, .statuses, .updatedAt].map { Self.key($0) }
        for key in try rig.client.command("KEYS", "symbols:*").strings where !others.contains(key) {
            let isSet = try rig.client.command("TYPE", key).text == "set"
            let names = try rig.client.command(isSet ? ["SMEMBERS", key] : ["ZRANGE", key, "0", "-1"]).strings
            #expect(!names.isEmpty && !names.contains("ethusdt"), "\(key): \(names)")
        }
        #expect(try !names(rig.feedd("symbols", "--status", "any", "--json")).contains("ethusdt"))
        try rig.finish()
    }

    // MARK: Engines on one Redis

    private func makeVenue(_ market: Market = .spot, symbols: Int) throws -> VenueSimulator {
        var simulator = SimulatorConfiguration()
        (simulator.market, simulator.symbolCount, simulator.illiquidEvery) = (market, symbols, 0)
        let venue = try VenueSimulator(configuration: simulator)
        try venue.start()
        return venue
    }

    private func makeEngine(_ venue: VenueSimulator, _ market: Market = .spot, at redis: RedisEndpoint) throws -> Engine {
        var configuration = EngineConfiguration()
        (configuration.market, configuration.takesCommands) = (market, true)
        configuration.venue = try WebSocketEndpoint(url: venue.webSocketBase)
        configuration.venueREST = try RestEndpoint(url: venue.restBase)
        configuration.redis = redis
        let engine = try Engine(configuration)
        try engine.start()
        return engine
    }

    @Test("What changed while nobody served is put right by the next start; what Redis loses is there again")
    func leftovers() throws {
        let redis = try RedisServerProcess()
        let client = try RedisClient.connect(redis.endpoint)
        func wait(_ count: Int64, _ what: String) throws {
            try eventually(20, "\(what)") {
                let cards = [try client.command("ZCARD", Self.key(.byVolume)).integer, try client.command("SCARD", Self.key(.all)).integer]
                return try cards == [count, count] && client.command("KEYS", "symbol:*").elements.count == Int(count)
            }
        }
        var venue = try makeVenue(symbols: 6)
        var engine = try makeEngine(venue, at: redis.endpoint)
        try wait(6, "six symbols")
        _ = engine.stop()
        venue.stop()
        // A quote asset that nobody trades against any more, and a member that a hand has put in.
        _ = try client.pipeline([
            ["SADD", Self.key(.quotes), "busd"], ["SADD", Self.key(.quote("busd")), "btcusdt"],
            ["SADD", Self.key(.quote("usdt")), "foreign"],
            ["HSET", "symbol:{symbols}:gone", "symbol", "gone"], ["SADD", Self.key(.all), "gone"],
        ])
        venue = try makeVenue(symbols: 3)
        engine = try makeEngine(venue, at: redis.endpoint)
        try wait(3, "three symbols")
        #expect(try members(client, .quotes) == ["usdt"] && members(client, .quote("usdt")) == members(client, .all))
        #expect(try client.command("EXISTS", Self.key(.quote("busd"))).integer == 0)
        redis.kill9()
        try redis.restart()
        let again = try RedisClient.connect(redis.endpoint)
        try eventually(30, "an empty Redis has them again") { try again.command("ZCARD", Self.key(.byVolume)).integer == 3 }
        _ = engine.stop()
        venue.stop()
    }

    @Test("What is of another type under a name of the catalogue is put right")
    func otherTypes() throws {
        let redis = try RedisServerProcess()
        let client = try RedisClient.connect(redis.endpoint)
        let wrong: [ListIndex] = [.all, .quotes, .statuses, .quote("usdt"), .byVolume, .updatedAt]
        _ = try client.pipeline(wrong.map { ["LPUSH", Self.key($0), "x"] } + [["SADD", "symbol:{symbols}:btcusdt", "x"]])
        let venue = try makeVenue(symbols: 3)
        let engine = try makeEngine(venue, at: redis.endpoint)
        try eventually(20, "all keys") {
            try client.command("TYPE", Self.key(.byVolume)).text == "zset" && client.command("TYPE", Self.key(.updatedAt)).text == "string"
        }
        for index in wrong.prefix(4) { #expect(try client.command("TYPE", Self.key(index)).text == "set", "\(index)") }
        #expect(try client.command("HGET", "symbol:{symbols}:btcusdt", "quote").text == "USDT" && members(client, .all).count == 3)
        _ = engine.stop()
        venue.stop()
    }

    @Test("An index is replaced as a whole, or not at all")
    func script() throws {
        let redis = try RedisServerProcess()
        let client = try RedisClient.connect(redis.endpoint)
        var catalogue = Catalogue(schema: KeySchema(prefix: ""))
        let symbols = (0..<1_234).map { Symbol("s\($0)usdt")! }
        let day = DayFigures(
            lastPrice: DecimalText("1")!, priceChangePercent: DecimalText("1")!, quoteVolume: DecimalText("7.5")!, tradeCount: 1)
        catalogue.learn(symbols.map { Instrument(symbol: $0, status: "TRADING", base: "S", quote: "USDT") })
        catalogue.learn(DayTickers(figures: Dictionary(uniqueKeysWithValues: symbols.map { ($0, day) }), skipped: 0), nowMs: 1, nowNs: 1)
        #expect(catalogue.index.learn(try client.pipeline(catalogue.index.question(nowNs: 1) ?? []), nowNs: 1) == nil)
        let commands = catalogue.index.take(nowMs: 1, max: .max)
        #expect(catalogue.index.settle(commands, try client.pipeline(commands), nowNs: 1) == nil)
        #expect(try client.command("ZCARD", Self.key(.byVolume)).integer == 1_234)
        #expect(try members(client, .quote("usdt")) == symbols.map(\.name).sorted())
        // The last chunk of it is refused.
        var damaged = try #require(commands.first { $0[0] == "EVAL" && $0[3] == Self.key(.byVolume) })
        damaged[damaged.count - 2] = "seven"
        guard case .error = try client.command(damaged) else {
            Issue.record("a score that is no number was taken")
            return
        }
        #expect(try client.command("ZCARD", Self.key(.byVolume)).integer == 1_234 && client.command("EXISTS", Self.key(.next)).integer == 0)
    }

    @Test("um beside spot: keys of their own, each with all its indexes in one hash tag")
    func markets() throws {
        let redis = try RedisServerProcess()
        let client = try RedisClient.connect(redis.endpoint)
        let venues = [try makeVenue(.spot, symbols: 5), try makeVenue(.um, symbols: 3)]
        let engines = [try makeEngine(venues[0], .spot, at: redis.endpoint), try makeEngine(venues[1], .um, at: redis.endpoint)]
        try eventually(20, "both") {
            try client.command("ZCARD", "symbols:{symbols}:by_volume").integer == 5
                && client.command("ZCARD", "symbols:{um:symbols}:by_volume").integer == 3
                && client.command("SCARD", "symbols:{um:symbols}:all").integer == 3
        }
        let (spot, um) = (try CommandCaller(redis.endpoint), try CommandCaller(redis.endpoint, market: "um:"))
        #expect(try spot.call("symbols:list")["total"] as? Int == 5 && um.call("symbols:list", #""limit":1"#)["total"] as? Int == 3)
        #expect(try um.call("symbols:list", #""limit":0"#).errorCode == "bad_request")
        #expect(venues[1].statistics().rest.dayTickers.weight == 40)
        for key in try client.command("KEYS", "symbol*").strings { #expect(key.contains("{symbols}") || key.contains("{um:symbols}")) }
        for engine in engines { _ = engine.stop() }
        for venue in venues { venue.stop() }
    }

    @Test("Without REST the command says why there is nothing")
    func withoutREST() throws {
        let redis = try RedisServerProcess()
        let venue = try makeVenue(symbols: 2)
        var configuration = EngineConfiguration()
        configuration.takesCommands = true
        configuration.venue = try WebSocketEndpoint(url: venue.webSocketBase)
        configuration.redis = redis.endpoint
        let engine = try Engine(configuration)
        try engine.start()
        let caller = try CommandCaller(redis.endpoint)
        let client = try RedisClient.connect(redis.endpoint)
        try eventually(20, "the service") { try client.command("HGET", Keys.service, "state").text != nil }
        let answer = try caller.call("symbols:list")
        #expect(answer.errorCode == "internal" && "\(answer)".contains("venue-rest is off"), "\(answer)")
        _ = engine.stop()
        venue.stop()
    }
}
