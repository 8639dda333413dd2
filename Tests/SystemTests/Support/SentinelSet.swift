// Two real redis-servers, one of which follows the other, and Sentinels that watch them, on free ports of 127.0.0.1. Whatever a test
// has done to them, all of them end with the object.

import FastFeed
import Glibc
import RedisServer
import TestKit
import Testing
import VenueSimulator

final class SentinelSet {
    static let name = "feedd"
    /// Seconds: a Sentinel that has stood still, or whose clock has jumped, does nothing for thirty of them (TILT).
    static let patience = 150.0

    struct Server {
        let process: RedisServerProcess
        let port: UInt16

        init(_ port: UInt16, _ arguments: [String] = []) throws {
            var options = RedisServerProcess.Options()
            options.arguments = ["--port", "\(port)", "--repl-diskless-sync-delay", "0"] + arguments
            (process, self.port) = (try RedisServerProcess(options), port)
        }

        /// On a connection of its own: a Sentinel ends all there are.
        @discardableResult
        func command(_ words: String...) throws -> RedisReply { try RedisClient.connect(process.endpoint).command(words) }
        func info(_ part: String) -> String { (try? command("INFO", part))?.text ?? "" }
        var role: String { (try? command("ROLE"))?.elements.first?.text ?? "" }

        func pause() { if let pid = process.pid { kill(pid, SIGSTOP) } }
        func resume() { if let pid = process.pid { kill(pid, SIGCONT) } }
    }

    /// The first one is the primary at the start.
    let first, second: Server
    let sentinelPorts: [UInt16]
    private(set) var sentinels: [RedisServerProcess] = []

    /// - Parameter spare: ports in front of those of the Sentinels where nobody listens yet.
    init(sentinels count: Int = 3, spare: Int = 0, downAfterMs: Int = 1_000) throws {
        let port = try FreePort.find()
        first = try Server(port)
        second = try Server(try FreePort.find(), ["--replicaof", "127.0.0.1", "\(port)"])
        sentinelPorts = try (0..<count + spare).map { _ in try FreePort.find() }
        for port in sentinelPorts.dropFirst(spare) {
            sentinels.append(try SentinelSet.startSentinel(port, watching: first.port, downAfterMs: downAfterMs))
        }
        try eventually(30, "Sentinels that know each other and the replica") {
            try sentinels.allSatisfy { sentinel in
                let fields = try RedisClient.connect(sentinel.endpoint).command("SENTINEL", "MASTER", SentinelSet.name).pairs
                return fields.contains { $0 == ("num-other-sentinels", "\(count - 1)") } && fields.contains { $0 == ("num-slaves", "1") }
            }
        }
        try eventually(30, "a replica that follows") { second.info("replication").contains("master_link_status:up") }
    }

    deinit {
        first.resume()
        second.resume()
    }

    static func startSentinel(_ port: UInt16, watching primary: UInt16, downAfterMs: Int = 1_000) throws -> RedisServerProcess {
        var options = RedisServerProcess.Options()
        options.arguments = ["--port", "\(port)", "--sentinel"]
        let process = try RedisServerProcess(options)
        let admin = try RedisClient.connect(process.endpoint)
        #expect(try admin.command("SENTINEL", "MONITOR", name, "127.0.0.1", "\(primary)", "2").text == "OK")
        let settings = ["down-after-milliseconds", "\(downAfterMs)", "failover-timeout", "10000"]
        #expect(try admin.command(["SENTINEL", "SET", name] + settings).text == "OK")
        return process
    }

    var url: String { "redis+sentinel://\(sentinelPorts.map { "127.0.0.1:\($0)" }.joined(separator: ","))/\(SentinelSet.name)" }

    /// Each time one that knows nothing yet.
    func endpoint() throws -> RedisEndpoint { try RedisEndpoint(url: url) }

    /// Whether one of them says that this is the primary: nobody can know it earlier.
    func isNamed(_ server: Server) -> Bool {
        sentinels.contains { sentinel in
            let said = try? RedisClient.connect(sentinel.endpoint).command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelSet.name)
            return said?.elements.last?.text == "\(server.port)"
        }
    }

    /// Has the replica take the primary's place, as somebody who means it would.
    func failOver() throws {
        let admin = try RedisClient.connect(try #require(sentinels.first).endpoint)
        var said = RedisReply.null
        try eventually(60, "Sentinel to take the order: \(said)") {
            said = try admin.command("SENTINEL", "FAILOVER", SentinelSet.name)
            return said.text == "OK"
        }
    }
}
