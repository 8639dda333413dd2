// What the ops server shows: as Redis and the exchange have it, and nothing that is not this service's.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Ops server: views", .serialized)
struct OpsViewTests {
    @Test func theyShowWhatIsThere() throws {
        let rig = try OpsRig(symbols: 4, speed: 5, environment: ["FEEDD_NOTHING": "1"])
        try rig.waitUntilReady()
        let symbol = rig.venue.symbols[0].symbol.name
        let client = try RedisClient.connect(rig.redis.endpoint)
        let history = Keys.history(symbol, .s1)
        try eventually(20, "candles") { try client.command("XLEN", history).integer ?? 0 > 30 }

        try eventually(10, "live") { try rig.get("/api/overview").json["service"]?["state"]?.string == "live" }
        let overview = try rig.get("/api/overview").json
        #expect(overview["now"]?["connections_live"]?.integer == 1 && overview["fluxes"]?.array?.count == 2)
        #expect(overview["steps"]?.array?.count == 4)
        try eventually(10, "latencies") { try rig.get("/api/overview").json["latency"]?["count"]?.integer ?? 0 > 0 }
        try eventually(10, "points") { try rig.get("/api/overview").json["points"]?["at"]?.array?.count ?? 0 >= 2 }

        // What the program says itself is among the warnings, too.
        let warnings = try rig.get("/api/overview").json["warnings"]?.array ?? []
        #expect(warnings.contains { $0["message"]?.string?.contains("FEEDD_NOTHING") == true }, "\(warnings)")

        // A fresh Redis has lost nothing.
        #expect(!rig.program.errorText.contains("Redis has lost"), "\(rig.program.errorText)")

        let fluxes = try #require(try rig.get("/api/fluxes").json["fluxes"]?.array)
        let id = try #require(fluxes.first?[Field.fluxID]?.string)
        let flux = try rig.get("/api/fluxes/\(id)").json
        #expect(flux["symbols"]?.array?.count == 4 && flux[Field.gaps]?.array != nil)
        #expect(try rig.get("/api/fluxes/none").status == 404)
        for view in [
            "overview", "fluxes", "fluxes/\(id)", "gaps", "connections", "redis", "system", "find?symbol=x", "series/\(symbol)/1m",
        ] {
            let service = try rig.get("/api/\(view)").json["service"]
            #expect(service?["market"]?.string == "spot" && service?["key_prefix"]?.string == "", "\(view)")
            #expect(service?["redis"]?.string == "unix://\(rig.redis.socketPath)" && service?["may_write"]?.bool == false, "\(view)")
        }
        try whoFollowsWhat(rig, symbol)

        // Candles: exactly what is stored.
        let end = try #require(try client.command("XREVRANGE", history, "+", "-", "COUNT", "1").elements.first?.elements.first?.text)
        let rows = try #require(
            try rig.get("/api/candles/\(symbol)/1s?limit=20&end=\(end.prefix { $0 != "-" })").json[Field.rows]?.array)
        let stored = try client.command("XREVRANGE", history, end, "-", "COUNT", "20").elements.reversed()
        #expect(rows.count == 20 && rows.count == stored.count)
        for (row, entry) in zip(rows, stored) {
            let fields = Dictionary(uniqueKeysWithValues: entry.elements[1].pairs)
            #expect(
                row["open"]?.string == fields["open"] && row["volume"]?.string == fields["volume"]
                    && row["close"]?.string == fields["close"])
        }
        for bad in [
            "/api/candles/\(symbol)/7m", "/api/candles/b%2Ftc/1m", "/api/candles/\(symbol)/1m?limit=0",
            "/api/candles/\(symbol)/1m?limit=1501",
        ] {
            #expect(try rig.get(bad).status == 400, "\(bad)")
        }

        let found = try rig.get("/api/search?symbol=\(symbol)&interval=1s&limit=5").json
        #expect(found[Field.rows]?.array?.count == 5 && found[Field.source]?.string != nil)
        let listed = try rig.get("/api/symbols?quote=usdt&status=&search=&limit=3").json
        #expect(listed[Field.symbols]?.array?.count == 3 && listed[Field.total]?.integer == 4)
        #expect(try rig.get("/api/symbols?search=\(symbol)").json[Field.symbols]?.array?.first?[Field.symbol]?.string == symbol)
        for bad in ["limit=0", "limit=1501", "quote=a%2Fb", "status=%20"] {
            #expect(try rig.get("/api/symbols?\(bad)").status == 400, "\(bad)")
        }
        try eventually(20, "no gap") { try rig.get("/api/gaps").json["open"]?.integer == 0 }
        try eventually(10, "connections") { try rig.get("/api/connections").json["connections"]?.array?.first?["state"]?.string == "live" }
        try eventually(10, "INFO") { try rig.get("/api/redis").json["redis_version"]?.string != nil }
        #expect(try rig.get("/api/system").json["counters"]?.array?.count == CounterID.allCases.count)
    }

    private func whoFollowsWhat(_ rig: OpsRig, _ symbol: String) throws {
        let found = try rig.get("/api/find?symbol=\(symbol.prefix(3).uppercased())").json
        let own = found[Field.series]?.array?.filter { $0[Field.symbol]?.string == symbol } ?? []
        #expect(own.map { $0[Field.interval]?.string } == ["1s", "1m"] && found[Field.more]?.integer == 0, "\(found)")
        #expect(own.first?[Field.fluxID]?.string != nil && own.first?[Field.state]?.string != nil)
        #expect(try rig.get("/api/find?symbol=nobody").json[Field.series]?.array == [])
        let one = try rig.get("/api/series/\(symbol)/1m").json
        #expect(one[Field.fluxes]?.array?.count == 1 && one[Field.gaps]?.array != nil && one["ended"]?.array != nil)
        let followed = try rig.get("/api/followed?symbols=nobody,\(symbol)").json["followed"]
        #expect(
            followed?[symbol] == .array([.string("1s"), .string("1m")]) && followed?["nobody"] == nil, "\(String(describing: followed))")

        let names = rig.venue.symbols.map(\.symbol.name).joined(separator: ",")
        try eventually(10, "newest states") {
            let latest = try rig.get("/api/latest?interval=1m&symbols=\(names),nobody").json["latest"]
            return rig.venue.symbols.allSatisfy { latest?[$0.symbol.name]?["close"]?.string != nil } && latest?["nobody"] == nil
        }
        let many = Array(repeating: symbol, count: 201).joined(separator: ",")
        for bad in ["interval=7m&symbols=\(symbol)", "interval=1m", "interval=1m&symbols=b%2Ft", "interval=1m&symbols=\(many)"] {
            #expect(try rig.get("/api/latest?\(bad)").status == 400, "\(bad)")
        }
        #expect(try rig.get("/api/find").status == 400 && rig.get("/events?view=series&id=\(symbol)").status == 400)
    }

    /// A hole that is filled is still told, with why it was and how it ended.
    @Test func aHoleOfTheNight() throws {
        let rig = try OpsRig(symbols: 2, intervals: "1s", speed: 5)
        try rig.waitUntilReady()
        let client = try RedisClient.connect(rig.redis.endpoint)
        let symbol = rig.venue.symbols[0].symbol.name
        let history = Keys.history(symbol, .s1)
        try eventually(20, "candles") { try client.command("XLEN", history).integer ?? 0 > 20 }
        // Candles that Redis has lost are found when it is there again.
        let entries = try client.command("XREVRANGE", history, "+", "-", "COUNT", "12").elements.suffix(5)
        let ids = entries.compactMap { $0.elements.first?.text }
        #expect(ids.count == 5)
        _ = try client.command(["XDEL", history] + ids)
        _ = try client.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        let from = try #require(ids.last.flatMap { Int64($0.prefix { $0 != "-" }) })
        var told: JSONValue?
        try eventually(30, "the hole has ended: \(rig.program.errorText)") {
            told = try rig.get("/api/series/\(symbol)/1s").json["ended"]?.array?.first { $0[Field.from]?.integer == from }
            return told?[Field.candles]?.integer == 5
        }
        #expect(told?[Field.cause]?.string == "unstored" && told?["ending"]?.string == "fetched", "\(String(describing: told))")
        let (since, endedAt) = (told?["since"]?.integer ?? 0, told?["ended_at"]?.integer ?? 0)
        #expect(since > 0 && since <= endedAt)
        #expect(try rig.get("/api/gaps").json["ended"]?.array?.contains { $0[Field.from]?.integer == from } == true)
    }

    @Test func keysOfTheSchemaAlone() throws {
        let rig = try OpsRig(symbols: 2)
        try rig.waitUntilReady()
        let client = try RedisClient.connect(rig.redis.endpoint)
        _ = try client.command("SET", "foreign", "<script>")
        for name in ["candles-foreign", "connectstring"] { _ = try client.command("SET", name, "x") }
        let history = Keys.history(rig.venue.symbols[0].symbol.name, .s1)
        try eventually(20, "a history") { try client.command("XLEN", history).integer ?? 0 > 2 }
        var (names, cursor) = (Set<String>(), "0")
        repeat {
            let page = try rig.get("/api/keys?group=candles&cursor=\(cursor)").json
            for key in page["keys"]?.array ?? [] { names.insert(key["name"]?.string ?? "") }
            cursor = try #require(page["cursor"]?.string)
        } while cursor != "0"
        #expect(names.contains(history) && names.allSatisfy { $0.hasPrefix("candles:") }, "\(names)")
        let escaped = try #require(history.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
        let key = try rig.get("/api/key?name=\(escaped)").json
        #expect(key["type"]?.string == "stream" && key["values"]?.array?.first?["fields"]?["open"]?.string != nil)
        #expect(try rig.get("/api/key?name=latest").json["type"]?.string == "none")
        let own = "symbols:%7Bsymbols%7D:test"
        _ = try client.command("ZADD", "symbols:{symbols}:test", "2.5", "a", "10", "b")
        let ranked = try rig.get("/api/key?name=\(own)").json
        #expect(ranked["length"]?.integer == 2 && ranked["values"]?.array?.first?["value"]?.string == "b", "\(ranked)")
        _ = try client.command("DEL", "symbols:{symbols}:test")
        _ = try client.command("SADD", "symbols:{symbols}:test", "a")
        #expect(try rig.get("/api/key?name=\(own)").json["values"] == .array([.string("a")]))
        for foreign in ["foreign", "candles-foreign", "connectstring", ""] {
            #expect(try [400, 404].contains(rig.get("/api/key?name=\(foreign)").status))
        }
        func content(_ key: String) throws -> JSONValue {
            try rig.get("/api/key?name=\(key.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "")").json
        }
        let volumes = Keys.schema.listIndexKey(.byVolume)
        try eventually(20, "the symbols") { try client.command("ZCARD", volumes).integer == 2 }
        let ranking = try content(volumes)
        let highest = try client.command("ZREVRANGE", volumes, "0", "0", "WITHSCORES").strings
        #expect(ranking["type"]?.string == "zset" && ranking["length"]?.integer == 2)
        #expect(["value", "score"].map { ranking["values"]?.array?.first?[$0]?.string } == highest)
        let all = try content(Keys.schema.listIndexKey(.all))
        #expect(all["type"]?.string == "set" && all["group"]?.string == "symbols" && all["values"]?.array?.count == 2)
        #expect(try rig.get("/api/keys?group=symbols&cursor=0").json["group"]?.string == "symbols")
        #expect(try rig.get("/api/keys?group=foreign").status == 400 && rig.get("/api/keys?group=candles&cursor=x").status == 400)
        #expect(try client.command("GET", "foreign").text == "<script>")
    }

    /// The ops server reads as a user of its own, who may nothing else; and goes on with what it has where it may less.
    @Test func aUserWithJustTheseRights() throws {
        let acl = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../deploy/redis-acl.conf").standardized
        let users = try String(contentsOf: acl, encoding: .utf8).split(separator: "\n").filter { $0.hasPrefix("user feed-") }
        let folder = try TemporaryDirectory()
        for user in ["service", "ops"] {
            try "change-me-\(user)\n".write(toFile: "\(folder.path)/\(user)", atomically: true, encoding: .utf8)
        }
        // The service's own password comes from a file, too: the two must not be taken for one another.
        let rig = try OpsRig(arguments: [
            "--redis-user", "feed-service", "--redis-password-file", folder.path + "/service",
            "--ops-redis-user", "feed-ops", "--ops-redis-password-file", folder.path + "/ops",
        ]) { client in
            for user in users {
                let reply = try client.command(["ACL", "SETUSER"] + user.split(separator: " ").dropFirst().map(String.init))
                #expect(reply.text == "OK", "\(user.prefix(40)): \(reply)")
            }
        }
        try rig.waitUntilReady()
        let client = try RedisClient.connect(rig.redis.endpoint)
        let symbol = rig.venue.symbols[0].symbol.name
        try eventually(20, "candles") { try client.command("XLEN", Keys.history(symbol, .s1)).integer ?? 0 > 2 }
        try eventually(10, "INFO") { try rig.get("/metrics").body.contains("feedd_redis_info{") }
        for path in [
            "/api/candles/\(symbol)/1s", "/api/keys?group=service", "/api/key?name=latest%3A1s", "/api/key?name=connects",
            "/api/keys?group=symbols", "/api/key?name=symbols%3A%7Bsymbols%7D%3Aall", "/api/key?name=symbols%3A%7Bsymbols%7D%3Aby_volume",
            "/api/latest?interval=1s&symbols=\(symbol)",
        ] {
            try eventually(10, path) { try rig.get(path).status == 200 }
        }
        let log = try client.command("ACL", "LOG").elements
        #expect(log.isEmpty, "\(log.first.map { "\($0)" } ?? "")")
        var endpoint = rig.redis.endpoint
        (endpoint.user, endpoint.password) = ("feed-ops", "change-me-ops")
        let ops = try RedisClient.connect(endpoint)
        for forbidden in [
            ["SET", "latest:1s", "x"], ["GET", "foreign"], ["KEYS", "*"], ["CONFIG", "GET", "*"], ["FLUSHALL"], ["MONITOR"],
        ] {
            let reply = try ops.command(forbidden)
            guard case .error(let message) = reply else {
                Issue.record("\(forbidden): \(reply)")
                continue
            }
            #expect(message.hasPrefix("NOPERM"), "\(forbidden): \(message)")
        }
    }

    /// The page is in the program, and whole.
    @Test func thePage() throws {
        let rig = try OpsRig()
        let folder = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../Sources/COps/page").standardized
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(names.contains("index.html") && names.count > 5)
        var bytes = 0
        for name in names {
            let answer = try rig.get(name == "index.html" ? "/" : "/assets/\(name)")
            let file = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
            #expect(answer.status == 200 && answer.body == file, "\(name)")
            #expect(answer.header("Content-Type")?.hasPrefix("text/") == true, "\(name)")
            bytes += file.utf8.count
        }
        #expect(bytes <= 90_000, "\(bytes)")
        #expect(try rig.get("/assets/none").status == 404 && rig.get("/assets/../index.html").status == 404)
    }

    @Test func eventsComeAndAreConflated() throws {
        let rig = try OpsRig()
        let reader = try RawConnection(port: rig.port)
        reader.write("GET /events?view=overview HTTP/1.1\r\nHost: localhost\r\n\r\n")
        let text = String(
            decoding: reader.read(seconds: 10) { $0.components(separatedBy: "event: overview").count > 3 }.bytes, as: UTF8.self)
        #expect(text.contains("text/event-stream") && text.contains("retry: 2000\n\n") && text.contains("X-Accel-Buffering: no"))
        let events = text.matches(of: /data: (\{.*\})\n\n/).map { String($0.1) }
        #expect(events.count >= 2)
        for event in events { #expect((try? JSONValue(parsing: Array(event.utf8)))?["service"] != nil) }
        #expect(try rig.get("/events").status == 400 && rig.get("/events?view=none").status == 404)
        #expect(try rig.get("/events?view=flux&id=none").status == 404)
        rig.redis.kill9()
        try eventually(10, "Redis is away, and said so") {
            try rig.get("/api/candles/btcusdt/1m").status == 503 && rig.get("/api/overview").json["now"]?["redis_connected"]?.bool == false
        }
        try rig.redis.restart()
        try eventually(20, "and back") { try rig.get("/api/candles/btcusdt/1m").status == 200 }
    }
}
