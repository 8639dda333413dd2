// What `deploy/` ships, given to the program that is to read it. A file that nobody here knows fails: it would ship untested.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite("Files to deploy", .serialized)
struct DeployTests {
    private static let folder: URL = {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { folder.deleteLastPathComponent() }
        return folder.appendingPathComponent("deploy")
    }()

    @Test("Each file is one that a test knows")
    func everyFile() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: DeployTests.folder.path).sorted()
        // What is not used here: scripts/deploy-test.sh and package-test.sh.
        let known = [
            "Dockerfile", "compose.yaml", "debian", "feedd.json", "feedd.service", "grafana", "nginx.conf", "prometheus", "redis",
            "redis-acl.conf",
        ]
        #expect(names.filter { $0 != "secrets" } == known)
    }

    @Test("A redis-server takes the users as its aclfile, and nobody else gets in")
    func users() throws {
        var options = RedisServerProcess.Options()
        options.arguments = ["--aclfile", DeployTests.folder.appendingPathComponent("redis-acl.conf").path]
        // Who starts the server greets it: as one of the users of the file, since `default` is off in it.
        (options.user, options.password) = ("feed-reader", "change-me-reader")
        let server = try RedisServerProcess(options)
        defer { server.stop() }
        for user in ["service", "client", "reader", "ops", "worker"] {
            var endpoint = server.endpoint
            (endpoint.user, endpoint.password) = ("feed-\(user)", "change-me-\(user)")
            #expect(try RedisClient.connect(endpoint).command("PING").text == "PONG", "\(user)")
        }
        #expect(throws: FeedError.self) { try RedisClient.connect(RedisEndpoint(place: .unix(path: server.socketPath))) }
    }

    /// Redis replays its log as `default`, with that user's rights: without any it leaves out, in silence, what scripts have written.
    /// Source: redis/redis#14541, valkey-io/valkey#3983.
    @Test("What a script has written is there after another start")
    func theLogIsReplayed() throws {
        var options = RedisServerProcess.Options()
        options.arguments = ["--aclfile", DeployTests.folder.appendingPathComponent("redis-acl.conf").path]
        (options.user, options.password) = ("feed-service", "change-me-service")
        let server = try RedisServerProcess(options)
        defer { server.stop() }
        let script = "for i = 1, 2 do redis.call('XADD', KEYS[1], i .. '-0', 'open', '1') end"
        _ = try RedisClient.connect(server.endpoint).command(["EVAL", script, "1", "candles:{btcusdt}:1m"])
        server.stop()
        try server.restart()
        #expect(try RedisClient.connect(server.endpoint).command("XLEN", "candles:{btcusdt}:1m").integer == 2)
    }
}
