// Redis that moves: a primary that dies, hangs, or gives way, and Sentinels that say which server it is now. Nothing is lost. Local
// exchange, real redis-servers and Sentinels, the engine, clients and the real program.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Failover", .serialized)
struct FailoverTests {
    /// The rig's own Redis stands idle beside.
    private func rig(
        _ set: SentinelSet, symbols: Int = 100, _ adjust: @escaping (inout EngineConfiguration) -> Void = { _ in }
    ) throws -> Rig {
        let place = try set.endpoint()
        var options = Rig.Options()
        options.simulator.symbolCount = Nightly.count(everyday: symbols, nightly: 2 * symbols)
        options.simulator.pace = .realTime(speed: 10)
        options.intervals = [.s1]
        options.adjust = {
            $0.redis = place
            $0.takesCommands = true
            adjust(&$0)
        }
        let rig = try Rig(options)
        rig.reconnectClient(to: try set.endpoint())
        return rig
    }

    private func waitForCloses(_ rig: Rig, _ more: UInt64) {
        let target = rig.counters[.closedWritten] + more
        rig.wait(seconds: 60, "\(more) more closed candles written") { rig.counters[.closedWritten] >= target }
    }

    /// What `scripts/failover.sh` judges: no assertion here knows a time.
    private func tell(_ what: String, _ ns: UInt64) { print("failover, \(what) \(String(format: "%.2f", Double(ns) / 1e9)) s") }

    /// Waits until the data path has followed and candles are written again; the longest time in which none was.
    private func longestPauseNs(_ rig: Rig, failovers: UInt64) -> UInt64 {
        var (longestNs, lastNs, written) = (UInt64(0), MonotonicClock.nowNs(), rig.counters[.closedWritten])
        var target: UInt64?
        rig.wait(seconds: SentinelSet.patience, "the data path to follow") {
            let (nowNs, now) = (MonotonicClock.nowNs(), rig.counters[.closedWritten])
            if now > written {
                longestNs = max(longestNs, nowNs - lastNs)
                (lastNs, written) = (nowNs, now)
            }
            if target == nil, rig.counters[.redisFailovers] == failovers { target = now + 300 }
            return target.map { now >= $0 } ?? false
        }
        return longestNs
    }

    /// All that was delivered is at the primary of now, once; nothing was a gap at any time.
    private func expectWhole(_ rig: Rig, _ set: SentinelSet, stopped: Interval? = nil) throws {
        let report = rig.finish()
        #expect(report.isClean && report.closedLost == 0, "\(report)")
        #expect(rig.counters[.gapsSeen] == 0 && rig.engine.openGaps.isEmpty)
        rig.reconnectClient(to: try set.endpoint())
        try rig.expectTruth()
        try rig.expectLatest(stopped: stopped)
    }

    @Test("A primary that dies while its replica is behind: what it had acknowledged and nobody else has is written again")
    func killed() throws {
        let set = try SentinelSet()
        let rig = try rig(set)
        waitForCloses(rig, 300)
        rig.wait(seconds: 30, "the service to take commands") { rig.isServing }
        let caller = try CommandCaller(try set.endpoint())
        let flux = try #require(try caller.call("flux:create", #""symbols":["btcusdt"],"interval":"1d""#)["flux_id"] as? String)
        func replica(_ words: String...) throws -> Bool { try set.second.command(words[0], words[1], words[2]).integer == 1 }
        try eventually(20, "the replica knows the flux") {
            try replica("HEXISTS", Keys.fluxes, flux) && replica("HEXISTS", Keys.latest(.d1), "btcusdt")
        }
        // What is in a socket's buffer would still be read.
        set.second.pause()
        _ = try caller.call("flux:stop", "\"flux_id\":\"\(flux)\"")
        #expect(try set.first.command("CLIENT", "KILL", "TYPE", "replica").integer == 1)
        waitForCloses(rig, Nightly.isOn ? 3_000 : 300)
        set.first.process.kill9()
        let killedNs = MonotonicClock.nowNs()
        let written = rig.counters[.closedWritten]
        set.second.resume()
        rig.wait(seconds: SentinelSet.patience, "candles at the new primary") {
            rig.counters[.closedWritten] > written && rig.counters[.redisFailovers] == 1
        }
        tell("killed: candles again after", MonotonicClock.nowNs() - killedNs)
        waitForCloses(rig, 300)
        rig.wait(seconds: 30, "candles written again") { rig.counters[.closedAgainMissing] > 0 }
        try eventually(20, "what was stopped is stopped there, too") {
            try !replica("HEXISTS", Keys.fluxes, flux) && !replica("HEXISTS", Keys.latest(.d1), "btcusdt")
        }
        #expect(rig.counters[.closedAgainMissing] <= rig.counters[.closedAgain])
        try expectWhole(rig, set, stopped: .d1)
    }

    /// For up to ten seconds the old primary still takes what it is sent, and loses it.
    @Test("A planned failover: service, client and program follow; the status tells it")
    func planned() async throws {
        let set = try SentinelSet()
        let rig = try rig(set)
        let client = try await FluxClient.connect(try set.endpoint(), timeout: .seconds(20))
        waitForCloses(rig, 300)
        let listener = try await FluxClient.connect(try set.endpoint(), timeout: .seconds(20), silence: .milliseconds(500))
        let updates = try await listener.updates(symbol: "btcusdt", interval: .s1)
        let heard = Lock(0)
        let listening = Task { for await _ in updates { heard.withLock { $0 += 1 } } }
        try await eventually(20, "an update") { heard.withLock { $0 } > 0 }
        let ports = [set.second.port, set.first.port]
        for round in 0..<Nightly.count(everyday: 1, nightly: 3) {
            try set.failOver()
            tell("planned: no candle for", longestPauseNs(rig, failovers: UInt64(round + 1)))
            let before = heard.withLock { $0 }
            try await eventually(SentinelSet.patience, "updates for who only listens") { heard.withLock { $0 } > before + 10 }
            let status = try await client.status()
            #expect((status.redisMode, status.redisPrimary) == ("sentinel", "127.0.0.1:\(ports[round % 2])"), "\(status)")
            #expect(status["redis_failovers"] == UInt64(round + 1))
            let old = round % 2 == 0 ? set.first : set.second
            try await eventually(SentinelSet.patience, "the old primary to follow the new one") {
                old.info("replication").contains("master_link_status:up")
            }
        }
        let run = try ProgramRun(["status", "--json", "--redis", set.url])
        #expect(run.end() == 0 && run.outputText.contains("\"redis_mode\":\"sentinel\""), "\(run.errorText)")
        listening.cancel()
        listener.close()
        client.close()
        try expectWhole(rig, set)
    }

    /// What a worker has acknowledged at the old primary may come again: at least once.
    @Test("Ten workers of a group on candles, over a failover: each candle at the new primary was handled", arguments: [false, true])
    func workers(isKilled: Bool) async throws {
        let set = try SentinelSet()
        let rig = try rig(set, symbols: 10)
        let streams = try await RedisStreams.connect(try set.endpoint(), timeout: .seconds(20))
        defer { streams.close() }
        let keys = rig.venue.symbols.map { Keys.history($0.symbol.name, .s1) }
        let log = HandledLog()
        let consumers = (0..<10).map { streams.consumer(group: "g", of: keys, as: "worker-\($0)", ConsumerOptions(prefetch: 20)) }
        let tasks = consumers.map { $0.work(into: log, parallel: 2) }
        try await eventually(60, "candles that are handled") { log.count >= 200 }
        // The group's places are at the other one, too.
        try await eventually(20, "a replica that has the groups") {
            try keys.allSatisfy { try set.second.command("XINFO", "GROUPS", $0).elements.count == 1 }
        }
        if isKilled { set.first.process.kill9() } else { try set.failOver() }
        rig.wait(seconds: SentinelSet.patience, "the data path to follow") { rig.counters[.redisFailovers] == 1 }
        waitForCloses(rig, 300)
        try expectWhole(rig, set)
        let admin = try RedisClient.connect(set.second.process.endpoint)
        let stored = try keys.flatMap { key in
            try admin.command("XRANGE", key, "-", "+").elements.map { "\(key) \($0.elements[0].text ?? "")" }
        }
        func missing() -> Set<String> { Set(stored).subtracting(log.lines.map { "\($0.key) \($0.id)" }) }
        try await eventually(60, "all \(stored.count): \(missing().count) are missing") {
            try missing().isEmpty
                && keys.allSatisfy { try admin.command("XPENDING", $0, "g").elements.first?.integer == 0 }
        }
        #expect(consumers.allSatisfy { $0.counters.interruptions >= 1 }, "all of them have moved")
        for consumer in consumers { await consumer.stop() }
        for task in tasks { try await task.end() }
    }

    @Test("A primary that hangs and comes back: nobody goes back to it")
    func hung() throws {
        let set = try SentinelSet()
        let rig = try rig(set)
        waitForCloses(rig, 300)
        set.first.pause()
        let pausedNs = MonotonicClock.nowNs()
        rig.wait(seconds: SentinelSet.patience, "a Sentinel that names the new one") { set.isNamed(set.second) }
        let namedNs = MonotonicClock.nowNs()
        rig.wait(seconds: SentinelSet.patience, "the data path to follow") { rig.counters[.redisFailovers] == 1 }
        tell("hung: gone from the old primary after a Sentinel named the new one in", MonotonicClock.nowNs() - namedNs)
        waitForCloses(rig, 300)
        if Nightly.isOn { rig.wait(seconds: 30, "twelve seconds") { MonotonicClock.nowNs() - pausedNs > 12_000_000_000 } }
        rig.reconnectClient(to: try set.endpoint())
        set.first.resume()
        // Those of Sentinels have names.
        func strangers() throws -> Int {
            let list = try set.first.command("CLIENT", "LIST", "TYPE", "normal").text ?? ""
            return list.split(separator: "\n").count { $0.contains(" name= ") }
        }
        try eventually(10, "the service to be gone from the old primary") { try strangers() == 1 }
        try eventually(SentinelSet.patience, "the old primary to be a replica") { set.first.role == "slave" }
        waitForCloses(rig, 300)
        #expect(try strangers() == 1 && rig.counters[.redisFailovers] == 1)
        try expectWhole(rig, set)
    }

    /// It answers first, and names a server that says of itself that it is a primary.
    @Test("A Sentinel with a primary of the past is not believed; without any Sentinel the primary is found all the same")
    func cutOff() throws {
        let set = try SentinelSet(spare: 1)
        let stale = try SentinelSet.Server(try FreePort.find())
        let rig = try rig(set)
        waitForCloses(rig, 300)
        try set.failOver()
        rig.wait(seconds: SentinelSet.patience, "the data path to follow") { rig.counters[.redisFailovers] == 1 }
        let liar = try SentinelSet.startSentinel(set.sentinelPorts[0], watching: stale.port)
        for _ in 0..<3 {
            let before = rig.counters[.redisReconnects]
            try set.second.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            rig.wait(seconds: 20, "a new connection") { rig.counters[.redisReconnects] > before && rig.engine.snapshot().isRedisConnected }
            waitForCloses(rig, 300)
        }
        #expect(rig.engine.sentinels.answering > 0)
        // Two of three, then all but the one of the past, then all.
        for gone in [Array(set.sentinels.dropLast()), Array(set.sentinels.suffix(1)), [liar]] {
            for sentinel in gone { sentinel.kill9() }
            try set.second.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            waitForCloses(rig, 600)
            guard gone.count == 1, gone[0] !== liar else { continue }
            var warning: JournalLine?
            rig.wait(seconds: 60, "a warning") {
                warning = rig.engine.drainJournal().first { $0.message.hasPrefix("no Sentinel says") }
                return warning != nil
            }
            let reasons = warning?.fields.last?.1 ?? ""
            #expect(reasons.contains("it names 127.0.0.1:\(stale.port) (epoch 0)") && rig.engine.sentinels.answering == 0, "\(reasons)")
        }
        #expect(try stale.command("DBSIZE").integer == 0 && rig.counters[.redisFailovers] == 1)
        let report = rig.finish()
        #expect(report.isClean && report.closedLost == 0, "\(report)")
        rig.reconnectClient(to: set.second.process.endpoint)
        try rig.expectTruth()
    }

    @Test("Data from a replica while it follows; from the primary when it is cut off, hangs or is gone")
    func readReplicas() throws {
        let set = try SentinelSet()
        let rig = try rig(set, symbols: 10) { $0.readFrom = .replica }
        rig.wait(seconds: 30, "the service to take commands") { rig.isServing }
        waitForCloses(rig, 50)
        let caller = try CommandCaller(try set.endpoint())
        func source() throws -> String {
            try caller.call("data:get", #""symbol":"btcusdt","interval":"1s","limit":1"#)["source"] as? String ?? ""
        }
        try eventually(20, "an answer of the replica") { try source() == "replica" }
        #expect(try set.second.command("REPLICAOF", "127.0.0.1", "1").text == "OK")
        try eventually(20, "an answer of the primary") { try source() == "redis" }
        // Sentinel puts it right.
        try eventually(60, "an answer of the replica") { try source() == "replica" }
        set.second.pause()
        // The first one waits for it, and has its answer all the same.
        #expect(try ["redis", "replica"].contains(source()))
        try eventually(20, "an answer of the primary") { try source() == "redis" }
        set.second.resume()
        try eventually(30, "an answer of the replica") { try source() == "replica" }
        set.second.process.kill9()
        #expect(try source() == "redis")
        #expect(rig.finish().isClean)
    }

    /// Its line is up and brings something all the time: what it brings is old.
    @Test("A replica that is ten seconds behind, though it is connected: the primary answers until it has caught up")
    func behind() throws {
        let primary = try SentinelSet.Server(try FreePort.find())
        let relay = try DelayedRelay(to: primary.port)
        let replica = try SentinelSet.Server(try FreePort.find(), ["--replicaof", "127.0.0.1", "\(relay.port)"])
        try eventually(30, "a replica that follows") { replica.info("replication").contains("master_link_status:up") }
        var options = Rig.Options()
        options.simulator.symbolCount = 10
        options.simulator.pace = .realTime(speed: 10)
        options.intervals = [.s1]
        options.adjust = {
            $0.redis = RedisEndpoint(place: .tcp(Authority(host: "127.0.0.1", port: primary.port)))
            $0.redisReplica = RedisEndpoint(place: .tcp(Authority(host: "127.0.0.1", port: replica.port)))
            $0.readFrom = .replica
            $0.takesCommands = true
        }
        let rig = try Rig(options)
        rig.reconnectClient(to: primary.process.endpoint)
        rig.wait(seconds: 30, "the service to take commands") { rig.isServing }
        waitForCloses(rig, 50)
        let caller = try CommandCaller(primary.process.endpoint)
        func answer() throws -> (source: String?, newestMs: Int64) {
            let answer = try caller.call("data:get", #""symbol":"btcusdt","interval":"1s","limit":1"#)
            let row = (answer["rows"] as? [[String: Any]])?.last
            return (answer["source"] as? String, row?["open_time"] as? Int64 ?? 0)
        }
        try eventually(20, "an answer of the replica") { try answer().source == "replica" }
        relay.setDelay(seconds: 10)
        try eventually(20, "an answer of the primary") { try answer().source == "redis" }
        // From now on until it has caught up, nothing is answered by the replica, and nothing gets older.
        var newestMs: Int64 = 0
        for _ in 0..<30 {
            let (source, openMs) = try answer()
            #expect(source == "redis" && openMs >= newestMs)
            newestMs = openMs
        }
        #expect(replica.info("replication").contains("master_link_status:up"), "it is connected all the time")
        relay.setDelay(seconds: 0)
        try eventually(40, "an answer of the replica") { try answer().source == "replica" }
        #expect(try answer().newestMs >= newestMs)
        #expect(rig.finish().isClean)
        replica.process.stop(timeoutMs: 1_500)
        relay.stop()
    }

    @Test("A replica that is named is read from; a name that no Sentinel knows ends with 2")
    func named() throws {
        let set = try SentinelSet()
        let rig = try rig(set, symbols: 10) {
            $0.redis = RedisEndpoint(place: .tcp(Authority(host: "127.0.0.1", port: set.first.port)))
            $0.redisReplica = RedisEndpoint(place: .tcp(Authority(host: "127.0.0.1", port: set.second.port)))
            $0.readFrom = .replica
        }
        rig.wait(seconds: 30, "the service to take commands") { rig.isServing }
        waitForCloses(rig, 50)
        let caller = try CommandCaller(rig.place)
        try eventually(20, "an answer of the replica") {
            try caller.call("data:get", #""symbol":"btcusdt","interval":"1s","limit":1"#)["source"] as? String == "replica"
        }
        let status = try caller.call("status:get")
        #expect(status["redis_mode"] as? String == "single" && status["redis_replicas"] as? Int == 1, "\(status)")
        #expect(rig.finish().isClean)
        let run = try ProgramRun(
            [
                "run", "--flux", "btcusdt:1m", "--venue-ws", "ws://127.0.0.1:1", "--redis",
                set.url.replacing("/\(SentinelSet.name)", with: "/x"),
            ])
        #expect(run.end() == 2 && run.errorText.contains("no Sentinel there watches a primary of the name 'x'"), "\(run.errorText)")
    }
}
