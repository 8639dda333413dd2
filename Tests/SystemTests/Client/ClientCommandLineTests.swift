// The client commands of the built `feedd` against a scripted service: tables, JSON, exit codes.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite("Command line: commands to a running service", .serialized)
struct ClientCommandLineTests {
    private let server: RedisServerProcess
    private var place: [String] { ["--redis", "unix://\(server.socketPath)"] }

    init() throws { server = try RedisServerProcess() }

    private func run(_ arguments: [String], environment: [String: String] = [:]) throws -> (status: Int32, out: String, err: String) {
        let run = try ProgramRun(arguments, environment: environment)
        let status = run.end()
        return (status, run.outputText, run.errorText)
    }

    private func json(_ text: String) throws -> [String: Any] {
        try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any], "\(text)")
    }

    @Test("Answers as aligned tables, without colour where there is no terminal")
    func tables() throws {
        let service = try ScriptedService(server.endpoint)
        let list = try run(["list"] + place)
        #expect(list.status == 0, "\(list.err)")
        let lines = list.out.split(separator: "\n")
        #expect(lines.count == 3)
        #expect(
            lines[0].hasPrefix("FLUX                STATE     INTERVAL  SERIES  SYMBOLS           CREATED (UTC)        LAST UPDATE"),
            "\(list.out)")
        #expect(
            lines[1].hasPrefix("1m_btcusdt-ethusdt  live      1m        2 of 2  btcusdt, ethusdt  2026-09-21 14:13:20  "), "\(list.out)")
        #expect(lines[2].hasSuffix("  never"), "\(list.out)")
        let create = try run(["create", "ethusdt,btcusdt", "1m"] + place)
        #expect((create.status, create.out) == (0, "created 1m_btcusdt-ethusdt\n"))
        #expect(try run(["create", "btcusdt", "1m", "--name", "old"] + place).out == "old was there already\n")
        #expect(
            try run(["create", "lunausdt", "1m", "--name", "halted"] + place).out
                == "created halted\nlunausdt: not trading now (BREAK); it comes when the exchange resumes it\n")
        #expect(try run(["stop", "old"] + place).out == "stopped old\n")
        let status = try run(["status"] + place)
        #expect(status.out.contains(/(?m)^state +live$/) && status.out.contains(/(?m)^messages_total +1 234 567$/), "\(status.out)")
        #expect(try run(["status", "1m_btcusdt-ethusdt"] + place).out.contains("gaps_open"))
        let data = try run(["data", "btcusdt", "1m", "3"] + place)
        #expect(data.status == 0, "\(data.err)")
        let rows = data.out.split(separator: "\n")
        #expect(rows.count == 5 && rows[4] == "3 candles of btcusdt 1m from redis in 312 µs", "\(data.out)")
        #expect(rows[1].contains("50000.00000001  50001.00000000  49999.90000000  50000.10000000  12.34500000    1 234  closed   live"))
        #expect(rows[3].contains("forming"))
        for text in [list.out, create.out, status.out, data.out] { #expect(!text.contains("\u{1B}")) }
        service.stop()
    }

    @Test("What the exchange lists: a table; and a flux of the first of them")
    func symbols() throws {
        let service = try ScriptedService(server.endpoint)
        let all = try run(["symbols", "--quote", "USDT"] + place)
        let lines = all.out.split(separator: "\n").map(String.init)
        #expect(all.status == 0 && lines.count == 4, "\(all.out) \(all.err)")
        #expect(
            Array(lines.prefix(3)) == [
                "SYMBOL   BASE/QUOTE  STATUS            PRICE   CHANGE   VOLUME (QUOTE)   TRADES",
                "btcusdt  BTC/USDT    TRADING  50000.10000000   -1.25%            1.23G    1 234",
                "newusdt  NEW/USDT    TRADING               –        –                –        –",
            ], "\(all.out)")
        #expect(lines.last?.hasPrefix("2 of 2 symbols, figures of the last 24 h, ") == true, "\(all.out)")
        let one = try run(["symbols", "btc", "--top", "1", "--json"] + place)
        #expect(try (json(one.out)["symbols"] as? [Any])?.count == 1 && json(one.out)["total"] as? Int == 2, "\(one.err)")
        let created = try run(["create", "--top", "2", "--quote", "USDT", "1m", "--history", "5"] + place)
        #expect((created.status, created.out) == (0, "created 1m_btcusdt-newusdt\n"), "\(created.err)")
        #expect(service.heardRequests.last?.hasSuffix(#""symbols":["btcusdt","newusdt"],"interval":"1m","history":5}"#) == true)
        for wrong in [
            ["symbols", "--top", "0"], ["symbols", "--top", "1501"], ["symbols", "--quote", "a/b", "c", "d"],
            ["create", "--top", "2", "1m"],
            ["create", "--top", "0", "--quote", "USDT", "1m"], ["create", "--top", "2", "--quote", "USDT", "btcusdt", "1m"],
            ["create", "--top", "2", "--quote", "USDT"], ["create", "--top", "2", "--quote", "USDT", "7m"],
            ["create", "--quote", "USDT", "btcusdt", "1m"],
        ] {
            let refused = try run(wrong + place)
            #expect(refused.status == 2 && refused.out.isEmpty, "\(wrong): \(refused)")
        }
        service.stop()
    }

    @Test("What is missing: a table, and 1 when something is; nothing but what the exchange lacks: 0")
    func gaps() throws {
        let service = try ScriptedService(server.endpoint)
        let all = try run(["gaps"] + place)
        let lines = all.out.split(separator: "\n")
        #expect(all.status == 1 && lines.count == 4, "\(all.out) \(all.err)")
        let table = [
            "SYMBOL   INTERVAL  FROM (UTC)           UNTIL (UTC)           CANDLES  CAUSE     STATE     TRIES",
            "btcusdt  1m        2026-09-21 14:14:00  2026-09-21 14:17:00         3  missed    healing       1",
        ]
        #expect(lines.prefix(2).map(String.init) == table, "\(all.out)")
        #expect(lines[3] == "3 candles missing, 3 candles that the exchange lacks", "\(all.out)")
        let one = try run(["gaps", "ethusdt", "1m", "--json"] + place)
        #expect(one.status == 0, "\(one.err)")
        #expect((try json(one.out)["gaps"] as? [[String: Any]])?.first?["state"] as? String == "absent")
        #expect(try run(["gaps", "btcusdt", "7m"] + place).status == 2)
        service.stop()
    }

    @Test("backfill waits until nothing of it is missing and Redis has it; --no-wait does not")
    func backfill() throws {
        // Listed the second time, gone from the fourth on.
        let looks = Shared(0)
        let service = try ScriptedService(server.endpoint) { command, request in
            guard command == "gaps:list" else { return ScriptedService.wellBehaved(command, request) }
            looks.withLock { $0 += 1 }
            let isListed = looks.value == 2 || looks.value == 3
            let listed = isListed ? ScriptedService.gap("btcusdt", "backfill", "healing", tries: 1) : ""
            return [ScriptedService.ok(request, "\"gaps\":[\(listed)],\"more\":0")]
        }
        let asked = try run(["backfill", "btcusdt", "1m", "20", "--no-wait"] + place)
        #expect((asked.status, asked.out, looks.value) == (0, "asked for the last 20 candles of btcusdt 1m\n", 0), "\(asked.err)")
        looks.withLock { $0 = 1 }
        let waited = try run(["backfill", "btcusdt", "1m", "20"] + place)
        #expect((waited.status, waited.out) == (0, "btcusdt 1m: the last 20 candles are there, 3 were fetched\n"), "\(waited.err)")
        #expect(looks.value == 4 && waited.err.isEmpty, "no progress is shown where there is no terminal")
        service.stop()
    }

    @Test("backfill that does not come ends with 1")
    func backfillInVain() throws {
        let service = try ScriptedService(server.endpoint) { command, request in
            switch command {
            case "gaps:list": [ScriptedService.ok(request, "\"gaps\":[],\"more\":0")]
            case "data:get": ScriptedService.wellBehaved(command, request).map { $0.replacing("\"redis\"", with: "\"completed\"") }
            default: ScriptedService.wellBehaved(command, request)
            }
        }
        let run = try run(["backfill", "btcusdt", "1m", "20", "--json", "--timeout", "4"] + place)
        #expect(try run.status == 1 && json(run.out)["count"] as? Int == 20, "\(run.out) \(run.err)")
        service.stop()
    }

    @Test("audit names what it finds and ends with 1 as long as it is there")
    func audit() throws {
        let looks = Shared(0)
        let service = try ScriptedService(server.endpoint) { command, request in
            if command == "data:audit" { looks.withLock { $0 += 1 } }
            let answers = ScriptedService.wellBehaved(command, request)
            // The third one, which looks whether it is repaired, finds nothing.
            return looks.value == 3 ? answers.map { $0.replacing(/"findings":\[.*\],"more"/, with: "\"findings\":[],\"more\"") } : answers
        }
        let found = try run(["audit", "btcusdt", "1m"] + place)
        #expect(found.status == 1, "\(found.err)")
        #expect(found.out.contains("1790000040000-0  2026-09-21 14:14:00  different\n"), "\(found.out)")
        #expect(found.out.hasSuffix("1 000 candles of btcusdt 1m compared: 1 different\n"), "\(found.out)")
        let repaired = try run(["audit", "btcusdt", "1m", "--repair"] + place)
        #expect(repaired.status == 0 && repaired.out.hasSuffix("1 different; repaired\n"), "\(repaired.out) \(repaired.err)")
        let good = try run(["audit", "btcusdt", "1m", "--limit", "5"] + place)
        #expect((good.status, good.out) == (0, "1 000 candles of btcusdt 1m compared: all as the exchange has them\n"), "\(good.err)")
        service.stop()
    }

    @Test("Wide characters take two columns")
    func wideNames() throws {
        let ids = ["1m_币安人生usdt", "plain", "1m_é", "1m_한글usdt"]
        let service = try ScriptedService(server.endpoint) { _, request in
            let fluxes = ids.map {
                "{\"flux_id\":\"\($0)\",\"symbols\":[\"龙虾usdt\"],\"interval\":\"1m\",\"state\":\"delisted\",\"created_at\":1790000000000,\"last_update_at\":null,\"series_live\":0}"
            }
            return [ScriptedService.ok(request, "\"fluxes\":[\(fluxes.joined(separator: ","))]")]
        }
        let lines = try run(["list"] + place).out.split(separator: "\n").map(String.init)
        #expect(lines.count == 5)
        #expect(lines[1] == "1m_币安人生usdt  delisted  1m        0 of 1  龙虾usdt  2026-09-21 14:13:20  never", "\(lines[1])")
        #expect(lines[2] == "plain            delisted  1m        0 of 1  龙虾usdt  2026-09-21 14:13:20  never", "\(lines[2])")
        #expect(lines[3] == "1m_é             delisted  1m        0 of 1  龙虾usdt  2026-09-21 14:13:20  never", "\(lines[3])")
        #expect(lines[4] == "1m_한글usdt      delisted  1m        0 of 1  龙虾usdt  2026-09-21 14:13:20  never", "\(lines[4])")
        service.stop()
    }

    @Test("--json prints the answer as one document, errors too")
    func documents() throws {
        let service = try ScriptedService(server.endpoint)
        let list = try json(run(["list", "--json"] + place).out)
        #expect(list.keys.sorted() == ["fluxes"] && (list["fluxes"] as? [Any])?.count == 2)
        let create = try json(run(["create", "btcusdt", "1m", "--json"] + place).out)
        #expect(create["flux_id"] as? String == "1m_btcusdt" && create["created"] as? Bool == true)
        #expect(try json(run(["stop", "x", "--json"] + place).out)["flux_id"] as? String == "x")
        #expect(try json(run(["status", "--json"] + place).out)["messages_total"] as? Int == 1_234_567)
        let data = try json(run(["data", "btcusdt", "1m", "2", "--json"] + place).out)
        let first = try #require((data["rows"] as? [[String: Any]])?.first)
        #expect(first["open"] as? String == "50000.00000001" && data["took_us"] as? Int == 312)
        let refused = try run(["stop", "none", "--json"] + place)
        let error = try json(refused.out)["error"] as? [String: Any]
        #expect(refused.status == 1 && error?["code"] as? String == "unknown_flux")
        service.stop()
    }

    @Test("1: the service said no, in its words")
    func refused() throws {
        let service = try ScriptedService(server.endpoint)
        let create = try run(["create", "btcusd", "1m"] + place)
        #expect((create.status, create.err) == (1, "feedd: unknown symbol 'btcusd': did you mean btcusdt, btcusdc?\n"))
        #expect(create.out.isEmpty)
        service.stop()
        let broken = try ScriptedService(server.endpoint) { _, _ in ["{"] }
        #expect(try run(["list"] + place).status == 1)
        broken.stop()
    }

    @Test(
        "2: wrong usage",
        arguments: [
            ["create", "btcusdt"], ["create", "btcusdt", "7m"], ["create", ",", "1m"], ["stop"], ["data", "btcusdt", "1m", "0"],
            ["data", "btcusdt", "1m", "x"], ["watch", "btcusdt", "1x"], ["watch", "btc/usdt", "1m"],
            ["watch", "btcusdt", "1m", "--count", "0"],
            ["monitor", "--every", "0"], ["list", "--timeout", "soon"], ["list", "--timeout", "0"], ["list", "--redis", "http://x"],
            ["list", "--key-prefix", "a{b"], ["list", "--redis", "embedded:/" + String(repeating: "x", count: 107)],
            ["list", "--redis", "redis://u:s3cret@127.0.0.1"], ["list", "--redis", "embedded"], ["list", "--redis-user", "x"],
            ["list", "--redis-ca-file", "/proc/self/comm"], ["list", "extra"], ["gaps", "btcusdt", "1x"],
            ["backfill", "btcusdt", "1m"], ["backfill", "btcusdt", "1m", "0"], ["audit", "btcusdt"],
            ["audit", "btcusdt", "1m", "--limit", "1501"],
        ])
    func usage(arguments: [String]) throws {
        let wrong = try run(arguments + (arguments.contains("--redis") ? [] : place))
        #expect(wrong.status == 2, "\(wrong.err)")
        #expect(!wrong.err.isEmpty && !wrong.err.contains("s3cret") && wrong.out.isEmpty)
    }

    @Test("3: nobody there, no service, no answer; with advice")
    func unreachable() throws {
        let nowhere = try run(["list", "--redis", "redis://127.0.0.1:1"])
        #expect(nowhere.status == 3 && nowhere.err.contains("redis://127.0.0.1:1"), "\(nowhere.err)")
        let lonely = try run(["list"] + place)
        #expect(lonely.status == 3 && lonely.err.contains("feedd run") && lonely.err.contains(server.socketPath), "\(lonely.err)")
        let prefixed = try run(["list", "--key-prefix", "a:", "--json"] + place)
        #expect(
            prefixed.status == 3 && prefixed.err.contains("'a:'") && prefixed.out.contains("\"code\":\"not_running\""), "\(prefixed.out)")
        let service = try ScriptedService(server.endpoint) { _, _ in [] }
        let silent = try run(["list", "--timeout", "2"] + place)
        #expect(silent.status == 3 && silent.err.contains("2000 ms"), "\(silent.err)")
        service.stop()
    }

    @Test("Advice names what was found: a status, another market, another key prefix")
    func advice() throws {
        let client = try RedisClient.connect(server.endpoint)
        func advice(_ more: String...) throws -> String {
            let list = try run(["list", "--timeout", "2"] + more + place)
            #expect(list.status == 3)
            return list.err
        }
        func leave(_ state: String) throws {
            let now = "\(WallClock.nowMs())"
            _ = try client.command("HSET", "status:um:service", "state", state, "pid", "7", "host", "here", "heartbeat_at", now)
        }
        let listener = try RedisSubscriber.connect(server.endpoint)
        listener.subscribe(["b:commands:um:flux:list"])
        #expect(listener.next(timeoutMs: 5_000) == .subscribed("b:commands:um:flux:list"))
        #expect(try advice().contains("use --key-prefix 'b:' --market um"))
        listener.close()
        try leave("live")
        #expect(try advice().contains("a um service runs here (pid 7 on here): use --market um"))
        let dead = try advice("--market", "um")
        #expect(dead.contains("one (pid 7 on here) has written its status") && dead.contains("listens no more"), "\(dead)")
        try leave("stopped")
        let stopped = try advice("--market", "um")
        #expect(stopped.contains("(pid 7 on here) has stopped") && stopped.contains(" --market um --flux"), "\(stopped)")
        #expect(try !advice().contains("--market um"), "it runs no more")
        // Somebody listens and says nothing.
        let service = try ScriptedService(server.endpoint) { _, _ in [] }
        #expect(try advice().contains("no service has written its status to this database"))
        #expect(try advice("--market", "um").contains("the service (pid 7 on here) has stopped"))
        try leave("live")
        #expect(try advice("--market", "um").contains("it is busy, or hangs"))
        service.stop()
    }

    @Test("Redis from the environment, a file, with user and password")
    func settings() throws {
        let administrator = try RedisClient.connect(server.endpoint)
        #expect(try administrator.command("ACL", "SETUSER", "bot", "on", ">s3cret", "allchannels", "+@all").text == "OK")
        #expect(try administrator.command("ACL", "SETUSER", "default", "off").text == "OK")
        var endpoint = server.endpoint
        (endpoint.user, endpoint.password) = ("bot", "s3cret")
        let service = try ScriptedService(endpoint, prefix: "p:")
        let directory = try TemporaryDirectory()
        let (secret, file) = (directory.path + "/secret", directory.path + "/feedd.json")
        try "s3cret\n".write(toFile: secret, atomically: true, encoding: .utf8)
        try "{\"redis\": \"unix://\(server.socketPath)\", \"key-prefix\": \"p:\", \"flux\": \"btcusdt:1m\", \"timeout\": 5}"
            .write(toFile: file, atomically: true, encoding: .utf8)
        let fromFile = try run(["list", "--config", file, "--redis-user", "bot", "--redis-password-file", secret])
        #expect(fromFile.status == 0, "\(fromFile.err)")
        let fromEnvironment = try run(
            ["list"],
            environment: [
                "FEEDD_REDIS": "unix://\(server.socketPath)", "FEEDD_REDIS_USER": "bot", "FEEDD_REDIS_PASSWORD_FILE": secret,
                "FEEDD_KEY_PREFIX": "p:", "FEEDD_TIMEOUT": "5",
            ])
        #expect(fromEnvironment.status == 0, "\(fromEnvironment.err)")
        #expect(try run(["list", "--config", file]).status == 3)
        // An embedded Redis of the same configuration file is found by its directory.
        try "{\"redis\": \"embedded:\(server.directory)\", \"key-prefix\": \"p:\"}".write(toFile: file, atomically: true, encoding: .utf8)
        #expect(try run(["list", "--config", file, "--redis-user", "bot", "--redis-password-file", secret]).status == 0)
        service.stop()
    }
}

@Suite("Command line: watch and monitor", .serialized)
struct ClientWatchTests {
    private let server: RedisServerProcess
    private let publisher: RedisClient
    private var place: [String] { ["--redis", "unix://\(server.socketPath)"] }

    init() throws {
        server = try RedisServerProcess()
        publisher = try RedisClient.connect(server.endpoint)
    }

    private func publish(_ number: Int64) throws -> Bool {
        try publisher.command("PUBLISH", Keys.updates("btcusdt", .m1), ScriptedService.update(number)).integer == 1
    }

    @Test("watch prints a line for each update and ends after --count")
    func lines() async throws {
        let watch = try ProgramRun(["watch", "BTCUSDT", "1m", "--count", "2"] + place)
        try await eventually(20, "somebody who listens") { try publish(1) }
        #expect(try publish(2))
        #expect(watch.end() == 0, "\(watch.errorText)")
        let lines = watch.outputText.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines[0].contains("btcusdt 1m  50000.10000000") && lines[0].hasSuffix("forming"), "\(watch.outputText)")
    }

    @Test("watch --json prints the messages; Ctrl-C ends it with 0")
    func documents() async throws {
        let watch = try ProgramRun(["watch", "btcusdt", "1m", "--json"] + place)
        try await eventually(20, "somebody who listens") { try publish(1) }
        try await eventually(20, "the update as a whole line") { watch.outputText.hasSuffix("\n") }
        let message = try JSONValue(parsing: Array(watch.outputText.utf8))
        #expect(message.text == (try JSONValue(parsing: Array(ScriptedService.update(1).utf8))).text)
        watch.signal(SIGINT)
        #expect(watch.end() == 0, "\(watch.errorText)")
    }

    @Test("watch ends with the reader of its pipe")
    func closedPipe() async throws {
        let shell = Process()
        let output = Pipe()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        shell.arguments = ["-c", "'\(ProgramRun.program.path)' watch btcusdt 1m --json \(place.joined(separator: " ")) | head -n 1"]
        shell.standardInput = FileHandle.nullDevice
        shell.standardOutput = output
        try shell.run()
        try await eventually(20, "somebody who listens") { try publish(1) }
        try await eventually(10, "nobody who listens") { try !publish(2) }
        shell.waitUntilExit()
        #expect(String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self).split(separator: "\n").count == 1)
    }

    @Test("monitor prints lines where there is no terminal, and goes on without a service")
    func monitor() async throws {
        let service = try ScriptedService(server.endpoint)
        let monitor = try ProgramRun(["monitor", "--every", "0.1"] + place)
        try await eventually(20, "two fluxes: \(monitor.outputText)") { monitor.outputText.contains("live  2 fluxes (2 live)") }
        service.stop()
        try await eventually(20, "the service's end: \(monitor.outputText)") { monitor.outputText.contains("no service listens") }
        monitor.signal(SIGTERM)
        #expect(monitor.end() == 0, "\(monitor.errorText)")
        #expect(!monitor.outputText.contains("\u{1B}"))
        let again = try ScriptedService(server.endpoint)
        let json = try ProgramRun(["monitor", "--every", "0.1", "--count", "2", "--json"] + place)
        #expect(json.end() == 0, "\(json.errorText)")
        let lines = json.outputText.split(separator: "\n")
        #expect(lines.count == 2)
        for line in lines { #expect(try JSONValue(parsing: Array(line.utf8))["service"]?["state"]?.string == "live") }
        again.stop()
    }
}

@Suite("Command line: finding the service", .serialized)
struct DiscoveryTests {
    private let directory: TemporaryDirectory
    private var folder: String { directory.path + "/feedd" }
    private var environment: [String: String] { ["XDG_RUNTIME_DIR": directory.path] }

    init() throws { directory = try TemporaryDirectory() }

    private func file(of run: ProgramRun) -> String { "\(folder)/\(run.pid)" }

    private func list(_ arguments: [String] = [], _ more: [String: String] = [:]) throws -> (status: Int32, out: String, err: String) {
        let run = try ProgramRun(["list", "--json"] + arguments, environment: environment.merging(more) { $1 })
        let status = run.end()
        return (status, run.outputText, run.errorText)
    }

    private func finds(_ arguments: [String] = [], _ more: [String: String] = [:]) throws -> Bool {
        let list = try list(arguments, more)
        return list.status == 0 && list.out.contains("\"fluxes\":[")
    }

    private func runs(_ arguments: [String]) async throws -> ProgramRun {
        let run = try ProgramRun(["run", "--redis"] + arguments + ["--venue-ws", "ws://127.0.0.1:1"], environment: environment)
        #expect(run.shows("taking commands", within: 20), "\(run.errorText)")
        try await eventually(20, "its file") { FileManager.default.fileExists(atPath: file(of: run)) }
        return run
    }

    @Test("Commands find a running demo by its file, and only a private file of a live process")
    func demo() async throws {
        let demo = try ProgramRun(["demo", "--plain", "--symbols", "2", "--seconds", "60"], environment: environment)
        let file = file(of: demo)
        try await eventually(20, "its file") { FileManager.default.fileExists(atPath: file) }
        try await eventually(20, "what to type: \(demo.outputText)") { demo.outputText.contains("feedd monitor\n") }
        #expect(try mode(folder) == 0o700)
        #expect(try mode(file) == 0o600)
        let text = try String(contentsOfFile: file, encoding: .utf8)
        let redis = text.split(separator: "\n")[2]
        try await eventually(20, "a service that is found") { try finds() }
        // A named Redis wins.
        #expect(try !finds(["--redis", "redis://127.0.0.1:1"]))
        #expect(try !finds([], ["FEEDD_REDIS": "redis://127.0.0.1:1"]))
        // Not believed: readable for others, another start of the process, a dead process.
        chmod(file, 0o644)
        #expect(try !finds())
        chmod(file, 0o600)
        chmod(folder, 0o755)
        #expect(try !finds())
        chmod(folder, 0o700)
        #expect(try finds())
        demo.signal(SIGTERM)
        #expect(demo.end(within: 20) == 0, "\(demo.errorText)")
        #expect(!FileManager.default.fileExists(atPath: file))
        for lines in ["\(getpid())\n1\n\(redis)\n\n", "999999999\n1\n\(redis)\n\n", "\n\n\n\n", "x"] {
            for name in ["\(getpid())", "999999999", "current"] {
                let path = "\(folder)/\(name)"
                #expect(FileManager.default.createFile(atPath: path, contents: Data(lines.utf8), attributes: [.posixPermissions: 0o600]))
            }
            #expect(try !finds())
        }
    }

    @Test("Commands find a running service with an embedded Redis, its key prefix and market too; of two, one must be named")
    func service() async throws {
        let kept = try TemporaryDirectory()
        let first = try await runs(["embedded:\(kept.path)", "--key-prefix", "a:"])
        #expect(try finds())
        let second = try await runs(["embedded", "--market", "um"])
        let both = try list()
        #expect(both.status == 2 && both.out.isEmpty, "\(both.out)")
        let place = "unix://\(kept.path.replacing("//", with: "/"))/redis.sock"
        #expect(both.err.contains("--redis \(place) --key-prefix a: (process \(first.pid))"), "\(both.err)")
        #expect(both.err.contains("--market um (process \(second.pid))") && both.err.split(separator: "\n").count == 1, "\(both.err)")
        #expect(try finds(["--redis", place, "--key-prefix", "a:"]))
        first.signal(SIGTERM)
        #expect(first.end() == 0, "\(first.errorText)")
        #expect(!FileManager.default.fileExists(atPath: file(of: first)))
        #expect(try finds())
        // Who is killed leaves its file behind: it is not believed, and the next to come removes it.
        second.signal(SIGKILL)
        #expect(second.end() == -SIGKILL)
        #expect(FileManager.default.fileExists(atPath: file(of: second)))
        #expect(try !finds())
        let third = try await runs(["embedded"])
        #expect(!FileManager.default.fileExists(atPath: file(of: second)))
        #expect(try finds())
        third.signal(SIGTERM)
        #expect(third.end() == 0, "\(third.errorText)")
    }

    @Test("A password is not in the file; with it the service is found all the same")
    func password() async throws {
        let secret = directory.path + "/secret"
        try "s3cret\n".write(toFile: secret, atomically: true, encoding: .utf8)
        let run = try await runs(["embedded", "--redis-password-file", secret])
        #expect(try !String(contentsOfFile: file(of: run), encoding: .utf8).contains("s3cret"))
        #expect(try finds(["--redis-password-file", secret]))
        let without = try list()
        #expect(without.status == 3 && without.out.contains("NOAUTH"), "\(without.out)")
        // A Redis that others know is not announced.
        let other = try RedisServerProcess()
        let service = try ProgramRun(
            ["run", "--redis", "unix://\(other.socketPath)", "--venue-ws", "ws://127.0.0.1:1"], environment: environment)
        #expect(service.shows("taking commands", within: 20), "\(service.errorText)")
        #expect(!FileManager.default.fileExists(atPath: file(of: service)))
        for program in [run, service] {
            program.signal(SIGTERM)
            #expect(program.end() == 0, "\(program.errorText)")
        }
    }

    private func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }
}
