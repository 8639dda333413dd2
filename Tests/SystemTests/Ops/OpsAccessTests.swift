// Who may ask the ops server, and for what: each rule on every route, by raw sockets.

import FastFeed
import Foundation
import TestKit
import Testing
import VenueSimulator

@Suite("Ops server: access", .serialized)
struct OpsAccessTests {
    /// Every route, and what is none.
    private static let paths = [
        "/", "/livez", "/readyz", "/healthz", "/metrics", "/events?view=overview", "/api/overview", "/api/fluxes", "/api/fluxes/x",
        "/api/candles/btcusdt/1m", "/api/gaps", "/api/connections", "/api/redis", "/api/keys?group=candles", "/api/key?name=fluxes",
        "/api/search?symbol=btcusdt&interval=1m", "/api/symbols?quote=USDT", "/api/system", "/api/find?symbol=btc",
        "/api/series/btcusdt/1m", "/api/latest?interval=1m&symbols=btcusdt", "/api/followed?symbols=btcusdt", "/login", "/logout",
        "/nothing", "/assets/none.js",
    ]

    @Test func foreignHostsAreRefusedEverywhere() throws {
        let rig = try OpsRig(arguments: ["--ops-host", "feed.example"])
        for path in Self.paths {
            func status(_ hosts: [String]) throws -> Int {
                let head = (["GET \(path) HTTP/1.1"] + hosts.map { "Host: \($0)" } + ["Connection: close"]).joined(separator: "\r\n")
                return try rig.send(head + "\r\n\r\n").status
            }
            for foreign in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.1.2.3", "127.0.0.2:\(rig.port)"] {
                #expect(try status([foreign]) == 421, "\(path) \(foreign)")
            }
            #expect(try status(["localhost", "evil.example"]) == 421, "\(path): two hosts")
            #expect([400, 421].contains(try status([])), "\(path): none")
        }
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:\(rig.port)", "[::1]:8090", "feed.example", "Feed.Example:443"] {
            #expect(try rig.send("GET /livez HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n").status == 200, "\(host)")
        }
    }

    @Test func everyAnswerIsNailedDown() throws {
        let rig = try OpsRig()
        for path in Self.paths where !path.hasPrefix("/events") {
            let answer = try rig.get(path)
            #expect(answer.header("X-Content-Type-Options") == "nosniff" && answer.header("Referrer-Policy") == "no-referrer", "\(path)")
            #expect(answer.header("Content-Security-Policy")?.hasPrefix("default-src 'none'") == true, "\(path)")
            #expect(answer.header("Cross-Origin-Opener-Policy") == "same-origin" && answer.header("Cache-Control") == "no-store", "\(path)")
            #expect(answer.header("Access-Control-Allow-Origin") == nil, "\(path)")
        }
        // A foreign page may follow a link to us, and no more.
        for path in Self.paths where path != "/" {
            #expect(try rig.get(path, ["Sec-Fetch-Site: cross-site"]).status == 403, "\(path)")
        }
        // What a path takes, and what it does not.
        #expect(try rig.get("/login").status == 405 && rig.get("/nothing").status == 404)
        let wrong = try rig.send("DELETE /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        #expect(wrong.status == 405 && wrong.header("Allow") == "GET, HEAD")
        let head = try rig.send("HEAD /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        #expect(head.status == 200 && head.body.isEmpty && head.header("Content-Length") == "3")
        // Nobody may change anything without a token.
        #expect(try rig.post("/api/fluxes", #"{"symbols":["ethusdt"],"interval":"5m"}"#).status == 403)
        #expect(try rig.post("/api/fluxes/x/stop", "{}").status == 403)
    }

    @Test func aTokenIsAskedForAndKept() throws {
        let folder = try TemporaryDirectory()
        let token = "a-token-of-this-test-1234"
        try token.write(toFile: folder.path + "/token", atomically: true, encoding: .utf8)
        let rig = try OpsRig(arguments: ["--ops-token-file", folder.path + "/token"])
        try rig.waitUntilReady()
        for path in Self.paths where !["/livez", "/readyz", "/login", "/"].contains(path) && !path.hasPrefix("/assets/") {
            #expect(try rig.get(path).status == 401, "\(path)")
            #expect(try rig.get(path, ["Authorization: Bearer \(token)x"]).status == 401, "\(path)")
            let inURL = path + (path.contains("?") ? "&" : "?") + "token=\(token)"
            #expect(try rig.get(inURL).status == 401, "\(path)")
            guard !path.hasPrefix("/events") else { continue }
            #expect(try rig.get(path, ["Authorization: Bearer \(token)"]).status != 401, "\(path)")
        }
        // Supervisors get a word.
        #expect(try rig.get("/livez").body == "ok\n" && rig.get("/readyz").body == "ok\n")

        let wrong = try rig.post("/login", #"{"token":"no"}"#)
        #expect(wrong.status == 401)
        let right = try rig.post("/login", #"{"token":"\#(token)"}"#)
        let cookie = try #require(right.header("Set-Cookie"))
        #expect(right.status == 200 && cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"))
        let session = "Cookie: \(cookie.prefix { $0 != ";" })"
        #expect(try rig.get("/api/overview", [session]).status == 200)
        #expect(try rig.get("/api/overview", ["Cookie: feedd_session=0123"]).status == 401)

        // Writing: of the same origin, as JSON.
        let flux = #"{"symbols":["\#(rig.venue.symbols[0].symbol.name)"],"interval":"5m","name":"written"}"#
        func create(_ headers: [String]) throws -> Int { try rig.post("/api/fluxes", flux, headers + [session]).status }
        #expect(try create(["Content-Type: text/plain"]) == 415)
        #expect(try create(["Content-Type: application/x-www-form-urlencoded"]) == 415)
        let json = "Content-Type: application/json"
        #expect(try create([json, "Origin: http://evil.example"]) == 403)
        #expect(try create([json, "Sec-Fetch-Site: cross-site"]) == 403)
        #expect(try create([json, "Origin: http://127.0.0.1:\(rig.port)", "Sec-Fetch-Site: same-origin"]) == 200)
        try eventually(10, "the flux") { try rig.get("/api/fluxes/written", [session]).status == 200 }
        #expect(try rig.post("/api/fluxes/written/stop", "{}", [json, session]).status == 200)
        #expect(try rig.post("/api/fluxes/written/stop", "{}", [json, session]).status == 404)
        #expect(try rig.post("/api/fluxes", "{]", [json, session]).status == 400)

        #expect(try rig.post("/logout", "{}", [json, session]).status == 200)
        #expect(try rig.get("/api/overview", [session]).status == 401)
        // Guessing is slow.
        for _ in 0..<5 { _ = try rig.post("/login", #"{"token":"no"}"#) }
        #expect(try rig.post("/login", #"{"token":"\#(token)"}"#).status == 429)
        let bearer = ["Authorization: Bearer \(token)"]
        #expect(try !rig.get("/api/system", bearer).body.contains(token) && !rig.get("/metrics", bearer).body.contains(token))
        #expect(!rig.program.errorText.contains(token))
    }

    @Test func openAddressesNeedAToken() throws {
        for address in ["0.0.0.0:0", "[::]:0"] {
            let run = try ProgramRun(["run", "--ops", address, "--redis", "unix:///nowhere", "--venue-ws", "ws://127.0.0.1:1"])
            #expect(run.end() == 2 && run.errorText.contains("--ops-token-file"), "\(run.errorText)")
        }
        // A place that was named and is taken.
        let rig = try OpsRig()
        let run = try ProgramRun(["run", "--ops", "127.0.0.1:\(rig.port)", "--redis", "embedded", "--venue-ws", "ws://127.0.0.1:1"])
        #expect(run.end() == 1 && run.errorText.contains("--ops"), "\(run.errorText)")
    }

    @Test func limitsHold() throws {
        let rig = try OpsRig()
        #expect(try rig.get("/livez", ["X: " + String(repeating: "a", count: 40_000)]).status == 431)
        let long = "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n"
        #expect(try rig.send(long).status == 413)
        #expect(try rig.get("/metrics").body.contains("feedd_http_requests_total{code=\"431\"} 1\n"))
        // Heads that never end, and connections that say nothing, do not keep others out.
        let slow = try (0..<200).map { _ in try RawConnection(port: rig.port) }
        for one in slow { one.write("GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ") }
        #expect(try rig.get("/livez").status == 200)
        try eventually(20, "slow heads ended") { slow.allSatisfy { $0.read(seconds: 0.01).isEnded } }
        // Readers of events that take nothing, and one more than there may be.
        let frozen = try (0..<32).map { _ in try RawConnection(port: rig.port) }
        for one in frozen { one.write("GET /events?view=overview HTTP/1.1\r\nHost: localhost\r\n\r\n") }
        try eventually(10, "32 streams") { try rig.get("/metrics").body.contains("feedd_event_streams 32\n") }
        #expect(try rig.get("/events?view=overview").status == 503)
        #expect(try rig.get("/livez").status == 200)
    }
}
