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
        #expect(names == ["grafana", "prometheus", "redis-acl.conf"])
    }

    @Test("A redis-server takes the users as its aclfile, and nobody else gets in")
    func users() throws {
        var options = RedisServerProcess.Options()
        options.arguments = ["--aclfile", DeployTests.folder.appendingPathComponent("redis-acl.conf").path]
        // Who starts the server greets it: as one of the users of the file, since `default` is off in it.
        (options.user, options.password) = ("feed-reader", "change-me-reader")
        let server = try RedisServerProcess(options)
        defer { server.stop() }
        for user in ["service", "client", "reader", "ops"] {
            var endpoint = server.endpoint
            (endpoint.user, endpoint.password) = ("feed-\(user)", "change-me-\(user)")
            #expect(try RedisClient.connect(endpoint).command("PING").text == "PONG", "\(user)")
        }
        #expect(throws: FeedError.self) { try RedisClient.connect(RedisEndpoint(place: .unix(path: server.socketPath))) }
    }
}
