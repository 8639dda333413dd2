// The program as its users meet it: the built `feedd` beside the test bundle, with arguments, environment,
// signals and exit codes.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

/// One run of `feedd`.
final class ProgramRun {
    private let process = Process()
    private let output: URL
    private let errors: URL

    /// The products stand beside the test bundle, which is the running program.
    static let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("feedd")

    /// Where the standard output goes.
    enum Place {
        case file
        /// A pipe whose reader has gone.
        case closedPipe
        /// Standard input, too.
        case terminal(FileHandle)
        /// What the shell makes of it: `>/dev/full`, `>&-`, `2>&-`.
        case redirected(String)
    }

    init(
        _ arguments: [String], of program: URL = ProgramRun.program, environment: [String: String] = [:], output place: Place = .file
    ) throws {
        let name = UUID().uuidString
        output = FileManager.default.temporaryDirectory.appendingPathComponent("feedd-test-\(name).out")
        errors = FileManager.default.temporaryDirectory.appendingPathComponent("feedd-test-\(name).err")
        for file in [output, errors] { #expect(FileManager.default.createFile(atPath: file.path, contents: nil)) }
        process.executableURL = program
        process.arguments = arguments
        let inherited = ProcessInfo.processInfo.environment.filter {
            ["PATH", "TMPDIR"].contains($0.key) || $0.key.hasSuffix("SAN_OPTIONS")
        }
        // One ops server has its usual place; many of these programs run at a time, so that an answer may be late.
        process.environment = inherited.merging(["FEEDD_OPS": "off", "FEEDD_TIMEOUT": "20"]) { $1 }.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        let files = [try FileHandle(forWritingTo: output), try FileHandle(forWritingTo: errors)]
        // They are the program's; Foundation would keep ours for good.
        defer { for file in files { try? file.close() } }
        (process.standardOutput, process.standardError) = (files[0], files[1])
        switch place {
        case .file: break
        case .closedPipe:
            let pipe = Pipe()
            process.standardOutput = pipe
            try pipe.fileHandleForReading.close()
        case .terminal(let handle): (process.standardInput, process.standardOutput) = (handle, handle)
        case .redirected(let words):
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", "exec \"$0\" \"$@\" \(words)", program.path] + arguments
        }
        try process.run()
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        for file in [output, errors] { try? FileManager.default.removeItem(at: file) }
    }

    var outputText: String { (try? String(contentsOf: output, encoding: .utf8)) ?? "" }
    var errorText: String { (try? String(contentsOf: errors, encoding: .utf8)) ?? "" }
    var pid: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }

    /// The exit code; −1 and a recorded issue when the program does not end in time, −signal when one killed it.
    func end(within seconds: Double = 30) -> Int32 {
        guard comesTrue(within: seconds, { !process.isRunning }) else {
            Issue.record("still running after \(seconds) s: \(errorText)")
            return -1
        }
        return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
    }

    func signal(_ number: Int32) { kill(pid, number) }

    /// True once the standard error shows a text.
    func shows(_ text: String, within seconds: Double = 10) -> Bool { comesTrue(within: seconds) { errorText.contains(text) } }
}

/// A file that is there for the length of a test.
private final class ScratchFile {
    let path: String

    init(_ text: String) throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("feedd-test-\(UUID().uuidString)").path
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

private let flux = ["--flux", "btcusdt:1m"]
/// Nobody listens there: the service starts, and tries again and again.
private let nowhere = ["--venue-ws", "ws://127.0.0.1:1"]

@Suite("Command line: what is refused", .serialized)
struct CommandLineRefusalTests {
    /// Arguments after `run`, and what the one sentence must name.
    static let wrong: [([String], String)] = [
        (["--flux", "btcusdt:7m"], "'7m'"),
        (["--flux", "btc/usdt:1m"], "'btc/usdt' is not a symbol; did you mean btcusdt?"),
        (["--flux", "龙虾-USDT:1m"], "did you mean 龙虾usdt?"),
        (["--flux", "btcusdt"], "SYMBOLS:INTERVALS"),
        (flux + ["--market", "um", "--flux", "btcusdt:1s"], "1s"),
        (flux + ["--market", "cm"], "--market 'cm'"),
        (flux + ["--venue-ws", "http://127.0.0.1"], "http://127.0.0.1"),
        (flux + ["--venue-ws", "ws://example.com"], "--allow-plain-remote"),
        (flux + ["--venue-ws", "ws://127.0.0.1:1/stream?streams="], "write ws://127.0.0.1:1/"),
        (flux + ["--venue-ws", "ws://127.0.0.1:1/ws/btcusdt@kline_1m"], "--venue-ws"),
        (flux + ["--market", "um", "--venue-ws", "wss://stream.binance.com:9443"], "spot"),
        (flux + ["--market", "um", "--venue-ws", "wss://h", "--venue-ws", "wss://stream.binance.com:9443"], "spot"),
        (flux + nowhere + ["--venue-ws", "ws://example.com"], "is plain ws://"),
        (flux + ["--venue-ws", "ws://127.0.0.1:1,"], "--venue-ws"),
        (flux + ["--redundancy", "3"], "redundancy must be 1 or 2, not 3"),
        (flux + ["--connection-lifetime", "9"], "connection-lifetime must be 10 to 86400 seconds, not 9"),
        (["--flux", ""], "--flux"),
        (flux + ["--venue-rest", "https://api.binance.com/api/v3"], "path and query have no place here"),
        (flux + nowhere + ["--venue-rest", "http://example.com"], "venue-rest"),
        (flux + ["--venue-rest", "ftp://x"], "--venue-rest 'ftp://x'"),
        (flux + ["--ca-file", "/nowhere/ca.pem"], "/nowhere/ca.pem"),
        (flux + ["--ca-file", "/"], "directory"),
        (flux + ["--ca-file", "/proc/self/comm"], "/proc/self/comm"),
        (flux + ["--proxy", "ftp://x:1"], "--proxy: the proxy URL is not valid: it must begin with http://"),
        (flux + ["--proxy", "http://proxy"], "--proxy: the proxy URL is not valid"),
        (flux + ["--proxy", "http://proxy:1/path"], "path"),
        (flux + ["--proxy", "http://feed@proxy:1"], "password"),
        (flux + ["--proxy", "socks5://feed@proxy", "--proxy-password-file", "/nowhere/secret"], "/nowhere/secret"),
        (flux + ["--proxy-password-file", "/proc/self/comm"], "--proxy-password-file has no meaning without a proxy"),
        (flux + ["--proxy", "env", "--proxy-password-file", "/proc/self/comm"], "--proxy-password-file"),
        (flux + ["--subscribe", "later"], "--subscribe 'later'"),
        (flux + ["--streams-per-connection", "1025"], "1025"),
        (flux + ["--readers", "0"], "readers"),
        (flux + ["--threading", "both"], "--threading 'both'"),
        (flux + ["--idle", "pause:x"], "--idle 'pause:x'"),
        (flux + ["--redis", "http://127.0.0.1"], "redis://"),
        (flux + ["--redis", "redis://127.0.0.1:99999"], "port"),
        (flux + ["--redis", "embedded:"], "embedded:"),
        (flux + ["--redis-password-file", "/nowhere/secret"], "/nowhere/secret"),
        (flux + ["--redis-user", "feed"], "password"),
        (flux + ["--redis-user", ""], "--redis-user ''"),
        (flux + ["--redis-ca-file", "/proc/self/comm"], "rediss://"),
        (flux + ["--redis", "rediss://127.0.0.1", "--redis-cert-file", "/proc/self/comm"], "redis-key-file"),
        (flux + ["--redis", "redis+sentinel://a,b"], "the name under which they watch the primary"),
        (flux + ["--redis", "redis+sentinel://:s3cret@a,b/feedd"], "--redis has a password in its URL"),
        (flux + ["--sentinel-user", "feed"], "--sentinel-user needs Sentinels: a redis+sentinel:// URL"),
        (flux + ["--redis", "redis+sentinel://a/feedd", "--sentinel-user", "feed"], "--sentinel-password-file"),
        (flux + ["--read-from", "replica"], "read-from replica needs Sentinels"),
        (
            flux + ["--redis", "redis+cluster://a", "--read-from", "replica", "--redis-replica", "redis://127.0.0.1:6380"],
            "redis-replica has no meaning with a Redis Cluster"
        ),
        (flux + ["--read-from", "anywhere"], "--read-from 'anywhere'"),
        (flux + ["--redis-replica", "redis://127.0.0.1:6380"], "redis-replica has no meaning without read-from replica"),
        (flux + ["--redis", "embedded", "--read-from", "replica"], "--read-from has no meaning with an embedded Redis"),
        (flux + ["--key-prefix", "a{b"], "key-prefix"),
        (flux + ["--batch-size", "many"], "--batch-size 'many'"),
        (flux + ["--batch-size", "0"], "batch-size"),
        (flux + ["--history", "0"], "history"),
        (flux + ["--history", "500", "--backfill", "501"], "backfill must be 0 to 500 (history), not 501"),
        (flux + ["--heal-hold", "301"], "heal-hold must be 0 to 300 seconds"),
        (flux + ["--heal-hold", "soon"], "--heal-hold 'soon'"),
        (flux + ["--close-grace", "0.4"], "close-grace must be 0.5 to 60 seconds"),
        (flux + ["--audit-percent", "21"], "audit-percent must be 0 to 20, not 21"),
        (flux + ["--report-seconds", "1.5"], "--report-seconds '1.5'"),
        (flux + ["--log-format", "xml"], "--log-format 'xml'"),
        (flux + ["--log-level", "loud"], "--log-level 'loud'"),
        (flux + ["--config", "/nowhere/feedd.json"], "/nowhere/feedd.json"),
    ]

    @Test("A wrong value ends with 2 and one sentence that names it", arguments: wrong)
    func wrongValue(arguments: [String], named: String) throws {
        let run = try ProgramRun(["run"] + arguments)
        #expect(run.end() == 2)
        #expect(run.errorText.contains(named), "\(run.errorText)")
        #expect(run.errorText.split(separator: "\n").count == 1, "\(run.errorText)")
        #expect(run.outputText.isEmpty)
    }

    @Test(
        "Unknown flags, commands and malformed numbers end with 2",
        arguments: [
            ["run", "--bogus"], ["bogus"], ["simulate", "--port", "70000"], ["simulate", "--speed", "0"],
            ["simulate", "--open-loop", "0"], ["simulate", "--open-loop", "5", "--flat-out"], ["simulate", "--flat-out", "--stamp-trades"],
            ["simulate", "--fault", "flood"], ["simulate", "--speed", "nan"], ["simulate", "--truth-file", "/nowhere/truth"],
            ["simulate", "--connection-lifetime", "9223372036854775807"], ["simulate", "--status-seconds", "9223372036854775807"],
            ["simulate", "--rest-lag", "-1"], ["simulate", "--rest-weight", "0"], ["simulate", "--rest-ban", "0"],
            ["simulate", "--quiet-symbols", "21"], ["simulate", "--fault", "lose;flood"],
            ["simulate", "--market", "cm"], ["simulate", "--extra-symbol", "a/b"], ["simulate", "--extra-symbol", "btcusdt"],
            ["demo", "--symbols", "0"], ["demo", "--intervals", "7m"], ["demo", "--seconds", "0"],
        ])
    func usage(arguments: [String]) throws {
        let run = try ProgramRun(arguments)
        #expect(run.end() == 2, "\(run.errorText)")
        #expect(!run.errorText.isEmpty)
    }

    @Test(
        "Help and version end with 0",
        arguments: [["--help"], ["--version"], ["run", "--help"], ["simulate", "--help"], ["demo", "--help"]])
    func help(arguments: [String]) throws {
        let run = try ProgramRun(arguments)
        #expect(run.end() == 0)
        #expect(!run.outputText.isEmpty)
        #expect(run.errorText.isEmpty)
    }

    @Test("Its version, and its commit where the build knew it")
    func version() throws {
        let run = try ProgramRun(["--version"])
        #expect(run.end() == 0)
        let said = try #require(run.outputText.wholeMatch(of: /feedd ([0-9.]+)(?: \([0-9a-f]{4,15}(?:-dirty)?\))?\n/))
        #expect(said.1 == FastFeedVersion.text)
    }

    @Test("A password in a URL on the command line is refused and never shown")
    func passwordOnCommandLine() throws {
        for url in [
            "redis://feed:s3cret@127.0.0.1", "redis://:s3cret@127.0.0.1", "rediss://feed:s3cret@127.0.0.1:1/0", "redis://u:s3cret@:x",
        ] {
            let run = try ProgramRun(["run", "--redis", url] + flux)
            #expect(run.end() == 2)
            #expect(!run.errorText.contains("s3cret"), "\(run.errorText)")
            if !url.hasSuffix(":x") {
                #expect(run.errorText.contains("--redis-password-file") && run.errorText.contains("FEEDD_REDIS"), "\(run.errorText)")
            }
        }
    }

    @Test("The same for a proxy; one of the environment that cannot be used is named")
    func proxyPassword() throws {
        for url in ["http://feed:s3cret@h:1", "socks5://feed:s3cret@h", "http://feed:s3cret@h"] {
            let run = try ProgramRun(["run", "--proxy", url] + flux)
            #expect(run.end() == 2)
            #expect(!run.errorText.contains("s3cret"), "\(run.errorText)")
            if url != "http://feed:s3cret@h" {
                #expect(run.errorText.contains("--proxy-password-file") && run.errorText.contains("FEEDD_PROXY"), "\(run.errorText)")
            }
        }
        let run = try ProgramRun(["run", "--proxy", "env"] + flux, environment: ["ALL_PROXY": "socks4://feed:s3cret@h:1"])
        #expect(run.end() == 2)
        #expect(run.errorText.contains("ALL_PROXY in the environment: ") && !run.errorText.contains("s3cret"), "\(run.errorText)")
    }

    @Test("Control characters and direction marks of an argument do not reach the terminal")
    func escaping() throws {
        let run = try ProgramRun(["run"] + flux + ["--market", "sp\u{1B}[2Jot\u{202E}x"])
        #expect(run.end() == 2)
        #expect(run.errorText.contains("sp\\u{1b}[2Jot\\u{202e}x"), "\(run.errorText)")
    }

    @Test("Wherever it stands: a base with a path is refused, and the complaint says where it stood")
    func basesElsewhere() throws {
        let base = "ws://127.0.0.1:1/ws?x=1"
        let file = try ScratchFile("{\"venue-ws\": \"\(base)\"}")
        for (run, named) in [
            (try ProgramRun(["run"] + flux, environment: ["FEEDD_VENUE_WS": base]), "FEEDD_VENUE_WS"),
            (try ProgramRun(["run", "--config", file.path] + flux), "\"venue-ws\" in \(file.path)"),
        ] {
            #expect(run.end() == 2)
            #expect(run.errorText.contains(named) && run.errorText.contains("write ws://127.0.0.1:1/"), "\(run.errorText)")
        }
    }

    @Test("The field that a simulator refuses is named as its flag")
    func simulatorFlags() throws {
        for (flag, value) in [("--symbols", "0"), ("--history-minutes", "0"), ("--truth-file", "/nowhere/truth"), ("--push-ms", "0")] {
            let run = try ProgramRun(["simulate", "--port", "0", flag, value])
            #expect(run.end() == 2)
            #expect(run.errorText.hasPrefix("feedd: \(flag) "), "\(run.errorText)")
        }
    }

    @Test("A configuration file is an object of known keys")
    func configurationFile() throws {
        for (text, named) in [
            ("{\"batchSize\": 5}", "\"batch-size\""), ("{\"speed\": 5}", "\"speed\""), ("[]", "not a JSON object"), ("{", "not valid JSON"),
            ("{\"readers\": [1]}", "\"readers\""), ("{\"readers\": {\"a\": 1}}", "\"readers\""), ("{\"readers\": 1.5}", "\"readers\""),
            ("{\"config\": \"x\"}", "\"config\""),
        ] {
            let file = try ScratchFile(text)
            let run = try ProgramRun(["run", "--config", file.path] + flux)
            #expect(run.end() == 2)
            #expect(run.errorText.contains(named) && run.errorText.contains(file.path), "\(run.errorText)")
        }
    }
}

@Suite("Command line: where settings come from", .serialized)
struct CommandLinePrecedenceTests {
    /// All four places say something wrong, so the complaint tells whose turn it was.
    @Test("Flag before environment before file")
    func order() throws {
        let file = try ScratchFile("{\"batch-size\": \"file\", \"flux\": [\"btcusdt:1m\"]}")
        let environment = ["FEEDD_BATCH_SIZE": "environment", "FEEDD_CONFIG": file.path]
        let withFlag = try ProgramRun(["run", "--batch-size", "flag"], environment: environment)
        #expect(withFlag.end() == 2)
        #expect(withFlag.errorText.contains("--batch-size 'flag'"), "\(withFlag.errorText)")
        let withEnvironment = try ProgramRun(["run"], environment: environment)
        #expect(withEnvironment.end() == 2)
        #expect(withEnvironment.errorText.contains("FEEDD_BATCH_SIZE 'environment'"), "\(withEnvironment.errorText)")
        let withFile = try ProgramRun(["run", "--config", file.path])
        #expect(withFile.end() == 2)
        #expect(withFile.errorText.contains("\"batch-size\" in \(file.path) 'file'"), "\(withFile.errorText)")
    }

    @Test("Several hosts, from any place", arguments: 0..<3)
    func hosts(place: Int) throws {
        let urls = ["ws://127.0.0.1:1", "ws://127.0.0.1:2/ws"]
        let file = try ScratchFile("{\"venue-ws\": [\"\(urls[0])\", \"\(urls[1])\"], \"redundancy\": 2}")
        let arguments = ["run", "--redis", "redis://127.0.0.1:1", "--log-format", "json"] + flux
        let run =
            switch place {
            case 0: try ProgramRun(arguments + urls.flatMap { ["--venue-ws", $0] } + ["--redundancy", "2"])
            case 1:
                try ProgramRun(
                    arguments, environment: ["FEEDD_VENUE_WS": urls.joined(separator: ", "), "FEEDD_REDUNDANCY": "2"])
            default: try ProgramRun(arguments + ["--config", file.path])
            }
        #expect(run.shows("\"venue\":\"ws://127.0.0.1:1/ ws://127.0.0.1:2/\""), "\(run.errorText)")
        for port in 1...2 { #expect(run.shows("\"url\":\"ws://127.0.0.1:\(port)/\""), "\(run.errorText)") }
        run.signal(SIGTERM)
        #expect(run.end() == 0)
    }

    @Test(
        "The value in force is that of the first place that has one",
        arguments: [(["flag"], 3), ([], 2)])
    func effect(flags: [String], series: Int) throws {
        let file = try ScratchFile("{\"flux\": \"btcusdt:1m\", \"log-format\": \"json\", \"report-seconds\": 0}")
        let environment = [
            "FEEDD_FLUX": "btcusdt:1m; ethusdt:1m", "FEEDD_CONFIG": file.path, "FEEDD_REDIS": "redis://u:s3cret@127.0.0.1:1",
        ]
        let flags = flags.isEmpty ? [] : ["--flux", "btcusdt:1m", "--flux", "btcusdt:3m,5m"]
        let run = try ProgramRun(["run"] + nowhere + flags, environment: environment)
        // JSON logs are the file's wish; a password is allowed in the environment, and not shown.
        #expect(run.shows("\"series\":\(series)"), "\(run.errorText)")
        run.signal(SIGTERM)
        #expect(run.end() == 0)
        #expect(!run.errorText.contains("s3cret"))
        for line in run.errorText.split(separator: "\n") {
            #expect((try? JSONSerialization.jsonObject(with: Data(line.utf8))) is [String: Any], "\(line)")
        }
    }
}

@Suite("Command line: running and ending", .serialized)
struct CommandLineLifeTests {
    private func socketDirectory(_ run: ProgramRun) throws -> String {
        let text = run.errorText
        let start = try #require(text.range(of: "socket="))
        let path = text[start.upperBound...].prefix { !$0.isWhitespace }
        return String(path.dropLast("/redis.sock".count))
    }

    private func embeddedPid(_ run: ProgramRun) throws -> Int32 {
        let line = try #require(run.errorText.split(separator: "\n").first { $0.contains("embedded Redis is up") })
        let start = try #require(line.range(of: "pid="))
        return try #require(Int32(line[start.upperBound...].prefix { $0.isNumber }))
    }

    /// A dead process that nobody has reaped has no executable.
    private func isAlive(_ pid: Int32) -> Bool { (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/exe")) != nil }

    @Test("A base with /ws or /stream, from any place, is used without it, and the log says so", arguments: ["/ws", "/ws/", "/stream"])
    func streamPath(tail: String) throws {
        let listener = try LoopbackListener()
        let target = Shared("")
        listener.start { number in
            var bytes = [UInt8](repeating: 0, count: 4_096)
            let count = max(0, recv(number, &bytes, bytes.count, 0))
            target.withLock { $0 = String(String(decoding: bytes[..<count], as: UTF8.self).prefix { $0 != "\r\n" }) }
            close(number)
        }
        let base = "ws://127.0.0.1:\(listener.port)"
        let run = try ProgramRun(["run", "--redis", "redis://127.0.0.1:1"] + flux, environment: ["FEEDD_VENUE_WS": base + tail])
        try eventually(10, "a request") { !target.value.isEmpty }
        #expect(target.value == "GET /stream?streams=btcusdt@kline_1m HTTP/1.1")
        #expect(run.shows("left_out=/"), "\(run.errorText)")
        #expect(run.errorText.contains("notice") && run.errorText.contains("venue=\(base)/"), "\(run.errorText)")
        run.signal(SIGTERM)
        #expect(run.end() == 0)
        listener.stop()
    }

    @Test("Embedded Redis: up with the service, gone with it, its temporary directory too")
    func embedded() throws {
        let run = try ProgramRun(["run", "--redis", "embedded"] + flux + nowhere)
        #expect(run.shows("connected to Redis"), "\(run.errorText)")
        let (directory, pid) = (try socketDirectory(run), try embeddedPid(run))
        let mode = try FileManager.default.attributesOfItem(atPath: directory)[.posixPermissions] as? Int
        #expect(mode == 0o700)
        #expect(isAlive(pid))
        let started = Date()
        run.signal(SIGTERM)
        #expect(run.end() == 0)
        #expect(Date().timeIntervalSince(started) < 5)
        #expect(!isAlive(pid))
        #expect(!FileManager.default.fileExists(atPath: directory))
        #expect(run.errorText.contains("stopped: everything received is in Redis"), "\(run.errorText)")
    }

    @Test("kill -9 of the service takes the embedded Redis with it")
    func killed() throws {
        let run = try ProgramRun(["run", "--redis", "embedded"] + flux + nowhere)
        #expect(run.shows("connected to Redis"), "\(run.errorText)")
        let (directory, pid) = (try socketDirectory(run), try embeddedPid(run))
        run.signal(SIGKILL)
        #expect(run.end() == -SIGKILL)
        try eventually(20, "its end") { !isAlive(pid) }
        try eventually(20, "no directory left") { !FileManager.default.fileExists(atPath: directory) }
    }

    @Test("An embedded Redis that dies is started again")
    func redisDies() throws {
        let run = try ProgramRun(["run", "--redis", "embedded"] + flux + nowhere)
        #expect(run.shows("connected to Redis"), "\(run.errorText)")
        kill(try embeddedPid(run), SIGKILL)
        #expect(run.shows("starting it again"))
        try eventually(10, "its Redis: \(run.errorText)") { run.errorText.contains("embedded Redis is started") }
        run.signal(SIGINT)
        #expect(run.end() == 0)
    }

    @Test("Ends with 4 when closed candles that came are not in Redis, and says how many")
    func endsIncomplete() throws {
        var simulator = SimulatorConfiguration()
        simulator.symbolCount = 1
        let venue = try VenueSimulator(configuration: simulator)
        try venue.start()
        defer { venue.stop() }
        let redis = try RedisServerProcess()
        #expect(try RedisClient.connect(redis.endpoint).command("CONFIG", "SET", "maxmemory", "1").text == "OK")
        let place = ["--venue-ws", venue.webSocketBase, "--redis", "unix://\(redis.socketPath)"]
        let run = try ProgramRun(["run", "--flux", "btcusdt:1s", "--report-seconds", "1", "--log-format", "json"] + place)
        let waits = /"closed_pending":[1-9]/
        try eventually(20, "a closed candle that waits: \(run.errorText)") { run.errorText.contains(waits) }
        run.signal(SIGTERM)
        #expect(run.end() == 4)
        let last = try #require(run.errorText.split(separator: "\n").last)
        #expect(last.contains("not everything received is in Redis") && last.contains(/"closed_unwritten":"?[1-9]/), "\(last)")
    }

    @Test("Ends within five seconds although Redis was never there")
    func endsWithoutRedis() throws {
        let run = try ProgramRun(["run", "--redis", "redis://127.0.0.1:1"] + flux + nowhere)
        #expect(run.shows("starting"))
        let started = Date()
        run.signal(SIGTERM)
        #expect(run.end() == 0)
        #expect(Date().timeIntervalSince(started) < 5)
    }

    @Test("simulate says where it listens and ends cleanly")
    func simulate() throws {
        let run = try ProgramRun(["simulate", "--port", "0", "--tls", "--symbols", "2"])
        try eventually(10, "a line") { run.outputText.contains("\n") }
        #expect(run.outputText.contains("wss://127.0.0.1:") && run.outputText.contains("ca-file /"), "\(run.outputText)")
        run.signal(SIGINT)
        #expect(run.end() == 0)
    }

    @Test("simulate ends with a parent that was killed, and does not start for another's")
    func endsWithParent() throws {
        let orphan = try ProgramRun(["simulate", "--port", "0", "--end-with-parent", "1"])
        #expect(orphan.end() == 1 && orphan.errorText.contains("--end-with-parent 1"), "\(orphan.errorText)")
        let shell = Process()
        let output = Pipe()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        shell.arguments = ["-c", "'\(ProgramRun.program.path)' simulate --port 0 --end-with-parent $$ & echo child $!; wait"]
        shell.standardOutput = output
        try shell.run()
        var text = ""
        // The program says where it is when it is up, and so after it has looked for its parent.
        while !text.contains("simulating"), case let chunk = output.fileHandleForReading.availableData, !chunk.isEmpty {
            text += String(decoding: chunk, as: UTF8.self)
        }
        let child = try #require(text.firstMatch(of: /child (\d+)/).flatMap { Int32($0.1) }, "\(text)")
        kill(shell.processIdentifier, SIGKILL)
        shell.waitUntilExit()
        // An ended process that nobody has reaped yet has no command line.
        func isGone() -> Bool { (try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(child)/cmdline")))?.isEmpty ?? true }
        try eventually(10, "its Redis gone") { isGone() }
        if !isGone() { kill(child, SIGKILL) }
    }

    @Test("demo finds in Redis what the exchange announced")
    func demo() throws {
        let run = try ProgramRun(["demo", "--plain", "--seconds", "5", "--symbols", "4", "--speed", "60"])
        #expect(run.end(within: 30) == 0, "\(run.errorText)")
        #expect(run.outputText.contains("the same, 0 different, 0 missing"), "\(run.outputText)")
        #expect(run.outputText.contains("btcusdt"))
        #expect(!run.outputText.contains("\u{1B}"))
    }

    @Test("demo whose exchange cuts its connections misses nothing in the end")
    func demoWithFaults() throws {
        let run = try ProgramRun(["demo", "--plain", "--faults", "--seconds", "13", "--symbols", "4", "--speed", "60"])
        #expect(run.end(within: 60) == 0, "\(run.outputText) \(run.errorText)")
        #expect(run.outputText.contains("the same, 0 different, 0 missing"), "\(run.outputText)")
        let healed = run.outputText.firstMatch(of: /connections cut   1 times; ([0-9 ]+) candles healed/)
        #expect(healed.map { $0.1 != "0" } == true, "\(run.outputText)")
    }
}

@Suite("Embedded Redis", .serialized)
struct RedisServerProcessTests {
    @Test("Data outlives stop, kill -9 and restart; the password is asked for")
    func restart() throws {
        var options = RedisServerProcess.Options()
        options.password = "a \"quoted\" pass\\word"
        options.arguments = ["--appendfsync", "always"]
        let server = try RedisServerProcess(options)
        #expect(try RedisClient.connect(server.endpoint, timeout: .seconds(1)).command(["SET", "a", "1"]).text == "OK")
        server.kill9()
        #expect(server.pid == nil)
        try server.restart()
        #expect(try RedisClient.connect(server.endpoint, timeout: .seconds(1)).command(["INCR", "a"]).integer == 2)
        try server.restart()
        #expect(try RedisClient.connect(server.endpoint, timeout: .seconds(1)).command(["GET", "a"]).text == "2")
        #expect(throws: FeedError.self) {
            try RedisClient.connect(RedisEndpoint(place: .unix(path: server.socketPath)), timeout: .seconds(1))
        }
        server.stop()
        #expect(server.pid == nil)
    }

    @Test("A server that cannot start says why")
    func cannotStart() throws {
        var options = RedisServerProcess.Options()
        options.arguments = ["--no-such-option", "1"]
        let error = #expect(throws: FeedError.self) { try RedisServerProcess(options) }
        #expect(error?.message.contains("redis-server ended at its start") == true, "\(String(describing: error))")
    }
}
