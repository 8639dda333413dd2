// What the night brings: cuts, kills, refusals. Nothing delivered is lost, nothing is there twice.

import FastFeed
import Foundation
import Glibc
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite(.serialized)
struct FaultTests {
    private func rig(symbols: Int = 100, speed: Double = 10, _ adjust: (inout Rig.Options) -> Void = { _ in }) throws -> Rig {
        var options = Rig.Options()
        options.simulator.symbolCount = symbols
        options.simulator.pace = .realTime(speed: speed)
        adjust(&options)
        options.comparesLosses = true
        // What a fault has cost is told in the status, too.
        let changed = options.adjust
        options.adjust = {
            $0.takesCommands = true
            changed(&$0)
        }
        return try Rig(options)
    }

    private func waitForCloses(_ rig: Rig, _ more: UInt64) {
        let target = rig.counters[.closedWritten] + more
        rig.wait(seconds: 60, "\(more) more closed candles written") { rig.counters[.closedWritten] >= target }
    }

    /// Each stream is pushed anew: a state that a lost connection has taken with it is not the newest any more.
    private func waitForFreshStates(_ rig: Rig) {
        let seen = Dictionary(rig.venue.latestStates().map { ($0.stream, $0.candle.eventTimeMs) }) { $1 }
        rig.wait(seconds: 30, "a newer state of each stream") {
            rig.venue.latestStates().allSatisfy { $0.candle.eventTimeMs > seen[$0.stream] ?? .min }
        }
    }

    private func expectWhole(_ rig: Rig, allowsUndelivered: Bool = false) throws {
        if allowsUndelivered { waitForFreshStates(rig) }
        let report = rig.finish()
        #expect(report.isClean, "left: \(report)")
        try rig.expectTruth(allowsUndelivered: allowsUndelivered)
        try rig.expectLatest()
    }

    // MARK: Redis

    @Test func redisKilledAndRestartedInMidRun() throws {
        let rig = try rig(symbols: 200)
        for _ in 0..<3 {
            waitForCloses(rig, 2_000)
            rig.redis.kill9()
            usleep(700_000)
            try rig.redis.restart()
        }
        waitForCloses(rig, 2_000)
        #expect(rig.counters[.redisReconnects] >= 3)
        rig.reconnectClient()
        try expectWhole(rig)
        #expect(rig.counters[.gapsSeen] == 0)
    }

    @Test(arguments: [
        ["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "min-replicas-to-write", "1"], ["REPLICAOF", "127.0.0.1", "1"],
    ])
    func redisRefusesForAWhile(_ fault: [String]) throws {
        let undo = ["maxmemory": "0", "min-replicas-to-write": "0"]
        let rig = try rig(symbols: 150)
        waitForCloses(rig, 300)
        #expect(try rig.client.command(fault).text == "OK")
        rig.wait(seconds: 20, "refusals counted") { rig.counters[.redisErrorsRetried] > 0 }
        #expect(rig.engine.troubles[.redis] != nil)
        usleep(1_000_000)
        let back = fault[0] == "REPLICAOF" ? ["REPLICAOF", "NO", "ONE"] : ["CONFIG", "SET", fault[2], undo[fault[2]]!]
        #expect(try rig.client.command(back).text == "OK")
        waitForCloses(rig, 300)
        rig.wait(seconds: 10, "no trouble any more") { rig.engine.troubles[.redis] == nil }
        try expectWhole(rig)
        #expect(rig.counters[.redisRejected] == 0)
    }

    @Test func redisStallsAndConnectionIsKilled() throws {
        let rig = try rig(symbols: 300)
        waitForCloses(rig, 500)
        #expect(try rig.client.command("CLIENT", "PAUSE", "1500", "WRITE").text == "OK")
        usleep(2_000_000)
        for _ in 0..<5 {
            waitForCloses(rig, 200)
            _ = try rig.client.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        }
        waitForCloses(rig, 500)
        try expectWhole(rig)
    }

    /// A server that stalls for longer than our patience still holds what we sent it before; it must not carry that
    /// out after what we write next.
    @Test func redisStoppedForLongerThanTheReplyTimeout() throws {
        let rig = try rig(symbols: 200) { $0.adjust = { $0.redisReplyTimeoutMs = 2_000 } }
        waitForCloses(rig, 500)
        let pid = try #require(rig.redis.pid)
        kill(pid, SIGSTOP)
        rig.wait(seconds: 30, "the connection given up") { rig.counters[.redisReconnects] > 0 }
        kill(pid, SIGCONT)
        waitForCloses(rig, 500)
        rig.reconnectClient()
        try expectWhole(rig)
    }

    /// A user without the right to publish: the candles are stored all the same, and the refusals counted.
    @Test func updatesThatMayNotBePublishedHoldNothingBack() throws {
        let server = try RedisServerProcess()
        let admin = try RedisClient.connect(server.endpoint)
        #expect(try admin.command("ACL", "SETUSER", "mute", "on", ">secret", "~*", "resetchannels", "+@all").text == "OK")
        let rig = try rig(symbols: 10) {
            $0.adjust = {
                $0.redis = server.endpoint
                // It could not be answered.
                $0.takesCommands = false
                $0.redis.user = "mute"
                $0.redis.password = "secret"
            }
        }
        waitForCloses(rig, 100)
        _ = rig.finish()
        #expect(rig.counters[.updatesRefused] > 0 && rig.counters[.redisErrorsRetried] == 0)
        #expect(try admin.command("HLEN", Keys.latest(.s1)) == .integer(10))
        rig.expectBalance()
    }

    @Test func wrongTypeIsRejectedAndCounted() throws {
        let rig = try rig(symbols: 50) { $0.intervals = [.s1] }
        waitForCloses(rig, 50)
        _ = try rig.client.command("DEL", Keys.history("btcusdt", .s1))
        _ = try rig.client.command("SET", Keys.history("btcusdt", .s1), "not a stream")
        rig.wait(seconds: 20, "rejections counted") { rig.counters[.redisRejected] > 3 }
        waitForCloses(rig, 100)
        #expect(rig.engine.openGaps.contains { $0.series.symbol.name == "btcusdt" && $0.cause == .refused })
        _ = rig.finish()
        // The others are whole.
        let check = try rig.checkTruth(of: rig.venue.closedCandles().filter { $0.series.symbol.name != "btcusdt" })
        #expect(check.isFlawless, "\(check)")
    }

    @Test func redisAwayLongerThanTheQueueLasts() throws {
        let rig = try rig(symbols: 200, speed: 10) {
            $0.intervals = [.s1]
            $0.adjust = { $0.closedQueueCount = 1_024 }
        }
        waitForCloses(rig, 500)
        rig.redis.kill9()
        rig.wait(seconds: 30, "the queue to overflow") { rig.counters[.closedQueueOverflow] > 200 }
        try rig.redis.restart()
        waitForCloses(rig, 500)
        rig.reconnectClient()
        _ = rig.finish()
        rig.expectBalance()
        // What was pushed out is known, one by one.
        let lost = rig.engine.openGaps.filter { $0.cause == .overflow }.reduce(0) { $0 + $1.candleCount }
        #expect(UInt64(lost) == rig.counters[.closedQueueOverflow])
        let check = try rig.checkTruth()
        #expect(check.missing == lost && check.wrong + check.extra + check.twice == 0, "\(check)")
    }

    /// A key that an ACL refuses: the others go on, and what has waited is written when the right is given.
    @Test func aRefusedKeyHoldsNobodyBack() throws {
        let server = try RedisServerProcess()
        let admin = try RedisClient.connect(server.endpoint)
        // Every key but the histories of symbols that begin with a b.
        let rights = ["~candles:{[^b]*", "~changes:*", "~gaps:*", "~latest:*", "~status:*", "~fluxes", "&*", "+@all"]
        #expect(try admin.command(["ACL", "SETUSER", "narrow", "on", ">secret"] + rights).text == "OK")
        let rig = try rig(symbols: 50) {
            $0.intervals = [.s1]
            $0.adjust = {
                $0.redis = server.endpoint
                ($0.redis.user, $0.redis.password) = ("narrow", "secret")
            }
        }
        waitForCloses(rig, 500)
        let refused = rig.venue.symbols.count { $0.symbol.name.hasPrefix("b") }
        #expect(refused > 0 && rig.counters[.redisErrorsRetried] > 0)
        // What waits is of the refused series alone.
        let others = rig.venue.closedCandles().filter { $0.delivered && !$0.series.symbol.name.hasPrefix("b") }
        try eventually(20, "the others' candles") {
            var check = TruthCheck { try admin.command($0) }
            try check.checkHistories(others)
            return check.missing == 0 && check.same > 400
        }
        #expect(rig.counters[.closedPending] > 0)
        #expect(rig.engine.troubles[.redis]?.reason.contains(/it refuses (candles:{b|latest:)/) == true)
        #expect(
            rig.engine.drainJournal().contains { line in
                line.fields.contains { $0.0 == "key" && $0.1 == Keys.history("btcusdt", .s1) }
            })
        #expect(try admin.command("ACL", "SETUSER", "narrow", "~candles:*").text == "OK")
        waitForCloses(rig, 500)
        rig.wait(seconds: 30, "the trouble over") { rig.engine.troubles[.redis] == nil }
        let report = rig.finish()
        #expect(report.isClean && report.closedLost == 0, "\(report)")
        var check = TruthCheck { try admin.command($0) }
        try check.checkHistories(rig.venue.closedCandles())
        #expect(check.isFlawless && check.same > 500, "\(check)")
        rig.expectBalance()
    }

    /// After a failover the old master answers READONLY for ever, and the name that the engine knows leads to the new one.
    @Test func aDemotedMasterIsLeft() async throws {
        let places = try TemporaryDirectory()
        let name = places.path + "/redis"
        let new = try RedisServerProcess()
        let rig = try rig(symbols: 50) {
            $0.intervals = [.s1]
            $0.adjust = {
                guard case .unix(let path) = $0.redis.place else { return }
                #expect(symlink(path, name) == 0)
                $0.redis.place = .unix(path: name)
            }
        }
        waitForCloses(rig, 200)
        let client = try await FluxClient.connect(RedisEndpoint(place: .unix(path: name)), timeout: .seconds(20))
        #expect(try await client.listFluxes().count == 1)
        // One that only listens, and a count of what it has heard.
        let listener = try await FluxClient.connect(
            RedisEndpoint(place: .unix(path: name)), timeout: .seconds(20), silence: .milliseconds(300))
        let updates = try await listener.updates(symbol: "btcusdt", interval: .s1)
        let heard = Lock(0)
        let listening = Task { for await _ in updates { heard.withLock { $0 += 1 } } }
        try await eventually(10, "an update of the first master") { heard.withLock { $0 } > 0 }
        #expect(try rig.client.command("REPLICAOF", "127.0.0.1", "1").text == "OK")
        #expect(symlink(new.socketPath, name + ".new") == 0 && rename(name + ".new", name) == 0)
        waitForCloses(rig, 200)
        // The service and its client have moved, too.
        let admin = try RedisClient.connect(new.endpoint)
        try await eventually(20, "the service's status at the new master") { try admin.command("HGET", Keys.service, "state").text != nil }
        #expect(try await client.listFluxes().count == 1)
        let before = heard.withLock { $0 }
        try await eventually(20, "updates of the new master") { heard.withLock { $0 } > before }
        listening.cancel()
        listener.close()
        client.close()
        let report = rig.finish()
        #expect(report.isClean, "\(report)")
        let delivered = rig.venue.closedCandles().filter(\.delivered)
        for closed in delivered {
            let id = HistoryEntry.id(openTimeMs: closed.candle.openTimeMs)
            let question = ["XRANGE", Keys.schema.historyKey(closed.series), id, id]
            let found = try admin.command(question).elements.count + rig.client.command(question).elements.count
            #expect(found > 0, "\(closed.series) \(id)")
        }
        #expect(delivered.count > 400)
    }

    @Test func whatANewConnectionFindsIsSaid() throws {
        let rig = try rig(symbols: 5)
        var said: [String] = []
        func hears(_ words: String) -> Bool {
            said += rig.engine.drainJournal().map(\.message)
            return said.contains { $0.contains(words) }
        }
        rig.wait(seconds: 20, "Redis") { rig.counters[.candlesWritten] > 0 }
        rig.redis.kill9()
        try rig.redis.restart()
        rig.wait(seconds: 20, "another run of Redis") { hears("Redis was started again") }
        rig.reconnectClient()
        #expect(!hears("refuses scripts"))
        #expect(try rig.client.command("ACL", "SETUSER", "default", "-eval").text == "OK")
        #expect(try rig.client.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").integer ?? 0 > 0)
        rig.wait(seconds: 20, "no scripts any more") { hears("refuses scripts") }
        #expect(rig.finish().closedUnwritten == 0)
    }

    // MARK: Exchange

    @Test func exchangeConnectionCutInMidFrame() throws {
        let rig = try rig(symbols: 400)
        for _ in 0..<4 {
            waitForCloses(rig, 1_000)
            let before = rig.counters[.connectionsClosed]
            rig.venue.inject(Fault(.cutFrame))
            rig.wait(seconds: 20, "the cut noticed") { rig.counters[.connectionsClosed] > before }
            rig.wait(seconds: 20, "a reconnect") { rig.counters[.connectionsLive] > 0 }
        }
        waitForCloses(rig, 1_000)
        #expect(rig.counters[.reconnects] >= 4)
        try expectWhole(rig, allowsUndelivered: true)
        try expectGapsMatchTruth(rig)
    }

    @Test(arguments: [FaultKind.reset, .drop, .close, .massDisconnect])
    func exchangeEndsConnections(_ kind: FaultKind) throws {
        let rig = try rig(symbols: 200) { $0.adjust = { $0.streamsPerConnectionMax = 120 } }
        for _ in 0..<3 {
            waitForCloses(rig, 400)
            func lost() -> UInt64 { rig.counters[.endedByPeer] + rig.counters[.endedByNetwork] }
            let before = lost()
            rig.venue.inject(Fault(kind))
            rig.wait(seconds: 20, "the loss noticed, with whose it was") { lost() > before }
            rig.wait(seconds: 20, "all connections back") { rig.counters[.connectionsLive] == 4 }
            #expect(rig.engine.troubles.ofConnections == nil)
        }
        waitForCloses(rig, 400)
        try expectWhole(rig, allowsUndelivered: true)
        try expectGapsMatchTruth(rig)
    }

    @Test func shutdownNoticeReplacesConnectionsWithoutAGap() throws {
        let rig = try rig(symbols: 200)
        waitForCloses(rig, 500)
        rig.venue.inject(Fault(.serverShutdown))
        rig.wait(seconds: 20, "a rollover") { rig.counters[.rollovers] >= 1 }
        waitForCloses(rig, 500)
        #expect(rig.counters[.gapsSeen] == 0)
        try expectWhole(rig)
    }

    @Test(arguments: [
        (FaultKind.corruptJSON, CounterID.rejectedMalformed), (.truncateJSON, .rejectedMalformed), (.longDecimals, .rejectedLong),
        (.nonASCIISymbol, .rejectedUnknownSeries), (.unknownEvent, .noticesReceived),
    ])
    func damagedFramesAreCountedAndSkipped(_ kind: FaultKind, _ counter: CounterID) throws {
        // Few enough streams for the URL: an answer to a SUBSCRIBE would be a notice, too.
        let rig = try rig(symbols: 60) { $0.intervals = [.s1] }
        waitForCloses(rig, 200)
        let before = rig.counters[counter]
        var fault = Fault(kind)
        fault.count = 25
        rig.venue.inject(fault)
        rig.wait(seconds: 20, "all 25 counted") { rig.counters[counter] >= before + 25 }
        waitForCloses(rig, 200)
        _ = rig.finish()
        #expect(rig.counters[counter] == before + 25)
        #expect(rig.counters[.connectionsClosed] <= 1)
        rig.expectBalance()
    }

    @Test(arguments: [FaultKind.unknownFields, .fragment, .splitWrites, .duplicate])
    func harmlessOdditiesChangeNothing(_ kind: FaultKind) throws {
        let rig = try rig(symbols: 50)
        waitForCloses(rig, 200)
        var fault = Fault(kind)
        fault.probability = 0.5
        fault.count = 0
        rig.venue.inject(fault)
        waitForCloses(rig, 1_000)
        try expectWhole(rig)
        #expect(rig.counters.rejected == 0)
        if kind == .duplicate { #expect(rig.counters[.duplicates] > 0) }
    }

    @Test func lostAcknowledgementIsAskedForAgain() throws {
        // The first SUBSCRIBE gets no answer; a second later it is sent again, and nothing is delivered twice.
        let rig = try rig(symbols: 50) {
            $0.simulator.faults = [Fault(.loseAck)]
            $0.adjust = {
                $0.subscribeForm = .message
                $0.subscribeTimeoutMs = 1_000
            }
        }
        rig.wait(seconds: 20, "live after the second request") { rig.counters[.connectionsLive] == 1 }
        #expect(rig.counters[.subscribeErrors] == 1)
        waitForCloses(rig, 50)
        try expectWhole(rig)
    }

    @Test func nobodyThereIsTriedForEver() throws {
        let rig = try rig(symbols: 5) { $0.adjust = { $0.venue = try? WebSocketEndpoint(url: "ws://127.0.0.1:\(FreePort.find())") } }
        rig.wait(seconds: 20, "several attempts") { rig.counters[.connectFailures] >= 4 }
        let warnings = rig.engine.drainJournal().filter { $0.message.contains("cannot connect") }
        #expect(warnings.count == 1, "said once, then rarely")
        #expect(rig.engine.stop().isClean)
        rig.venue.stop()
    }

    /// The candles missing in Redis are exactly the gaps that were seen, but for those before the first or after
    /// the last candle of a series, which no later candle has shown yet.
    private func expectGapsMatchTruth(_ rig: Rig) throws {
        let open = rig.engine.openGaps
        for hole in try rig.checkTruth().absent where hole.place == .between {
            #expect(
                open.contains { $0.series == hole.series && $0.fromMs <= hole.openTimeMs && hole.openTimeMs < $0.untilMs },
                "\(hole.series) \(hole.openTimeMs): a hole nobody saw")
        }
    }
}
