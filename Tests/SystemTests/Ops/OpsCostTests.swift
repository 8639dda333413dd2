// What the ops server costs who does not want it, and what it never says.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Ops server: cost and secrets", .serialized)
struct OpsCostTests {
    private func maps(_ run: ProgramRun) throws -> String {
        // A file without a size: read to its end.
        let file = try #require(FileHandle(forReadingAtPath: "/proc/\(run.pid)/maps"))
        return String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
    }

    @Test(.looksIntoProgram) func offLoadsNothing() throws {
        let rig = try OpsRig()
        #expect(try maps(rig.program).contains("libmicrohttpd"))
        let run = try ProgramRun([
            "run", "--ops", "off", "--redis", "unix://\(rig.redis.socketPath)", "--venue-ws", rig.venue.webSocketBase,
        ])
        try #require(run.shows("starting"))
        #expect(try !maps(run).contains("libmicrohttpd") && !run.errorText.contains("url=http"))
        run.signal(SIGTERM)
        _ = run.end()
        for flag in ["--ops-host", "--ops-redis-user"] {
            let refused = try ProgramRun(["run", "--ops", "off", flag, "x"])
            #expect(refused.end() == 2 && refused.errorText.contains(flag), "\(refused.errorText)")
        }
    }

    @Test func secretsStaySecret() throws {
        let (folder, secret) = (try TemporaryDirectory(), "canary-of-this-test-7")
        try secret.write(toFile: folder.path + "/password", atomically: true, encoding: .utf8)
        let run = try ProgramRun(
            [
                "run", "--redis", "embedded:\(folder.path)/redis", "--venue-ws", "ws://127.0.0.1:1", "--ops", "127.0.0.1:0", "--log-level",
                "trace", "--redis-password-file", folder.path + "/password",
            ], environment: ["FEEDD_PROXY": "http://user:\(secret)@127.0.0.1:1"])
        defer {
            run.signal(SIGTERM)
            _ = run.end()
        }
        let port = try OpsRig.port(of: run)
        for path in ["/metrics", "/api/system", "/api/redis", "/api/overview", "/api/connections", "/api/keys?group=service", "/healthz"] {
            let answer = try OpsRig.get(port, path)
            #expect(answer.status > 0 && !answer.body.contains(secret), "\(path)")
        }
        #expect(!run.errorText.contains(secret))
        let arguments = try String(decoding: Data(contentsOf: URL(fileURLWithPath: "/proc/\(run.pid)/cmdline")), as: UTF8.self)
        #expect(!arguments.contains(secret))
    }
}
