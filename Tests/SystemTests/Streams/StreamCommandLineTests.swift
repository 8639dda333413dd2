// `feedd stream` and `feedd group` against a real Redis: both forms, places, series, pipes, Ctrl-C, exit codes; redis-cli sees the same.

import FastFeed
import Foundation
import Glibc
import RedisServer
import TestKit
import Testing

@Suite("Command line: streams and groups", .serialized, .streamLimit)
struct StreamCommandLineTests {
    private let server: RedisServerProcess
    private let admin: RedisClient
    private var place: [String] { ["--redis", "unix://\(server.socketPath)"] }

    init() throws {
        server = try RedisServerProcess()
        admin = try RedisClient.connect(server.endpoint)
    }

    private typealias Outcome = (status: Int32, out: String, err: String)

    private func start(_ arguments: [String], output: ProgramRun.Place = .file) throws -> ProgramRun {
        try ProgramRun(arguments + place, output: output)
    }

    private func run(_ arguments: String..., input: String? = nil) throws -> Outcome {
        try run(arguments, input: input)
    }

    private func run(_ arguments: [String], input: String? = nil) throws -> Outcome {
        let directory = try TemporaryDirectory()
        let file = directory.path + "/input"
        if let input { try input.write(toFile: file, atomically: true, encoding: .utf8) }
        let run = try start(arguments, output: input == nil ? .file : .redirected("<\(file)"))
        let status = run.end(within: 20)
        return (status, run.outputText, run.errorText)
    }

    private func json(_ text: String) throws -> [String: Any] {
        try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any], "\(text)")
    }

    private func fill(_ key: String, _ ids: ClosedRange<Int>) throws {
        let replies = try admin.pipeline(ids.map { ["XADD", key, "\($0)-0", "n", "\($0)"] })
        #expect(replies.allSatisfy { $0.text != nil })
    }

    private func ids(_ text: String) -> [String] {
        text.split(separator: "\n").compactMap { $0.split(separator: " ").first.map(String.init) }
    }

    // MARK: Adding and looking after

    @Test("add: the id, own ids, caps, existing streams only; what is in Redis is what was typed")
    func add() throws {
        let added = try run("stream", "add", "orders", "order_id=123", "amount=99.99", "note=a=b", "empty=")
        #expect(added.status == 0, "\(added.err)")
        let id = try #require(StreamID(added.out.trimmingCharacters(in: .newlines)), "\(added.out)")
        let entry = try admin.command("XRANGE", "orders", "-", "+").elements[0]
        #expect(entry.elements[0].text == "\(id)")
        #expect(entry.elements[1].strings == ["order_id", "123", "amount", "99.99", "note", "a=b", "empty", ""])
        #expect(try json(run("stream", "add", "own", "a=1", "--id", "5-1", "--json").out)["id"] as? String == "5-1")
        let older = try run("stream", "add", "own", "a=2", "--id", "5-1")
        #expect(older.status == 1 && older.err.contains("5-1"), "\(older)")
        #expect(try run("stream", "add", "own", "a=1", "--id", "5-1").status == 0, "the same once more is success")
        let none = try run("stream", "add", "nothing", "a=1", "--if-exists", "--json")
        #expect(try none.status == 1 && code(none.out) == "no_stream", "\(none)")
        try fill("capped", 1...300)
        #expect(try run("stream", "add", "capped", "a=1", "--keep", "10", "--exactly").status == 0)
        #expect(try run("stream", "len", "capped").out == "10\n")
        #expect(try run("stream", "add", "capped", "a=1", "--keep-from", "299", "--exactly").status == 0)
        #expect(try json(run("stream", "len", "capped", "--json").out)["length"] as? Int == 4)
    }

    private func code(_ text: String) throws -> String? { try (json(text)["error"] as? [String: Any])?["code"] as? String }

    @Test("add KEY -: JSON objects from standard input, pipelined; what range --json prints can be added again")
    func addLines() throws {
        let lines = (0..<2_500).map { "{\"n\":\($0),\"text\":\"entry \($0)\"}" }.joined(separator: "\n")
        let many = try run(["stream", "add", "events", "-"], input: lines + "\n\n")
        #expect(many.status == 0 && many.out.hasPrefix("2 500 entries in "), "\(many)")
        let newest = try admin.command("XREVRANGE", "events", "+", "-", "COUNT", "1").elements[0].elements[1].strings
        #expect(newest == ["n", "2499", "text", "entry 2499"])
        let odd = #"{"a":["1","2"],"b":true,"c":-1.5,"d":{"base64":"AAH/"},"ü":"x y"}"#
        #expect(try run(["stream", "add", "odd", "-", "--json"], input: odd).status == 0)
        let fields = try admin.command("XRANGE", "odd", "-", "+").elements[0].elements[1].elements.map(\.bytes)
        #expect(
            fields == [
                Array("a".utf8), Array("1".utf8), Array("a".utf8), Array("2".utf8), Array("b".utf8), Array("true".utf8), Array("c".utf8),
                Array("-1.5".utf8), Array("d".utf8), [0, 1, 255], Array("ü".utf8), Array("x y".utf8),
            ])
        let shown = try run("stream", "range", "odd")
        #expect(shown.out.contains(#"a=1 a=2 b=true c=-1.5 d={"base64":"AAH/"} ü="x y""#), "\(shown.out)")
        let entries = try #require(json(run("stream", "range", "odd", "--json").out)["entries"] as? [[String: Any]])
        let again = try JSONSerialization.data(withJSONObject: try #require(entries[0]["fields"]), options: [.withoutEscapingSlashes])
        #expect(try run(["stream", "add", "odd", "-"], input: String(decoding: again, as: UTF8.self)).status == 0)
        #expect(try run("stream", "len", "odd").out == "2\n")
    }

    @Test("add KEY -: a line that is not an entry is named and left out, the others are added; it ends with 1")
    func addBadLines() throws {
        let wrong = try run(["stream", "add", "bad", "-", "--json"], input: "{\"a\":1}\n{\"a\":null}\n[]\n\n{\"a\":2}\n{\"a\":3")
        let documents = wrong.out.split(separator: "\n").map(String.init)
        #expect(wrong.status == 1 && documents.count == 2, "\(wrong)")
        let added = try json(documents[0])
        #expect(added["added"] as? Int == 2 && added["left_out"] as? Int == 3)
        #expect(try code(documents[1]) == "bad_entry")
        for line in [2, 3, 6] { #expect(wrong.err.contains("line \(line) of standard input was left out: "), "\(wrong.err)") }
        #expect(wrong.err.hasSuffix("3 of 6 lines were left out\n"), "\(wrong.err)")
        #expect(try admin.command("XRANGE", "bad", "-", "+").elements.map { $0.elements[1].strings } == [["a", "1"], ["a", "2"]])
        // Many of them, and one that is too long.
        let tooLong = "{\"n\":\"\(String(repeating: "x", count: 9 << 20))\"}"
        let lines = (0..<3_000).map { $0 % 3 == 0 ? "no \($0)" : "{\"n\":\($0)}" } + [tooLong, "{\"n\":3001}"]
        let many = try run(["stream", "add", "many", "-"], input: lines.joined(separator: "\n"))
        #expect(many.status == 1 && many.out.hasPrefix("2 001 entries in "), "\(many.out)")
        #expect(many.err.split(separator: "\n").count == 21 && many.err.contains("line 1 of standard input"), "\(many.err)")
        #expect(many.err.contains("1 001 of 3 002 lines were left out"), "\(many.err)")
        #expect(try run("stream", "len", "many").out == "2001\n")
        let long = try run(["stream", "add", "long", "-"], input: tooLong + "\n{\"n\":1}\n")
        #expect(long.status == 1 && long.err.contains("line 1 of standard input was left out: it is longer than 8 MiB"), "\(long.err)")
        #expect(try run("stream", "len", "long").out == "1\n")
    }

    @Test("--json is whole: long fields as they are; where reading fails behind the first entries, their document and the error's")
    func wholeDocuments() throws {
        for key in ["large", "broken"] { try fill(key, 1...3_000) }
        // XADD of a field that no command line could hold.
        func add(_ key: String, _ count: Int) throws {
            let script = "return redis.call('XADD', KEYS[1], '4000-0', 'v', string.rep('é', tonumber(ARGV[1])))"
            #expect(try admin.command("EVAL", script, "1", key, "\(count)").text == "4000-0")
        }
        try add("large", 1_500_000)
        let entries = try #require(json(run("stream", "range", "large", "--json").out)["entries"] as? [[String: Any]])
        #expect(entries.count == 3_001)
        #expect((entries.last?["fields"] as? [String: String])?["v"] == String(repeating: "é", count: 1_500_000))
        #expect(try run("stream", "revrange", "large", "--count", "1").out.contains(String(repeating: "é", count: 1_500_000)))
        // Longer than what is read.
        try add("broken", 5 << 20)
        let broken = try run("stream", "range", "broken", "--json")
        let documents = broken.out.split(separator: "\n").map(String.init)
        #expect(broken.status == 1 && documents.count == 2, "\(broken.out.suffix(200))")
        #expect(try (json(documents[0])["entries"] as? [Any])?.count == 3_000)
        #expect(try code(documents[1]) == "bad_entry")
        let lines = try run("stream", "range", "broken")
        #expect(lines.status == 1 && ids(lines.out).count == 3_000)
    }

    @Test("len, del, trim: numbers; the service's histories want --force")
    func lookAfter() throws {
        try fill("orders", 1...500)
        #expect(try run("stream", "len", "orders").out == "500\n")
        #expect(try run("stream", "len", "nothing").out == "0\n")
        #expect(try run("stream", "del", "orders", "1-0", "2-0", "9999-0").out == "2\n")
        #expect(try json(run("stream", "trim", "orders", "--keep", "400", "--exactly", "--json").out)["trimmed"] as? Int == 98)
        #expect(try run("stream", "trim", "orders", "--before", "201", "--exactly").out == "100\n")
        #expect(try admin.command("XGROUP", "CREATE", "orders", "g", "0").text == "OK")
        _ = try admin.command("XREADGROUP", "GROUP", "g", "a", "COUNT", "10", "STREAMS", "orders", ">")
        _ = try admin.command("XACK", "orders", "g", "201-0", "202-0", "204-0")
        #expect(try run("stream", "trim", "orders", "--acknowledged").out == "2\n")
        #expect(try admin.command("XRANGE", "orders", "-", "+", "COUNT", "1").elements[0].elements[0].text == "203-0")
        let key = Keys.history("btcusdt", .m1)
        try fill(key, 60_000...60_005)
        for arguments in [["del", key, "60000-0"], ["trim", key, "--keep", "1"], ["del", "@btcusdt:1m", "60000-0"]] {
            let refused = try run(["stream"] + arguments)
            #expect(refused.status == 2 && refused.err.contains("--force"), "\(refused)")
        }
        #expect(try run("stream", "del", "@btcusdt:1m", "60000-0", "--force").out == "1\n")
        #expect(try admin.command("XGROUP", "CREATE", key, "g", "0").text == "OK")
        #expect(try run("group", "destroy", "@btcusdt:1m", "g").status == 2)
        #expect(try run("group", "destroy", "@btcusdt:1m", "g", "--force").out == "destroyed g on \(key)\n")
    }

    @Test("info: a stream, its groups and consumers, in both forms")
    func info() throws {
        try fill("orders", 1...10)
        _ = try admin.command("XGROUP", "CREATE", "orders", "payment", "0")
        _ = try admin.command("XREADGROUP", "GROUP", "payment", "worker-1", "COUNT", "4", "STREAMS", "orders", ">")
        let lines = try run("stream", "info", "orders")
        #expect(lines.status == 0 && lines.out.contains(/(?m)^length +10$/), "\(lines)")
        #expect(lines.out.contains(#/payment +1 +4 +6 +4-0 +1-0 /#) && lines.out.contains(#/payment +worker-1 +4 /#), "\(lines.out)")
        let facts = try json(run("stream", "info", "orders", "--json").out)
        #expect(facts["length"] as? Int == 10 && facts["last_generated_id"] as? String == "10-0")
        let group = try #require((facts["groups"] as? [[String: Any]])?.first)
        #expect(group["pending"] as? Int == 4 && group["lag"] as? Int == 6 && group["oldest_pending_id"] as? String == "1-0")
        #expect((group["consumers"] as? [[String: Any]])?.first?["name"] as? String == "worker-1")
        let none = try run("stream", "info", "nothing", "--json")
        #expect(try none.status == 1 && code(none.out) == "no_stream", "\(none)")
    }

    // MARK: Reading

    @Test("range, revrange, read: places of every kind, counts, ends that belong to it")
    func reading() throws {
        try fill("orders", 1_000...1_009)
        #expect(try ids(run("stream", "range", "orders").out) == (1_000...1_009).map { "\($0)-0" })
        #expect(try ids(run("stream", "range", "orders", "1007").out) == ["1007-0", "1008-0", "1009-0"])
        #expect(try ids(run("stream", "range", "orders", "start", "1001-0").out) == ["1000-0", "1001-0"])
        #expect(try ids(run("stream", "range", "orders", "1003", "--count", "2").out) == ["1003-0", "1004-0"])
        #expect(try ids(run("stream", "range", "orders", "1970-01-01T00:00:01.008Z", "end").out) == ["1008-0", "1009-0"])
        #expect(try ids(run("stream", "revrange", "orders", "--count", "3").out) == ["1009-0", "1008-0", "1007-0"])
        #expect(try ids(run("stream", "revrange", "orders", "1002", "1004").out) == ["1004-0", "1003-0", "1002-0"])
        // An id is known already, a time is not.
        #expect(try ids(run("stream", "read", "orders", "--from", "1008-0").out) == ["1009-0"])
        #expect(try ids(run("stream", "read", "orders", "--from", "1008").out) == ["1008-0", "1009-0"])
        #expect(try run("stream", "read", "orders", "--from", "end").out == "")
        #expect(try ids(run("stream", "read", "orders", "--count", "2").out) == ["1000-0", "1001-0"])
        #expect(try run("stream", "range", "orders").out.hasPrefix("1000-0  1970-01-01 00:00:01.000  n=1000\n"))
        #expect(try run("stream", "range", "nothing").out == "" && run("stream", "range", "nothing").status == 0)
        // The last minutes.
        let nowMs = WallClock.nowMs()
        for ago in [3_600_000, 120_000, 1_000] as [Int64] {
            _ = try admin.command("XADD", "recent", "\(nowMs - ago)-0", "ago", "\(ago)")
        }
        #expect(try run("stream", "range", "recent", "10m").out.split(separator: "\n").count == 2)
        #expect(try run("stream", "range", "recent", "24h", "1m").out.split(separator: "\n").count == 2)
        #expect(try run("stream", "read", "recent", "--from", "60s").out.contains("ago=1000"))
        // More than a page.
        try fill("long", 1...2_345)
        #expect(try ids(run("stream", "range", "long").out).count == 2_345)
        #expect(try ids(run("stream", "revrange", "long").out) == (1...2_345).reversed().map { "\($0)-0" })
    }

    @Test("Several streams: the key in front; one document")
    func several() throws {
        try fill("a", 1...2)
        try fill("b c", 3...3)
        let lines = try run("stream", "read", "a", "b c").out.split(separator: "\n")
        #expect(lines.count == 3 && lines[0].hasPrefix("a  1-0  ") && lines[2].hasPrefix("\"b c\"  3-0  "), "\(lines)")
        let streams = try #require(json(run("stream", "read", "a", "b c", "d", "--json").out)["streams"] as? [[String: Any]])
        #expect(streams.map { $0["stream"] as? String } == ["a", "b c", "d"])
        #expect(streams.map { ($0["entries"] as? [Any])?.count } == [2, 1, 0])
        let one = try json(run("stream", "range", "a", "--json").out)
        let entry = try #require((one["entries"] as? [[String: Any]])?.first)
        #expect(one["stream"] as? String == "a" && entry["id"] as? String == "1-0")
        #expect(entry["fields"] as? [String: String] == ["n": "1"])
    }

    @Test("@btcusdt:1m and @um:btcusdt:1m are histories, with the key prefix")
    func series() throws {
        try fill("candles:{btcusdt}:1m", 60_000...60_000)
        try fill("candles:{um:btcusdt}:1m", 120_000...120_000)
        try fill("p:candles:{btcusdt}:1m", 180_000...180_000)
        #expect(try ids(run("stream", "range", "@btcusdt:1m").out) == ["60000-0"])
        #expect(try ids(run("stream", "range", "@um:btcusdt:1m").out) == ["120000-0"])
        #expect(try ids(run("stream", "range", "@btcusdt:1m", "--market", "um").out) == ["120000-0"])
        #expect(try ids(run("stream", "range", "@BTCUSDT:1m", "--key-prefix", "p:").out) == ["180000-0"])
        for (name, part) in [
            ("@btcusdt", "@btcusdt:1m"), ("@btc/usdt:1m", "did you mean btcusdt?"), ("@btcusdt:7m", "'7m'"), ("@cm:btcusdt:1m", "@um"),
        ] {
            let refused = try run("stream", "len", name)
            #expect(refused.status == 2 && refused.err.contains(part), "\(refused)")
        }
    }

    @Test("--follow: what comes, an object a line; Ctrl-C ends with 0, the end of a pipe, too; a restart of Redis is outlived")
    func follow() throws {
        try fill("orders", 1...3)
        let live = try start(["stream", "read", "orders", "--from", "2-0", "--follow", "--json"])
        try eventually(10, "what is there") { live.outputText.contains("\"3-0\"") }
        try fill("orders", 4...4)
        try eventually(10, "what comes") { live.outputText.contains("\"4-0\"") }
        let objects = [3, 4].map { #"{"stream":"orders","id":"\#($0)-0","fields":{"n":"\#($0)"}}"# + "\n" }
        #expect(live.outputText == objects.joined())
        live.signal(SIGINT)
        #expect(live.end() == 0 && live.errorText.isEmpty, "\(live.errorText)")

        let counted = try start(["stream", "read", "orders", "--follow", "--count", "2"])
        try eventually(10, "a reader") { try admin.command("INFO", "clients").text?.contains("blocked_clients:1") == true }
        try fill("orders", 5...6)
        #expect(counted.end() == 0)
        #expect(ids(counted.outputText) == ["5-0", "6-0"])

        let piped = try start(["stream", "read", "orders", "--from", "start", "--follow"], output: .closedPipe)
        #expect(piped.end() == 0 && piped.errorText.isEmpty, "\(piped.errorText)")
        let full = try start(["stream", "range", "orders"], output: .redirected(">/dev/full"))
        #expect(full.end() == 1)
    }

    // MARK: Groups

    @Test("create, list, seek, forget, destroy: each says what it did, or why not")
    func groups() throws {
        try fill("orders", 1...10)
        #expect(try run("group", "create", "orders", "payment").out == "created payment on orders\n")
        let again = try run("group", "create", "orders", "payment", "--json")
        #expect(try again.status == 1 && code(again.out) == "group_exists", "\(again)")
        let none = try run("group", "create", "nothing", "g", "--no-make", "--json")
        #expect(try none.status == 1 && code(none.out) == "no_stream", "\(none)")
        #expect(try json(run("group", "create", "new", "g", "--from", "end", "--json").out)["created"] as? Bool == true)
        #expect(try run("group", "create", "orders", "mail", "--from", "8-0").status == 0)
        let list = try run("group", "list", "orders")
        // Redis 7.0 does not know the lag of a group that begins in the middle.
        #expect(list.out.contains(#/(?m)^mail +0 +0 +\? /#) && list.out.contains(#/(?m)^payment +0 +0 +10 /#), "\(list.out)")
        #expect(try run("group", "list", "nothing").out == "no groups\n")
        #expect(try run("group", "seek", "orders", "mail", "start").out == "moved mail on orders to start\n")
        #expect(try ids(run("group", "read", "orders", "--group", "mail", "--as", "a", "--count", "3").out) == ["1-0", "2-0", "3-0"])
        let seek = try run("group", "seek", "orders", "mail", "start", "--json")
        #expect(try seek.status == 1 && code(seek.out) == "refused" && seek.err.contains("3 entries pending: --force"), "\(seek)")
        let forget = try run("group", "forget", "orders", "mail", "a", "--json")
        #expect(try forget.status == 1 && code(forget.out) == "refused", "\(forget)")
        let destroy = try run("group", "destroy", "orders", "mail", "--json")
        #expect(try destroy.status == 1 && code(destroy.out) == "refused" && destroy.err.contains("--force"), "\(destroy)")
        #expect(try run("group", "ack", "orders", "mail", "1-0", "2-0", "3-0", "4-0").out == "acknowledged 3 of 4\n")
        #expect(try run("group", "forget", "orders", "mail", "a").out == "forgot a in mail on orders\n")
        #expect(try run("group", "destroy", "orders", "mail").out == "destroyed mail on orders\n")
        let gone = try run("group", "destroy", "orders", "mail", "--json")
        #expect(try gone.status == 1 && code(gone.out) == "no_group", "\(gone)")
    }

    @Test("read, pending, claim, ack: a worker by hand")
    func work() throws {
        try fill("orders", 1...10)
        _ = try run("group", "create", "orders", "payment")
        let taken = try json(run("group", "read", "orders", "--group", "payment", "--as", "a", "--count", "4", "--json").out)
        #expect((taken["entries"] as? [[String: Any]])?.map { $0["id"] as? String } == ["1-0", "2-0", "3-0", "4-0"])
        #expect(try ids(run("group", "read", "orders", "--group", "payment", "--as", "b", "--count", "2", "--ack").out) == ["5-0", "6-0"])
        let summary = try run("group", "pending", "orders", "payment")
        #expect(summary.out.contains(/(?m)^a +4$/) && summary.out.contains("4 pending, 1-0 ("), "\(summary.out)")
        let sums = try json(run("group", "pending", "orders", "payment", "--json").out)
        #expect(sums["pending"] as? Int == 4 && sums["min"] as? String == "1-0" && sums["max"] as? String == "4-0")
        let rows = try json(run("group", "pending", "orders", "payment", "a", "--count", "2", "--json").out)
        let row = try #require((rows["entries"] as? [[String: Any]])?.first)
        #expect(row["consumer"] as? String == "a" && row["deliveries"] as? Int == 1 && row["idle"] is Int)
        #expect(try run("group", "pending", "orders", "payment", "--idle", "1h").out == "nothing is pending\n")
        #expect(try run("group", "claim", "orders", "payment", "b", "--idle", "1h").out == "")
        #expect(try ids(run("group", "claim", "orders", "payment", "b", "2-0", "9-0", "--idle", "0s").out) == ["2-0"])
        #expect(try ids(run("group", "claim", "orders", "payment", "b", "--idle", "0s").out) == ["1-0", "3-0", "4-0"])
        #expect(try run("group", "pending", "orders", "payment", "b").out.split(separator: "\n").count == 5)
        let json = try json(run("group", "ack", "orders", "payment", "1-0", "--json").out)
        #expect(json["acknowledged"] as? Int == 1 && json["of"] as? Int == 1)
        let none = try run("group", "read", "orders", "--group", "nobody", "--as", "a", "--follow", "--ack", "--json")
        #expect(try none.status == 1 && code(none.out) == "no_group", "\(none)")
        // Of several streams one has no such group: nothing is taken, one document.
        try fill("more", 1...2)
        _ = try run("group", "create", "more", "payment")
        try fill("last", 1...2)
        let one = try run("group", "read", "more", "last", "--group", "payment", "--as", "a", "--json")
        #expect(try one.status == 1 && code(one.out) == "no_group", "\(one)")
        #expect(try run("group", "pending", "more", "payment").out == "nothing is pending\n")
    }

    @Test("group read --follow --ack: its own history first, with the delivery's number; Ctrl-C gives back and ends with 0")
    func followGroup() throws {
        try fill("orders", 1...3)
        _ = try run("group", "create", "orders", "payment")
        _ = try run("group", "read", "orders", "--group", "payment", "--as", "a", "--count", "2")
        let live = try start(["group", "read", "orders", "--group", "payment", "--as", "a", "--follow", "--ack"])
        try eventually(10, "history, then new: \(live.outputText)") { ids(live.outputText).count == 3 }
        #expect(live.outputText.contains(/1-0 .* delivery 2  n=1/) && live.outputText.contains(/3-0 +1970[^d]*n=3/), "\(live.outputText)")
        try fill("orders", 4...4)
        try eventually(10, "what comes") { ids(live.outputText).last == "4-0" }
        live.signal(SIGINT)
        #expect(live.end() == 0, "\(live.errorText)")
        #expect(try admin.command("XPENDING", "orders", "payment").elements[0].integer == 0)
        // Without --ack what was printed stays pending.
        let look = try start(["group", "read", "orders", "--group", "payment", "--as", "b", "--follow", "--json"])
        try fill("orders", 5...6)
        try eventually(10, "two") { look.outputText.split(separator: "\n").count == 2 }
        look.signal(SIGTERM)
        #expect(look.end() == 0)
        #expect(try admin.command("XPENDING", "orders", "payment").elements[0].integer == 2)
        try fill("orders", 7...7)
        let full = try start(["group", "read", "orders", "--group", "payment", "--as", "c", "--follow"], output: .redirected(">/dev/full"))
        #expect(full.end() == 1 && full.errorText.contains("standard output"), "\(full.errorText)")
    }

    // MARK: What is wrong

    @Test("Wrong usage ends with 2 and one sentence")
    func usage() throws {
        for (arguments, part) in [
            (["stream", "add", "k", "novalue"], "'novalue'"), (["stream", "add", "k", "a=1", "--id", "x"], "'x'"),
            (["stream", "add", "k", "a=1", "--exactly"], "--exactly"),
            (["stream", "add", "k", "a=1", "--id", "0-0"], "0-0"),
            (["stream", "add", "k", "a=1", "--keep", "1", "--keep-from", "2"], "--keep"),
            (["stream", "add", "k", "-", "--id", "1-1"], "--id"), (["stream", "range", "k", "yesterday"], "'yesterday' is not a place"),
            (["stream", "range", "k", "--count", "0"], "--count"), (["stream", "trim", "k"], "--acknowledged"),
            (["stream", "trim", "k", "--keep", "1", "--before", "2"], "exclude"), (["stream", "trim", "k", "--before", "end"], "end"),
            (["stream", "trim", "k", "--keep", "1", "--exactly", "--limit", "5"], "--limit"), (["stream", "del", "k", "1-x"], "'1-x'"),
            (["group", "claim", "k", "g", "c", "--idle", "soon"], "'soon'"), (["group", "seek", "k", "g", "never"], "'never'"),
            (["stream", "len", ""], "empty"), (["stream", "bogus"], "--help"), (["group", "create", "k", ""], "empty"),
            (["group", "read", "k", "--group", "g", "--as", ""], "empty"), (["stream", "len", "@btcusdt:1m:"], "@btcusdt:1m"),
        ] {
            let refused = try run(arguments)
            #expect(refused.status == 2 && refused.err.contains(part) && refused.out.isEmpty, "\(arguments): \(refused)")
        }
    }

    @Test("Errors have their code and exit code, on standard error and as JSON")
    func errors() throws {
        _ = try admin.command("SET", "text", "x")
        let wrong = try run("stream", "range", "text", "--json")
        #expect(try wrong.status == 1 && code(String(wrong.out.split(separator: "\n").last ?? "")) == "not_a_stream", "\(wrong)")
        let away = try ProgramRun(["stream", "len", "k", "--json", "--redis", "redis://127.0.0.1:1", "--timeout", "1"])
        #expect(away.end() == 3)
        #expect(try code(away.outputText) == "unreachable" && away.errorText.contains("127.0.0.1:1"), "\(away.errorText)")
        _ = try admin.command("CONFIG", "SET", "maxmemory", "1")
        let full = try run("stream", "add", "k", "a=1", "--json")
        _ = try admin.command("CONFIG", "SET", "maxmemory", "0")
        #expect(try full.status == 3 && code(full.out) == "unavailable", "\(full)")
        let hostile = try run("stream", "info", "a\u{1B}[31m\nb")
        #expect(hostile.status == 1 && !hostile.err.contains("\u{1B}") && hostile.err.split(separator: "\n").count == 1, "\(hostile)")
    }

    @Test("Help, and completion of every shell, know the commands")
    func completion() throws {
        for arguments in [["stream", "--help"], ["group", "--help"], ["stream", "add", "--help"], ["group", "read", "--help"]] {
            let help = try ProgramRun(arguments)
            #expect(help.end() == 0 && !help.outputText.isEmpty)
        }
        for shell in ["bash", "zsh", "fish"] {
            let script = try ProgramRun(["--generate-completion-script", shell])
            #expect(script.end() == 0)
            for word in ["revrange", "pending", "keep-from"] { #expect(script.outputText.contains(word), "\(shell): \(word)") }
        }
    }
}
