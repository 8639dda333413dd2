// A Redis that answers and cannot be written to, whatever is tried again: refused at the start, in a sentence.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("A Redis that cannot be used", .serialized)
struct RedisStartTests {
    private static let run = ["run", "--flux", "btcusdt:1m", "--venue-ws", "ws://127.0.0.1:1"]

    private func expectRefusal(_ run: ProgramRun, _ sentence: String) {
        #expect(run.end() == 2)
        let last = run.errorText.split(separator: "\n").last ?? ""
        #expect(last.hasPrefix("feedd: ") && last.contains(sentence), "\(run.errorText)")
        #expect(!run.errorText.contains("s3cret"))
    }

    @Test("A wrong password, none, one that nobody asks for, and a database that is not there end with 2")
    func credentials() throws {
        var options = RedisServerProcess.Options()
        options.password = "s3cret"
        let (closed, open) = (try RedisServerProcess(options), try RedisServerProcess())
        let socket = "unix://\(closed.socketPath)"
        let place = try TemporaryDirectory()
        let wrong = place.path + "/password"
        try "s3cret too".write(toFile: wrong, atomically: true, encoding: .utf8)
        let password = ["--redis-password-file", wrong]
        expectRefusal(try ProgramRun(RedisStartTests.run + ["--redis", socket] + password), "WRONGPASS")
        expectRefusal(try ProgramRun(RedisStartTests.run + ["--redis", socket]), "NOAUTH")
        expectRefusal(try ProgramRun(RedisStartTests.run + ["--redis", "unix://\(open.socketPath)"] + password), "ERR AUTH")
        expectRefusal(
            try ProgramRun(RedisStartTests.run + ["--redis", "unix://\(open.socketPath)?db=99"]), "the server has no database 99")
    }

    @Test("A certificate authority for an exchange without TLS ends with 2")
    func authorityWithoutTLS() throws {
        let authority = try TestAuthority()
        expectRefusal(
            try ProgramRun(RedisStartTests.run + ["--ca-file", authority.root.certificate]), "--ca-file needs TLS: a wss:// or https:// URL"
        )
    }

    /// Batches have keys of all slots: one node that holds them all is as good as a server of its own.
    @Test("A node of a cluster is taken while it holds all slots, and refused when it holds only some")
    func cluster() throws {
        let (first, second) = (try ClusterNode(), try ClusterNode())
        #expect(try first.command(["CLUSTER", "ADDSLOTS"] + (0..<16_384).map(String.init)).text == "OK")
        try eventually(10, "a cluster of one") { try first.isReady }
        var simulator = SimulatorConfiguration()
        simulator.symbolCount = 20
        simulator.pace = .realTime(speed: 10)
        var options = Rig.Options()
        options.simulator = simulator
        options.intervals = [.s1]
        options.adjust = { $0.redis = first.server.endpoint }
        let rig = try Rig(options)
        rig.wait(seconds: 30, "candles in all slots") { rig.counters[.closedWritten] > 100 }
        #expect(rig.counters[.redisErrorsRetried] == 0 && rig.counters[.redisRejected] == 0)

        #expect(try first.command(["CLUSTER", "DELSLOTS"] + (8_192..<16_384).map(String.init)).text == "OK")
        #expect(try second.command(["CLUSTER", "ADDSLOTS"] + (8_192..<16_384).map(String.init)).text == "OK")
        #expect(try first.command(["CLUSTER", "MEET", "127.0.0.1", "\(second.port)"]).text == "OK")
        try eventually(30, "a cluster of two") { try first.isReady && second.isReady }
        let sentence = "it is a node of a Redis Cluster and holds only the slots 0-8191; redis+cluster://… names a cluster"
        expectRefusal(try ProgramRun(RedisStartTests.run + ["--redis", "unix://\(first.server.socketPath)"]), sentence)
        expectRefusal(try ProgramRun(RedisStartTests.run + ["--redis", "redis://127.0.0.1:\(second.port)"]), "8192-16383")
        // Who was connected before learns it with the next connection.
        _ = try first.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        var reasons: [String] = []
        rig.wait(seconds: 20, "the reason in the log") {
            reasons += rig.engine.drainJournal().flatMap { $0.fields.filter { $0.0 == "reason" }.map(\.1) }
            return reasons.contains { $0.contains(sentence) }
        }
        _ = rig.engine.stop(timeout: .milliseconds(200))
        rig.venue.stop()
    }
}
