// Data that no flux covers comes from the exchange, once for all who ask; names are checked against its list.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Control: data from the exchange", .serialized)
struct FluxDataTests {
    private func makeRig(
        faults: [Fault] = [], isAsked: Bool = true, _ adjust: (inout SimulatorConfiguration) -> Void = { _ in }
    ) throws -> (rig: Rig, caller: CommandCaller) {
        var options = Rig.Options()
        options.simulator.symbolCount = 20
        options.simulator.faults = faults
        adjust(&options.simulator)
        var base = ""
        options.adjust = {
            $0.fluxes = []
            $0.takesCommands = true
            // What Redis lacks is what these tests are about.
            $0.backfill = 0
            base = $0.venue!.description
            if isAsked { $0.venueREST = try! RestEndpoint(url: base.replacing("ws://", with: "http://").trimmingSuffix("/")) }
        }
        let rig = try Rig(options)
        rig.wait(seconds: 20, "the service to take commands") { rig.isServing }
        return (rig, try CommandCaller(rig.redis.endpoint))
    }

    @Test func exchangeThenCacheThenRedis() throws {
        let (rig, caller) = try makeRig()
        let minute = rig.venue.virtualTimeMs / 60_000
        let request = #""symbol":"btcusdt","interval":"1m","limit":30"#
        let first = try caller.call("data:get", request)
        #expect(first["source"] as? String == "exchange")
        let rows = try #require(first["rows"] as? [[String: Any]])
        #expect(rows.count == 30 && rows.last?["closed"] as? Bool == false && rows.dropLast().allSatisfy { $0["closed"] as? Bool == true })
        let opens = rows.compactMap { $0["open_time"] as? Int64 }
        #expect(opens == (0..<30).map { opens[0] + Int64($0) * 60_000 })
        let second = try caller.call("data:get", request)
        #expect(second["source"] as? String == "cache" && (second["rows"] as? NSArray) == (first["rows"] as? NSArray))
        #expect(try rig.client.command("PTTL", "cache:{btcusdt}:1m:30::").integer ?? 0 > 0)
        #expect(rig.counters[.cacheHits] == 1 && rig.counters[.cacheMisses] == 1)
        #expect(try caller.call("flux:create", #""symbols":["btcusdt"],"interval":"1m""#).isOK)
        rig.wait(seconds: 20, "a state of the flux") { (try? rig.client.command("HGET", Keys.latest(.m1), "btcusdt"))?.text != nil }
        // Following makes it no worse: Redis has the newest, the exchange the others.
        let followed = try caller.call("data:get", request)
        let more = try #require(followed["rows"] as? [[String: Any]])
        let times = more.compactMap { $0["open_time"] as? Int64 }
        #expect(followed["source"] as? String == "completed" && followed["incomplete"] == nil)
        #expect(times == (0..<30).map { times[0] + Int64($0) * 60_000 } && times[0] >= opens[0])
        // A bar that has just ended is the newest until the next one's first event.
        let isForming = more.last?["closed"] as? Bool == false || rig.venue.virtualTimeMs / 60_000 > minute
        #expect(isForming && more.dropLast().allSatisfy { $0["closed"] as? Bool == true })
        #expect(more.last?["source"] as? String == "live" && more.first?["source"] as? String == "backfill")
        let asked = rig.venue.statistics().restResponses
        let newest = try caller.call("data:get", #""symbol":"btcusdt","interval":"1m","limit":1"#)
        #expect(newest["source"] as? String == "redis" && rig.venue.statistics().restResponses == asked)
        #expect(rig.finish().isClean)
    }

    /// Listed a short while ago: when Redis has all that the exchange could have, it is not asked again.
    @Test func whatTheExchangeLacksIsLearned() throws {
        // No minute ends while this runs.
        let (rig, caller) = try makeRig {
            $0.historyMinutes = 5
            $0.startTimeMs = (WallClock.nowMs() / 60_000 + 1) * 60_000
        }
        #expect(try caller.call("flux:create", #""symbols":["btcusdt"],"interval":"1m""#).isOK)
        let request = #""symbol":"btcusdt","interval":"1m","limit":100"#
        let first = try caller.call("data:get", request)
        let rows = try #require(first["rows"] as? [[String: Any]])
        #expect((5...7).contains(rows.count), "\(rows.count)")
        // As a backfill would.
        for row in rows where row["closed"] as? Bool == true {
            let fields = CandleField.allCases.flatMap { [$0.rawValue, "\(row[$0.rawValue] ?? "")"] }
            _ = try rig.client.command(["XADD", Keys.history("btcusdt", .m1), "\(row["open_time"] ?? "")-0"] + fields)
        }
        rig.wait(seconds: 20, "a state of the flux") { (try? rig.client.command("HGET", Keys.latest(.m1), "btcusdt"))?.text != nil }
        _ = try rig.client.command("DEL", "cache:{btcusdt}:1m:100::")
        let asked = rig.venue.statistics().restResponses
        let second = try caller.call("data:get", request)
        #expect(second["source"] as? String == "redis" && second["incomplete"] == nil)
        #expect((second["rows"] as? [Any])?.count ?? 0 >= rows.count && rig.venue.statistics().restResponses == asked)
        #expect(rig.finish().isClean)
    }

    @Test func anExchangeThatCannotBeAskedMakesItNoWorse() throws {
        let (rig, caller) = try makeRig(isAsked: false)
        #expect(try caller.call("flux:create", #""symbols":["btcusdt"],"interval":"1m""#).isOK)
        rig.wait(seconds: 20, "a state of the flux") { (try? rig.client.command("HGET", Keys.latest(.m1), "btcusdt"))?.text != nil }
        let answer = try caller.call("data:get", #""symbol":"btcusdt","interval":"1m","limit":30"#)
        #expect(answer["source"] as? String == "redis" && (answer["rows"] as? [Any])?.isEmpty == false)
        #expect((answer["incomplete"] as? String)?.contains("venue-rest is off") == true)
        #expect(rig.finish().isClean)
    }

    @Test func manyAskOnceIsAsked() throws {
        let (rig, caller) = try makeRig(faults: [try Fault(text: "restSlow,value=700,count=0")])
        let requests = (0..<50).map { ("data:get", "{\"request_id\":\"m\($0)\",\"symbol\":\"ethusdt\",\"interval\":\"5m\"}") }
        try caller.pipeline(requests.map { (kind: $0.0, text: $0.1) })
        caller.collect(seconds: 20) { caller.answers.count >= 50 }
        let sources = caller.answers.values.compactMap { $0.first?.firstMatch(of: /"source":"([a-z]+)"/).map { String($0.1) } }
        #expect(sources.count == 50 && sources.allSatisfy { $0 == "exchange" || $0 == "cache" })
        #expect(caller.answers.values.allSatisfy { $0.count == 1 })
        // What no answer was there for was asked by all of them, and by one of them of the exchange.
        let klines = rig.venue.statistics().restResponses
        #expect(klines <= 4, "\(klines) requests for one question and the list of symbols")
        #expect(rig.finish().isClean)
    }

    @Test func unknownSymbols() throws {
        let (rig, caller) = try makeRig()
        // Before the list is there, a create waits for it.
        #expect(try caller.call("flux:create", #""symbols":["nosuchcoin"],"interval":"1m""#).errorCode == "unknown_symbol")
        let refused = try caller.call("flux:create", #""symbols":["btcusdt","btcusd"],"interval":"1m""#)
        let message = (refused["error"] as? [String: Any])?["message"] as? String ?? ""
        #expect(refused.errorCode == "unknown_symbol" && message.contains("did you mean btcusdt"), "\(message)")
        let other = try caller.call("flux:create", #""symbols":["BTC/USDT"],"interval":"1m""#)
        #expect(((other["error"] as? [String: Any])?["message"] as? String)?.contains("did you mean btcusdt?") == true, "\(other)")
        #expect(try caller.call("data:get", #""symbol":"nosuchcoin","interval":"1m""#).errorCode == "unknown_symbol")
        #expect(try caller.call("flux:list")["fluxes"].map { ($0 as? [Any])?.isEmpty } == true)
        #expect(rig.finish().isClean)
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: String) -> String { hasSuffix(suffix) ? String(dropLast(suffix.count)) : self }
}
