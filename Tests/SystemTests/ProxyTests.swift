// The engine behind a proxy: with the proxies that people have, and with some that do not behave.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Proxies", .serialized)
struct ProxyTests {
    struct Way: Sendable {
        let kind: ProxyProcess.Kind
        let scheme: String
        var asksForPassword = false
        var usesTLS = true

        /// With the password's marks escaped.
        func url(_ proxy: ProxyProcess, password: String? = nil) -> String {
            let password = password ?? (kind == .tinyproxy ? kind.password : "p%40ss%3Aw%2Frd")
            return "\(scheme)://\(asksForPassword ? "\(ProxyProcess.user):\(password)@" : "")127.0.0.1:\(proxy.port)"
        }
    }

    static let ways = [
        Way(kind: .tinyproxy, scheme: "http", usesTLS: false), Way(kind: .tinyproxy, scheme: "http", asksForPassword: true),
        Way(kind: .microsocks, scheme: "socks5"), Way(kind: .microsocks, scheme: "socks5", asksForPassword: true, usesTLS: false),
        Way(kind: .microsocks, scheme: "socks5h", asksForPassword: true),
    ]

    private func rig(_ proxy: String, usesTLS: Bool) throws -> Rig {
        var options = Rig.Options()
        options.simulator.symbolCount = 10
        options.simulator.pace = .realTime(speed: 10)
        options.simulator.usesTLS = usesTLS
        options.intervals = [.s1]
        let endpoint = try ProxyEndpoint(url: proxy)
        options.adjust = {
            $0.proxy = .server(endpoint)
            $0.takesCommands = true
            $0.backfill = 0
            $0.venueREST = $0.venue.map { RestEndpoint(isSecure: $0.isSecure, host: $0.authority.host, port: $0.authority.port) }
        }
        return try Rig(options)
    }

    /// The reason of the first failed connection, from the engine's own log.
    private func failure(of rig: Rig) -> String {
        var found: String?
        rig.wait(seconds: 20, "a refusal in the log") {
            found = rig.engine.drainJournal().first { $0.message == "cannot connect to the exchange" }?.fields.first { $0.0 == "reason" }?.1
            return found != nil
        }
        return found ?? ""
    }

    private func askREST(_ base: RestEndpoint, through proxy: String, authorityFile: String? = nil) throws -> Klines {
        var settings = quickSettings
        settings.proxy = try ProxyEndpoint(url: proxy)
        settings.attemptsMax = 1
        let client = try RestClient(base: base, market: .spot, authorityFile: authorityFile, settings: settings)
        defer { client.stop() }
        return try client.get(Series(symbol: Symbol("btcusdt")!, interval: .m1), limit: 1)
    }

    @Test("Streams and REST go through it, and every candle is in Redis", .withProxies, arguments: ways)
    func through(way: Way) throws {
        let proxy = try ProxyProcess(way.kind, asksForPassword: way.asksForPassword)
        let rig = try rig(way.url(proxy), usesTLS: way.usesTLS)
        rig.wait(seconds: 30, "a hundred closes") { rig.counters[.closedWritten] > 100 }
        rig.wait(seconds: 20, "the service to take commands") { rig.isServing }
        let answer = try CommandCaller(rig.redis.endpoint).call("data:get", #""symbol":"btcusdt","interval":"5m","limit":3"#)
        #expect(answer["source"] as? String == "exchange", "\(answer)")
        #expect(rig.venue.statistics().restResponses > 0)
        #expect(proxy.connections(to: rig.venue.port) >= 2, "not both of them go through the proxy")
        #expect(rig.finish().isClean)
        try rig.expectTruth()
    }

    @Test("A wrong password is a sentence, and nobody reads it", .withProxies, arguments: ways.filter(\.asksForPassword))
    func wrongPassword(way: Way) throws {
        let proxy = try ProxyProcess(way.kind, asksForPassword: true)
        let url = way.url(proxy, password: "canary")
        let rig = try rig(url, usesTLS: way.usesTLS)
        let said = "the proxy \(way.scheme)://127.0.0.1:\(proxy.port) refuses the given user and password"
        let reason = failure(of: rig)
        #expect(reason.hasPrefix(said), "\(reason)")
        guard
            case .failure(.unavailable(let sentence)) = try askREST(
                RestEndpoint(url: rig.venue.restBase), through: url, authorityFile: rig.venue.certificateAuthorityFile)
        else { return _ = Issue.record("REST went through") }
        #expect(sentence.hasPrefix("the exchange cannot be reached: \(said)"), "\(sentence)")
        #expect(!(reason + sentence).contains("canary"))
        #expect(rig.counters[.connectionsOpened] == 0 && rig.counters[.connectFailures] > 0)
        _ = rig.engine.stop()
        rig.venue.stop()
    }

    @Test("The program: a password from its file, the environment's proxy, and none of it in the log", .withProxies)
    func program() throws {
        var simulator = SimulatorConfiguration()
        simulator.symbolCount = 1
        let venue = try VenueSimulator(configuration: simulator)
        try venue.start()
        defer { venue.stop() }
        let proxy = try ProxyProcess(.tinyproxy, asksForPassword: true)
        let place = "127.0.0.1:\(proxy.port)"
        let folder = try TemporaryDirectory()
        for (name, text) in [("right", proxy.password), ("wrong", "canary")] {
            try "\(text)\n".write(toFile: "\(folder.path)/\(name)", atomically: true, encoding: .utf8)
        }
        let arguments = ["run", "--redis", "embedded", "--flux", "btcusdt:1s", "--venue-ws", venue.webSocketBase]
        let named = ["--proxy", "http://feed@\(place)", "--proxy-password-file"]
        let environment = ["FEEDD_PROXY": "env", "http_proxy": "feed:\(proxy.password)@\(place)"]
        let runs: [(run: ProgramRun, shows: String)] = [
            (try ProgramRun(arguments + named + ["\(folder.path)/right"]), "connected to the exchange"),
            (try ProgramRun(arguments + named + ["\(folder.path)/wrong"]), "refuses the given user and password"),
            (try ProgramRun(arguments, environment: environment), "connected to the exchange"),
            (try ProgramRun(arguments + ["--proxy", "off"], environment: environment), "connected to the exchange"),
        ]
        for (index, (run, shows)) in runs.enumerated() {
            #expect(run.shows(shows, within: 20), "\(run.errorText)")
            #expect(run.errorText.contains("proxy=http://\(place)") == (index < 3), "\(run.errorText)")
            run.signal(SIGTERM)
            #expect(run.end() == 0)
            for secret in ["canary", "s3cret"] { #expect(!run.errorText.contains(secret), "\(run.errorText)") }
        }
        #expect(proxy.connections(to: venue.port) == 2)
    }

    /// The simulator's certificate is for 127.0.0.1, which is what this name leads to, and not for the name.
    @Test("The certificate is the exchange's, whoever stands between", .withProxies, arguments: ways.filter(\.usesTLS))
    func certificate(way: Way) throws {
        var simulator = SimulatorConfiguration()
        simulator.symbolCount = 1
        simulator.usesTLS = true
        let venue = try VenueSimulator(configuration: simulator)
        try venue.start()
        defer { venue.stop() }
        let proxy = try ProxyProcess(way.kind, asksForPassword: way.asksForPassword)
        var options = WebSocketClient.Options()
        options.proxy = try ProxyEndpoint(url: way.url(proxy))
        options.authorityFile = venue.certificateAuthorityFile
        try WebSocketClient.connect(url: "wss://127.0.0.1:\(venue.port)/ws", options: options).close()
        let named = #expect(throws: FeedError.self) { try WebSocketClient.connect(url: "wss://127.1:\(venue.port)/ws", options: options) }
        #expect(named?.message.contains("certificate refused") == true, "\(named?.message ?? "")")
        options.authorityFile = nil
        let unknown = #expect(throws: FeedError.self) {
            try WebSocketClient.connect(url: "wss://127.0.0.1:\(venue.port)/ws", options: options)
        }
        #expect(unknown?.message.contains("certificate refused") == true, "\(unknown?.message ?? "")")
        guard case .failure(.unavailable(let sentence)) = try askREST(RestEndpoint(url: venue.restBase), through: way.url(proxy)) else {
            return _ = Issue.record("REST trusts whoever stands between")
        }
        #expect(sentence.contains("certificate"), "\(sentence)")
    }

    static let refusals: [(answer: String, sentence: String)] = [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "wants a user and a password (407)"),
        ("HTTP/1.1 403 Filtered\r\n\r\n", "does not allow connections to"), ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "cannot reach or resolve"),
        ("HTTP/1.1 504 x\r\nContent-Length: 0\r\n\r\n", "cannot reach or resolve"),
    ]

    @Test("What a proxy refuses is said alike for streams and REST", arguments: refusals)
    func refused(answer: String, sentence: String) throws {
        let proxy = try ScriptedServer(answer)
        let url = "http://\(proxy.base.authority)"
        var options = WebSocketClient.Options()
        options.proxy = try ProxyEndpoint(url: url)
        let error = #expect(throws: FeedError.self) { try WebSocketClient.connect(url: "wss://exchange.invalid", options: options) }
        #expect(error?.message.contains("the proxy \(url) \(sentence)") == true, "\(error?.message ?? "")")
        guard case .failure(.unavailable(let reason)) = try askREST(RestEndpoint(url: "https://exchange.invalid"), through: url) else {
            return _ = Issue.record("REST went through")
        }
        #expect(reason.contains("the proxy \(url) \(sentence)"), "\(reason)")
        #expect(proxy.received.count == 2 && proxy.received.allSatisfy { $0.hasPrefix("CONNECT exchange.invalid:443 HTTP/1.1\r\n") })
    }

    @Test("A proxy that says nothing, and none at all")
    func silence() throws {
        let listener = try LoopbackListener()
        listener.start { HostilePeer($0).awaitEnd(timeoutMs: 20_000) }
        var options = WebSocketClient.Options()
        options.handshakeTimeout = .seconds(1)
        for scheme in ["http", "socks5", "socks5h"] {
            options.proxy = try ProxyEndpoint(url: "\(scheme)://127.0.0.1:\(listener.port)")
            let error = #expect(throws: FeedError.self) { try WebSocketClient.connect(url: "wss://127.0.0.1:1", options: options) }
            #expect(error?.message.contains("has not answered within 500 ms") == true, "\(error?.message ?? "")")
            options.proxy = try ProxyEndpoint(url: "\(scheme)://127.0.0.1:\(FreePort.find())")
            let none = #expect(throws: FeedError.self) { try WebSocketClient.connect(url: "wss://127.0.0.1:1", options: options) }
            #expect(none?.message.contains("the proxy \(options.proxy!): ") == true, "\(none?.message ?? "")")
        }
        listener.stop()
    }

    @Test("Plain text stays on this machine, whatever is between")
    func plainText() throws {
        let proxy = try ScriptedServer("HTTP/1.1 200 OK\r\n\r\n")
        var options = WebSocketClient.Options()
        for scheme in ["http", "socks5h"] {
            options.proxy = try ProxyEndpoint(url: "\(scheme)://\(proxy.base.authority)")
            let error = #expect(throws: FeedError.self) { try WebSocketClient.connect(url: "ws://exchange.invalid", options: options) }
            #expect(error?.message.contains("is not allowed") == true, "\(error?.message ?? "")")
        }
        #expect(throws: FeedError.self) {
            try askREST(RestEndpoint(url: "http://exchange.invalid"), through: "http://\(proxy.base.authority)")
        }
        #expect(proxy.received.isEmpty)
    }
}
