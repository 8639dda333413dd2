// Whom we trust: every kind of wrong certificate and broken handshake, for the exchange and for Redis, each by the
// engine and by the small clients; beside each a right one, so that the tests can fail.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("TLS: who is trusted", .serialized)
struct TrustTests {
    /// For what must get through or be refused, on however busy a machine.
    private static let timeoutMs = 20_000
    /// For handshakes that must stall.
    private static let stallMs = 1_000
    private static let stalled = "no answer within \(stallMs) ms (securing)"

    private struct Case {
        let name: String
        var host = "127.0.0.1"
        var authorityFile: String
        let place: any TLSPlace
        /// Where Redis is, for servers that take one connection at a time.
        var redisPlace: (any TLSPlace)?
        /// Part of every refusal's text; nil: accepted.
        var refusal: String?
        var timeoutMs = TrustTests.timeoutMs
    }

    // MARK: Asking

    /// What each of the four ways says; nil where it got through.
    private func ask(_ trial: Case) throws -> [(way: String, reason: String?)] {
        var answers: [(String, String?)] = []
        let venue = WebSocketEndpoint(isSecure: true, host: trial.host, port: trial.place.port)
        var redis = RedisEndpoint(place: .tcp(Authority(host: trial.host, port: (trial.redisPlace ?? trial.place).port)))
        redis.isSecure = true
        redis.authorityFile = trial.authorityFile
        var options = WebSocketClient.Options()
        options.authorityFile = trial.authorityFile
        options.handshakeTimeout = .milliseconds(trial.timeoutMs)
        answers.append(("WebSocketClient", failure { _ = try WebSocketClient.connect(venue, options: options) }))
        answers.append(("RedisClient", failure { _ = try RedisClient.connect(redis, timeout: .milliseconds(trial.timeoutMs)) }))
        var configuration = EngineConfiguration()
        configuration.fluxes = [try FluxDefinition("btcusdt:1m")]
        configuration.venue = venue
        configuration.venueAuthorityFile = trial.authorityFile
        configuration.redis = redis
        configuration.handshakeTimeoutMs = trial.timeoutMs
        configuration.redisConnectTimeoutMs = trial.timeoutMs
        let engine = try Engine(configuration)
        try engine.start()
        var lines: [JournalLine] = []
        for way in ["the exchange", "Redis"] {
            var line: JournalLine?
            try eventually(Double(trial.timeoutMs) / 1_000 + 10, "\(trial.name): what the engine says about \(way)") {
                lines += engine.drainJournal()
                line = lines.first { $0.message == "cannot connect to \(way)" || $0.message == "connected to \(way)" }
                return line != nil
            }
            let found = try #require(line)
            answers.append(
                ("engine, \(way)", found.message.hasPrefix("connected") ? nil : found.fields.first { $0.0 == "reason" }?.1 ?? ""))
        }
        _ = engine.stop(timeout: .milliseconds(300))
        return answers
    }

    private func failure(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch {
            return "\(error)"
        }
    }

    private func check(_ cases: [Case]) throws {
        for trial in cases {
            for (way, reason) in try ask(trial) {
                if let refusal = trial.refusal {
                    #expect(reason?.contains(refusal) == true, "\(trial.name), \(way): \(reason ?? "accepted")")
                } else {
                    #expect(reason == nil, "\(trial.name), \(way): \(reason ?? "")")
                }
            }
        }
    }

    // MARK: The matrix

    @Test("Names, dates, issuers, purposes") func certificates() throws {
        let authority = try TestAuthority()
        let stranger = try TestAuthority()
        func trial(_ name: String, _ refusal: String?, host: String = "127.0.0.1", _ certificate: TestCertificate) throws -> Case {
            Case(name: name, host: host, authorityFile: authority.root.certificate, place: try TLSServer(certificate), refusal: refusal)
        }
        let good = try authority.issue("good")
        let middle = try authority.issue("middle") { $0.isAuthority = true }
        let notAuthority = try authority.issue("not-authority")
        try authority.openRegister("not-authority")
        try check([
            trial("good, by address", nil, good),
            trial("good, by name", nil, host: "localhost", good),
            trial("good, by an intermediate", nil, authority.issue("below", by: middle)),
            trial(
                "another host name", "hostname mismatch", host: "localhost",
                authority.issue("other-name") { $0.names = "DNS:other.example" }),
            trial(
                "a name inside another", "hostname mismatch", host: "localhost",
                authority.issue("longer") { $0.names = "DNS:localhost.example" }),
            trial("no address at all", "IP address mismatch", authority.issue("no-address") { $0.names = "DNS:localhost,DNS:127.0.0.1" }),
            trial("another address", "IP address mismatch", authority.issue("other-address") { $0.names = "IP:127.0.0.2,DNS:localhost" }),
            trial("expired", "certificate has expired", authority.issue("expired") { $0.days = (-30, -1) }),
            trial("not yet valid", "certificate is not yet valid", authority.issue("early") { $0.days = (2, 30) }),
            trial(
                "self-signed", "self-signed certificate", authority.selfSign(TestCertificate(name: "alone", place: authority.place))
            ),
            trial("an unknown authority of the same name", "certificate refused", stranger.issue("good")),
            trial("a client's certificate", "certificate purpose", authority.issue("client") { $0.purpose = "clientAuth" }),
            trial("an issuer that is not an authority", "invalid CA certificate", authority.issue("under", by: notAuthority)),
        ])
        try check([
            Case(
                name: "a missing intermediate", authorityFile: authority.root.certificate,
                place: try OpenSSLServer(authority.issue("lonely", by: middle)), refusal: "unable to get local issuer certificate")
        ])
    }

    @Test("Revocation: checked once a list is there") func revocation() throws {
        let authority = try TestAuthority()
        let root = authority.root
        let middle = try authority.issue("middle") { $0.isAuthority = true }
        let badMiddle = try authority.issue("bad-middle") { $0.isAuthority = true }
        let good = try TLSServer(authority.issue("good"))
        let below = try TLSServer(authority.issue("below", by: middle))
        let belowBad = try TLSServer(authority.issue("below-bad", by: badMiddle))
        let revokedCertificate = try authority.issue("revoked")
        let revoked = try TLSServer(revokedCertificate)
        try authority.revoke(revokedCertificate, by: root)
        try authority.revoke(badMiddle, by: root)
        let all = try authority.authorityFile("all", listsOf: [root, middle, badMiddle])
        let rootOnly = try authority.authorityFile("root-only", listsOf: [root])
        let old = try authority.authorityFile("old", listsOf: [root], validUntilDay: -1)
        try check([
            Case(name: "good", authorityFile: all, place: good),
            Case(name: "good below an intermediate", authorityFile: all, place: below),
            Case(name: "revoked", authorityFile: all, place: revoked, refusal: "certificate revoked"),
            Case(name: "below a revoked intermediate", authorityFile: all, place: belowBad, refusal: "certificate revoked"),
            Case(name: "no list of the intermediate's", authorityFile: rootOnly, place: below, refusal: "unable to get certificate CRL"),
            Case(name: "the root's list is enough for its own", authorityFile: rootOnly, place: good),
            Case(name: "a list out of date", authorityFile: old, place: good, refusal: "CRL has expired"),
            // Nothing says it is revoked.
            Case(name: "revoked, but no list is there", authorityFile: root.certificate, place: revoked),
        ])
    }

    @Test("Weak keys, weak signatures, old protocols") func strength() throws {
        // RSA, because there is no MD5 with elliptic curves.
        let authority = try TestAuthority(keyKind: ["rsa:2048"])
        let file = authority.root.certificate
        let weakMiddle = try authority.issue("weak-middle") {
            $0.isAuthority = true
            $0.keyKind = ["rsa:1024"]
        }
        func trial(_ name: String, _ refusal: String, _ place: OpenSSLServer) -> Case {
            Case(name: name, authorityFile: file, place: place, refusal: refusal)
        }
        try check([
            trial("RSA 1024", "certificate key too weak", try OpenSSLServer(authority.issue("rsa1024") { $0.keyKind = ["rsa:1024"] })),
            trial("an RSA 1024 issuer", "key too weak", try OpenSSLServer(authority.issue("below", by: weakMiddle), chain: weakMiddle)),
            trial("SHA-1", "digest algorithm too weak", try OpenSSLServer(authority.issue("sha1") { $0.digest = "sha1" })),
            trial("MD5", "digest algorithm too weak", try OpenSSLServer(authority.issue("md5") { $0.digest = "md5" })),
            trial("TLS 1.0 only", "protocol version", try OpenSSLServer(authority.issue("tls10"), ["-tls1"])),
            trial("TLS 1.1 only", "protocol version", try OpenSSLServer(authority.issue("tls11"), ["-tls1_1"])),
        ])
        // The same server with nothing weak about it: through TLS, and refused for what it says then, which to Redis's
        // client is nothing.
        for arguments in [["-tls1_2"], ["-tls1_3"]] {
            let certificate = try authority.issue("strong\(arguments[0])") { $0.keyKind = ["rsa:2048"] }
            let place = Case(
                name: arguments[0], authorityFile: file, place: try OpenSSLServer(certificate, arguments),
                redisPlace: try OpenSSLServer(certificate, arguments), timeoutMs: 4 * TrustTests.stallMs)
            for (way, reason) in try ask(place) {
                let isPast = ["the answer is not HTTP/1.1", "(greeting)", "no reply from Redis"].contains { reason?.contains($0) == true }
                #expect(isPast, "\(arguments[0]), \(way): \(reason ?? "accepted")")
            }
        }
    }

    @Test("A real redis-server with TLS 1.2 or 1.3 alone", arguments: ["TLSv1.2", "TLSv1.3"])
    func redisVersions(_ version: String) throws {
        let authority = try TestAuthority()
        let certificate = try authority.issue("redis")
        var options = RedisServerProcess.Options()
        let tls = try RedisTLS(
            certificateFile: certificate.certificate, keyFile: certificate.key, authorityFile: authority.root.certificate)
        options.arguments = tls.arguments + ["--tls-protocols", version]
        let server = try RedisServerProcess(options)
        defer { server.stop() }
        let endpoint = tls.endpoint(options)
        #expect(try RedisClient.connect(endpoint).command("PING").text == "PONG")
        var configuration = EngineConfiguration()
        configuration.fluxes = [try FluxDefinition("btcusdt:1m")]
        configuration.venue = try WebSocketEndpoint(url: "ws://127.0.0.1:\(FreePort.find())")
        configuration.redis = endpoint
        let engine = try Engine(configuration)
        try engine.start()
        try eventually(10, "a connection to Redis") { engine.snapshot().isRedisConnected }
        _ = engine.stop()
    }

    @Test("Handshakes that do not get anywhere") func broken() throws {
        let authority = try TestAuthority()
        let good = try TLSServer(authority.issue("good"))
        func trial(_ name: String, _ refusal: String, timeoutMs: Int = TrustTests.timeoutMs, _ kind: BrokenTLSServer.Kind) throws -> Case {
            Case(
                name: name, authorityFile: authority.root.certificate, place: try BrokenTLSServer(kind), refusal: refusal,
                timeoutMs: timeoutMs)
        }
        let noTLS = "does the server speak TLS on this port?"
        try check([
            trial("silence", TrustTests.stalled, timeoutMs: TrustTests.stallMs, .silent),
            trial(
                "silence after the ServerHello", TrustTests.stalled, timeoutMs: TrustTests.stallMs, .stopsAfterServerHello(of: good.port)),
            trial("HTTP without TLS", noTLS, .plain("HTTP/1.1 400 Bad Request\r\n\r\n")),
            trial("Redis without TLS", noTLS, .plain("-ERR unknown command\r\n")),
            trial("the end", "the peer closed the connection", .ends),
            Case(name: "good", authorityFile: authority.root.certificate, place: good),
        ])
    }

    // MARK: No way around

    @Test("No setting turns verification off") func noSwitch() throws {
        let run = try ProgramRun(["run", "--help"])
        #expect(run.end() == 0)
        let help = run.outputText.lowercased()
        #expect(help.contains("--ca-file") && help.contains("--redis-ca-file"))
        for word in ["insecure", "verif", "no-tls", "skip-tls", "trust-all", "self-signed", "--no-check"] {
            #expect(!help.contains(word), "\(word)")
        }
        // Plain text is for this machine, and the one switch about it says so; it changes nothing about TLS.
        let authority = try TestAuthority()
        let stranger = try TLSServer(TestAuthority().issue("good"))
        var configuration = EngineConfiguration()
        configuration.fluxes = [try FluxDefinition("btcusdt:1m")]
        configuration.venue = try WebSocketEndpoint(url: "ws://192.0.2.1:9443")
        #expect(throws: FeedError.self) { try Engine(configuration) }
        configuration.venue = WebSocketEndpoint(isSecure: true, host: "127.0.0.1", port: stranger.port)
        configuration.venueAuthorityFile = authority.root.certificate
        configuration.allowsPlainRemote = true
        let engine = try Engine(configuration)
        try engine.start()
        try eventually(10, "a failed connection") { engine.snapshot().counters[.connectFailures] > 0 }
        #expect(engine.snapshot().counters[.connectionsOpened] == 0)
        #expect(engine.drainJournal().contains { $0.fields.contains { $0.1.contains("certificate refused") } })
        _ = engine.stop(timeout: .milliseconds(300))
    }
}
