// Fluxes under command, on real parts: what is created lives, what is stopped goes, and nothing else notices.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Control", .serialized)
struct FluxCommandTests {
    /// A service without fluxes of its own.
    private func makeRig(symbols: Int = 40, adjust: @escaping (inout EngineConfiguration) -> Void = { _ in }) throws -> Rig {
        var options = Rig.Options()
        options.simulator.symbolCount = symbols
        options.simulator.illiquidEvery = 0
        options.simulator.pushPeriodMs = 200
        options.adjust = {
            $0.fluxes = []
            $0.takesCommands = true
            adjust(&$0)
        }
        return try Rig(options)
    }

    private func waitForService(_ rig: Rig) {
        rig.wait(seconds: 20, "the service to take commands") { rig.isServing }
    }

    private func state(_ rig: Rig, _ id: String) -> String? { (try? rig.client.command("HGET", Keys.flux(id), "state"))?.text }

    @Test func aFluxLivesAndEnds() throws {
        let rig = try makeRig()
        waitForService(rig)
        let caller = try CommandCaller(rig.redis.endpoint)
        let made = try caller.call("flux:create", #""symbols":["ETHUSDT","btcusdt"],"interval":"1s""#)
        #expect(made.isOK && made["flux_id"] as? String == "1s_btcusdt-ethusdt" && made["created"] as? Bool == true)
        let again = try caller.call("flux:create", #""symbols":["btcusdt","ethusdt"],"interval":"1s""#)
        #expect(again.isOK && again["created"] as? Bool == false)
        let overlapping = try caller.call("flux:create", #""symbols":["ethusdt","solusdt"],"interval":"1s","name":"mine""#)
        #expect(overlapping["flux_id"] as? String == "mine")
        rig.wait(seconds: 20, "both to be live") { state(rig, "mine") == "live" && state(rig, "1s_btcusdt-ethusdt") == "live" }
        rig.wait(seconds: 20, "closed candles") { rig.counters[.closedWritten] >= 9 }

        let list = try caller.call("flux:list")["fluxes"] as? [[String: Any]]
        #expect(list?.compactMap { $0["flux_id"] as? String } == ["1s_btcusdt-ethusdt", "mine"])
        #expect(list?.last?["symbols"] as? [String] == ["ethusdt", "solusdt"])
        let data = try caller.call("data:get", #""symbol":"ethusdt","interval":"1s","limit":2"#)
        let rows = try #require(data["rows"] as? [[String: Any]])
        #expect(data["source"] as? String == "redis" && rows.count == 2)
        #expect((rows[0]["open_time"] as? Int64 ?? 0) < (rows[1]["open_time"] as? Int64 ?? 0))
        let service = try caller.call("status:get")
        #expect(service["fluxes"] as? Int == 2 && service["series"] as? Int == 3 && service["connections"] as? Int == 1)
        for stage in ["", "_socket_to_parsed", "_parsed_to_taken", "_taken_to_written", "_written_to_ack"] {
            let (middle, high) = (service["latency\(stage)_p50_us"] as? Int, service["latency\(stage)_p99_us"] as? Int)
            #expect(
                middle != nil && middle ?? 1 <= high ?? 0, "latency\(stage): \(String(describing: middle)), \(String(describing: high))")
        }
        let one = try caller.call("status:get", #""flux_id":"mine""#)
        #expect(one["state"] as? String == "live" && one["series_live"] as? Int == 2)

        // One flux ends: what the other wants goes on, what nobody wants is gone but for its history.
        #expect(try caller.call("flux:stop", #""flux_id":"mine""#).isOK)
        rig.wait(seconds: 10, "the stopped symbol to leave latest:1s") {
            (try? rig.client.command("HEXISTS", Keys.latest(.s1), "solusdt"))?.integer == 0
        }
        #expect(try rig.client.command("HEXISTS", Keys.latest(.s1), "ethusdt").integer == 1)
        #expect(try rig.client.command("XLEN", Keys.history("solusdt", .s1)).integer ?? 0 > 0)
        #expect(state(rig, "mine") == "stopped")
        #expect(try caller.call("flux:stop", #""flux_id":"mine""#).errorCode == "unknown_flux")
        #expect(try rig.client.command("HKEYS", Keys.fluxes).strings == ["1s_btcusdt-ethusdt"])
        let report = rig.finish()
        #expect(report.isClean)
        #expect(state(rig, "1s_btcusdt-ethusdt") == "stopped")
        rig.expectBalance()
    }

    @Test func fluxesSurviveTheirProcess() throws {
        let rig = try makeRig()
        waitForService(rig)
        let caller = try CommandCaller(rig.redis.endpoint)
        #expect(try caller.call("flux:create", #""symbols":["btcusdt"],"interval":"1s","name":"kept""#).isOK)
        rig.wait(seconds: 20, "live") { state(rig, "kept") == "live" }
        _ = rig.engine.stop()
        var configuration = EngineConfiguration()
        configuration.takesCommands = true
        configuration.venue = try WebSocketEndpoint(url: rig.venue.webSocketBase)
        configuration.redis = rig.redis.endpoint
        let second = try Engine(configuration)
        try second.start()
        rig.wait(seconds: 20, "resumed") { second.snapshot().counters[.closedWritten] >= 2 }
        #expect(try caller.call("flux:list")["fluxes"].map { ($0 as? [Any])?.count } == 1)
        let report = second.stop()
        #expect(report.isClean)
        let ids = try rig.client.command("XRANGE", Keys.history("btcusdt", .s1), "-", "+").elements.map { $0.elements[0].text ?? "" }
        #expect(Set(ids).count == ids.count)
        rig.venue.stop()
    }

    @Test func manyStreamsInOneRequest() throws {
        let rig = try makeRig(symbols: 1_500) { $0.readerCount = 2 }
        waitForService(rig)
        let caller = try CommandCaller(rig.redis.endpoint)
        let names = rig.venue.symbols.map { "\"\($0.symbol.name)\"" }.joined(separator: ",")
        let made = try caller.call("flux:create", "\"symbols\":[\(names)],\"interval\":\"1m\"")
        let id = try #require(made["flux_id"] as? String)
        #expect(id.hasPrefix("1m_1500symbols_"))
        rig.wait(seconds: 60, "all live") { state(rig, id) == "live" }
        #expect(rig.counters[.seriesActive] == 1_500 && rig.counters[.connectionsLive] == 2)
        #expect(rig.finish().isClean)
    }

    /// Nine good requests, then one that is hostile, over and over: each is answered once, or counted.
    @Test func hostileRequests() throws {
        let rig = try makeRig()
        waitForService(rig)
        let caller = try CommandCaller(rig.redis.endpoint)
        let before = try Set(rig.client.command("KEYS", "*").strings)
        #expect(try caller.call("flux:create", #""symbols":["btcusdt"],"interval":"1s","name":"base""#).isOK)
        rig.wait(seconds: 20, "closed candles") { rig.counters[.closedWritten] >= 2 }
        var mix = HostileMix("r", good: [("flux:list", ""), ("status:get", "")])
        for _ in 0..<10 { try caller.pipeline((0..<200).map { _ in mix.next() }) }
        let expected = mix.answers
        caller.collect(seconds: 60) { expected.allSatisfy { caller.answers[$0] != nil } }
        caller.collect(seconds: 0.5) { false }
        let missing = expected.filter { caller.answers[$0] == nil }
        #expect(missing.isEmpty, "\(missing.count) without an answer: \(missing.prefix(3))")
        #expect(caller.answers.allSatisfy { $0.value.count == 1 }, "an answer twice")
        #expect(rig.counters[.commandsUnanswered] == mix.unanswered)
        let new = try Set(rig.client.command("KEYS", "*").strings).subtracting(before)
        let allowed: Set<String> = [
            Keys.fluxes, Keys.flux("base"), Keys.history("btcusdt", .s1), Keys.latest(.s1), Keys.service, Keys.schema.connectsKey,
            Keys.schema.keeperKey,
        ]
        #expect(new.isSubset(of: allowed), "\(new)")
        #expect(rig.finish().isClean)
        try rig.expectTruth()
    }

    @Test func commandsComeBackWithRedis() throws {
        let rig = try makeRig()
        waitForService(rig)
        #expect(try CommandCaller(rig.redis.endpoint).call("flux:create", #""symbols":["btcusdt"],"interval":"1s""#).isOK)
        rig.redis.kill9()
        usleep(300_000)
        try rig.redis.restart()
        rig.reconnectClient()
        let caller = try CommandCaller(rig.redis.endpoint)
        rig.wait(seconds: 20, "somebody to listen") { (try? caller.publish("flux:list", "{}")) == 1 }
        let list = try caller.call("flux:list")
        #expect((list["fluxes"] as? [Any])?.count == 1)
        #expect(rig.finish().isClean)
    }

    /// A Redis that is slower than control waits for an answer: requests that were delivered are answered all the same, each once.
    @Test func aSlowRedisCostsNoRequest() throws {
        let rig = try makeRig()
        waitForService(rig)
        let caller = try CommandCaller(rig.redis.endpoint)
        let pid = try #require(rig.redis.pid)
        var expected: Set<String> = []
        for round in 0..<3 {
            // Each create waits for Redis's word, so that the stop falls into their midst.
            let ids = (0..<300).map { "s\(round)-\($0)" }
            try caller.pipeline(
                ids.map { ("flux:create", "{\"request_id\":\"\($0)\",\"symbols\":[\"btcusdt\"],\"interval\":\"1s\",\"name\":\"\($0)\"}") })
            kill(pid, SIGSTOP)
            usleep(UInt32(Limits.controlRedisTimeoutMs + 300) * 1_000)
            kill(pid, SIGCONT)
            expected.formUnion(ids.map { "responses:flux:create:\($0)" })
            caller.collect(seconds: 20) { expected.allSatisfy { caller.answers[$0] != nil } }
        }
        caller.collect(seconds: 0.5) { false }
        let missing = expected.filter { caller.answers[$0] == nil }
        #expect(missing.isEmpty, "\(missing.count) without an answer: \(missing.prefix(3))")
        #expect(caller.answers.allSatisfy { $0.value.count == 1 }, "an answer twice")
        let refused = caller.answers.values.filter { $0[0].contains(#""status":"error""#) }
        #expect(
            !refused.isEmpty && refused.allSatisfy { $0[0].contains(#""code":"internal""#) }, "Redis was never too slow: \(refused.count)")
        #expect(rig.finish().isClean)
    }

    /// Fluxes come and go beside one that stays: ids, connections and descriptors come back, the one that stays misses nothing.
    @Test func comingAndGoing() throws {
        let rig = try makeRig()
        waitForService(rig)
        let caller = try CommandCaller(rig.redis.endpoint)
        #expect(try caller.call("flux:create", #""symbols":["btcusdt"],"interval":"1s","name":"stays""#).isOK)
        rig.wait(seconds: 20, "live") { state(rig, "stays") == "live" }
        let before = FluxCommandTests.descriptors()
        for round in 0..<60 {
            let symbols = (0..<5).map { "\"\(rig.venue.symbols[1 + (round + $0) % 30].symbol.name)\"" }.joined(separator: ",")
            #expect(try caller.call("flux:create", "\"symbols\":[\(symbols)],\"interval\":\"1s\",\"name\":\"goes-\(round)\"").isOK)
            if round % 8 == 0 { usleep(300_000) }
            #expect(try caller.call("flux:stop", "\"flux_id\":\"goes-\(round)\"").isOK)
        }
        rig.wait(seconds: 20, "one series to be left") { rig.counters[.seriesActive] == 1 && rig.counters[.connectionsLive] == 1 }
        rig.wait(seconds: 20, "the fields to be gone") { (try? rig.client.command("HKEYS", Keys.latest(.s1)))?.strings == ["btcusdt"] }
        #expect(rig.counters[.connectionsOpened] == 1, "the connection of the flux that stays was disturbed")
        rig.wait(seconds: 20, "all ids to come back") { (try? caller.call("status:get"))?["series_ids_in_use"] as? Int == 1 }
        rig.wait(seconds: 10, "all descriptors to be closed") { FluxCommandTests.descriptors() <= before }
        #expect(rig.finish().isClean)
        let check = try rig.checkTruth(of: rig.venue.closedCandles().filter { $0.series.symbol.name == "btcusdt" }) { _, _ in true }
        #expect(check.isFlawless, "\(check)")
        rig.expectBalance()
    }

    /// Of this process. (`scripts/churn.sh` looks at the program's own, and at its memory.)
    private static func descriptors() -> Int { (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))?.count ?? 0 }
}
