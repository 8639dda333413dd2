// Data that no flux covers comes from the exchange, once for all who ask; names are checked against its list.

import FastFeed
import Foundation
import RedisServer
import Testing
import VenueSimulator

@Suite("Control: data from the exchange", .serialized)
struct FluxDataTests {
    private func makeRig(faults: [Fault] = []) throws -> (rig: Rig, caller: CommandCaller) {
        var options = Rig.Options()
        options.simulator.symbolCount = 20
        options.simulator.faults = faults
        var base = ""
        options.adjust = {
            $0.fluxes = []
            $0.takesCommands = true
            base = $0.venue!.description
            $0.venueREST = try! RestEndpoint(url: base.replacing("ws://", with: "http://").trimmingSuffix("/"))
        }
        let rig = try Rig(options)
        rig.wait(seconds: 20, "the service to take commands") { rig.isServing }
        return (rig, try CommandCaller(rig.redis.endpoint))
    }

    @Test func exchangeThenCacheThenRedis() throws {
        let (rig, caller) = try makeRig()
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
        #expect(try caller.call("data:get", request)["source"] as? String == "redis")
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
