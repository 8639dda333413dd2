// Nothing is missing in a Redis that has its own troubles: it forgets, is away for longer than the queue lasts, gives way to a replica that
// is behind, or somebody has changed what is stored. Local exchange, real redis-server, the engine and the real program's audit.

import FastFeed
import Foundation
import Glibc
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Healing, Redis", .serialized)
struct HealRedisTests {
    /// Redis is started again and has nothing any more: the history is there again.
    @Test func redisForgets() throws {
        let rig = try HealTests.rig(HealTests.options { $0.backfill = 60 })
        rig.wait(seconds: 30, "candles") { rig.counters[.closedWritten] >= 120 }
        let startMs = rig.venue.virtualTimeMs - 30_000
        try rig.waitUntilComplete(fromMs: startMs)
        #expect(try rig.client.command("FLUSHALL").text == "OK")
        rig.redis.kill9()
        try rig.redis.restart()
        rig.reconnectClient()
        rig.wait(seconds: 30, "Redis back") { rig.engine.snapshot().isRedisConnected }
        try rig.waitUntilComplete(fromMs: startMs)
        _ = rig.finish()
        try rig.expectComplete(fromMs: startMs)
        rig.expectBalance()
    }

    /// The master dies, and the replica that follows it has not heard of its last seconds: what it lacks is written again, from memory or,
    /// where that is not wanted, from the exchange's history.
    @Test(arguments: [true, false]) func failoverToAReplicaThatIsBehind(rewrites: Bool) throws {
        let places = try TemporaryDirectory()
        let name = places.path + "/redis"
        let port = try FreePort.find()
        var options = HealTests.options {
            guard case .unix(let path) = $0.redis.place else { return }
            #expect(symlink(path, name) == 0)
            $0.redis.place = .unix(path: name)
            if !rewrites { $0.rewrite = .zero }
        }
        options.redis.arguments = ["--port", "\(port)", "--repl-diskless-sync-delay", "0"]
        let rig = try HealTests.rig(options)
        let symbols = rig.venue.symbols.count
        let key = Keys.history(rig.venue.symbols[0].symbol.name, .s1)
        let replica = try RedisServerProcess()
        let admin = try RedisClient.connect(replica.endpoint, timeout: .seconds(20))
        #expect(try admin.command("REPLICAOF", "127.0.0.1", "\(port)").text == "OK")
        var replication = ""
        try eventually(60, "a replica that follows: \(replication)") {
            replication = try admin.command("INFO", "replication").text ?? ""
            return try replication.contains("master_link_status:up") && admin.command("XLEN", key).integer ?? 0 >= 2
        }
        let startMs = rig.venue.virtualTimeMs - 1_000
        #expect(try admin.command("REPLICAOF", "NO", "ONE").text == "OK")
        let written = rig.counters[.closedWritten]
        rig.wait(seconds: 30, "candles that the replica has not") { rig.counters[.closedWritten] >= written + UInt64(2 * symbols) }
        let behind = try (rig.client.command("XLEN", key).integer ?? 0) - (admin.command("XLEN", key).integer ?? 0)
        #expect(behind > 0)
        rig.redis.kill9()
        #expect(symlink(replica.socketPath, name + ".new") == 0 && rename(name + ".new", name) == 0)
        rig.reconnectClient(to: replica.endpoint)
        try rig.waitUntilComplete(fromMs: startMs)
        let filled = rewrites ? rig.counters[.closedAgainMissing] : rig.counters[.gapCandlesHealed]
        #expect(filled >= UInt64(behind) * UInt64(symbols) / 2, "\(filled) of \(behind) a series")
        _ = rig.finish()
        try rig.expectComplete(fromMs: startMs)
        rig.expectBalance()
    }

    /// Redis is away until the queue has pushed out many candles. By night: ten minutes at 20,000 frames/s, and the whole queue.
    @Test func redisIsAwayForLong() throws {
        let symbols = Nightly.count(everyday: 200, nightly: 300)
        var options = HealTests.options(symbols: symbols) { if !Nightly.isOn { $0.closedQueueCount = 256 } }
        if Nightly.isOn { options.simulator.pace = .openLoop(framesPerSecond: 20_000) }
        let rig = try HealTests.rig(options)
        rig.wait(seconds: 60, "candles") { rig.counters[.closedWritten] >= UInt64(2 * symbols) }
        let startMs = rig.venue.virtualTimeMs + 1_000
        rig.redis.kill9()
        let awayUntilMs = rig.venue.virtualTimeMs + Int64(Nightly.count(everyday: 2_500, nightly: 600_000))
        rig.wait(seconds: Double(Nightly.count(everyday: 60, nightly: 900)), "an outage that was long enough") {
            rig.venue.virtualTimeMs >= awayUntilMs && rig.counters[.closedQueueOverflow] >= UInt64(symbols)
        }
        try rig.redis.restart()
        rig.reconnectClient()
        let restartedNs = MonotonicClock.nowNs()
        let pushedOut = rig.counters[.closedQueueOverflow]
        let seconds = Double(Nightly.count(everyday: 60, nightly: 600))
        rig.wait(seconds: seconds, "no hole") { rig.engine.snapshot().isRedisConnected && rig.engine.openGaps.isEmpty }
        try rig.waitUntilComplete(fromMs: startMs, seconds: seconds)
        let tookSeconds = Double(MonotonicClock.nowNs() - restartedNs) / 1e9
        print(String(format: "Redis away: %d candles pushed out, complete %.1f s after its start", Int(pushedOut), tookSeconds))
        _ = rig.finish()
        try rig.expectComplete(fromMs: startMs)
        rig.expectBalance()
    }

    // MARK: Altered

    /// In one go: ids can only be appended by ascending order.
    private static let alter = """
        local entries = redis.call('XRANGE', KEYS[1], '-', '+')
        redis.call('DEL', KEYS[1])
        for _, entry in ipairs(entries) do
          local id, fields = entry[1], entry[2]
          for i = 1, #fields, 2 do
            if id == ARGV[1] and fields[i] == 'volume' then fields[i + 1] = '9' .. fields[i + 1] end
          end
          if id ~= ARGV[2] then redis.call('XADD', KEYS[1], id, unpack(fields)) end
          if id == ARGV[3] then redis.call('XADD', KEYS[1], ARGV[4], unpack(fields)) end
          if id == ARGV[5] then redis.call('XADD', KEYS[1], ARGV[6], 'somebody', 'else') end
        end
        return #entries
        """

    /// One candle is changed, one taken away; one stands there a second time, and an entry where no bar begins.
    /// - Returns: what is wrong then, by id, and what repairing it tells in `changes:*`.
    private func alter(_ symbol: Symbol, _ rig: Rig) throws -> (findings: [String: String], changes: Set<String>) {
        let key = Keys.history(symbol.name, .s1)
        let entries = try rig.client.command("XRANGE", key, "-", "+", "COUNT", "40").elements
        let opens = try [20, 24, 28, 32].map { place in
            try #require(entries[place].elements.first?.text.flatMap { HistoryEntry(id: $0, [])?.openTimeMs })
        }
        let ids = opens.map { HistoryEntry.id(openTimeMs: $0) }
        let foreign = ["\(opens[2])-1", HistoryEntry.id(openTimeMs: opens[3] + 1)]
        let arguments = [ids[0], ids[1], ids[2], foreign[0], ids[3], foreign[1]]
        #expect(try rig.client.command(["EVAL", HealRedisTests.alter, "1", key] + arguments).integer ?? 0 > 40)
        return (
            [ids[0]: "different", ids[1]: "missing", foreign[0]: "foreign", foreign[1]: "foreign"],
            ["\(opens[0]) corrected 1", "\(opens[1]) inserted 0", "\(opens[2]) removed 0", "\(opens[3] + 1) removed 0"]
        )
    }

    /// What somebody has changed by hand is found and put right, by a command and by the program, and told.
    @Test func alteredByHand() throws {
        let rig = try HealTests.rig(
            HealTests.options(symbols: 2) {
                $0.auditPercent = 0
                $0.backfill = 80
            })
        let startMs = rig.venue.virtualTimeMs - 60_000
        rig.wait(seconds: 30, "a backfill, and the service") { rig.counters[.gapCandlesHealed] >= 2 * 75 && rig.isServing }
        try rig.waitUntilComplete(fromMs: startMs)
        let symbols = rig.venue.symbols.map(\.symbol)
        let altered = try symbols.map { try alter($0, rig) }

        let caller = try CommandCaller(rig.redis.endpoint)
        let series = "\"symbol\":\"\(symbols[0])\",\"interval\":\"1s\",\"limit\":500"
        func findings(_ answer: [String: Any]) -> [String: String] {
            let list = answer["findings"] as? [[String: Any]] ?? []
            return Dictionary(list.map { ($0["id"] as? String ?? "", $0["finding"] as? String ?? "") }) { "\($0) \($1)" }
        }
        let repair = try caller.call("data:audit", series + ",\"repair\":true")
        #expect(repair.isOK && findings(repair) == altered[0].findings && repair["repaired"] as? Bool == true, "\(repair)")
        var again: [String: Any] = [:]
        try eventually(30, "an audit that finds nothing: \(again)") {
            again = try caller.call("data:audit", series)
            return again.isOK && findings(again).isEmpty
        }
        #expect(again["checked"] as? Int ?? 0 > 40)

        let command = ["audit", symbols[1].name, "1s", "--limit", "500", "--redis", "unix://\(rig.redis.socketPath)"]
        let repairing = try ProgramRun(command + ["--repair"])
        #expect(repairing.end(within: 60) == 0, "\(repairing.errorText)")
        #expect(repairing.outputText.contains("1 missing, 1 different, 2 foreign; repaired"), "\(repairing.outputText)")
        let looking = try ProgramRun(command)
        #expect(looking.end(within: 30) == 0, "\(looking.errorText)")
        #expect(looking.outputText.contains("all as the exchange has them"), "\(looking.outputText)")

        for (symbol, altered) in zip(symbols, altered) {
            let key = Keys.schema.changesKey(Series(symbol: symbol, interval: .s1))
            let told = try rig.client.command("XRANGE", key, "-", "+").elements.map { entry in
                let fields = Dictionary(entry.elements.last?.pairs ?? []) { $1 }
                return ["open_time", "kind", "revision"].map { fields[$0] ?? "" }.joined(separator: " ")
            }
            #expect(told.count == altered.changes.count && Set(told) == altered.changes, "\(symbol): \(told)")
        }
        #expect(rig.counters[.auditMismatches] >= 8)
        _ = rig.finish()
        let check = try rig.completeness(fromMs: startMs)
        #expect(check.isWhole && check.same > 0 && check.revised == 2, "\(check)")
        rig.expectBalance()
    }
}
