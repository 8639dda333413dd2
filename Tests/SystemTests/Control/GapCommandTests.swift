// Holes, backfills and audits, asked for by the documented protocol of a whole service.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Control: holes, backfills, audits", .serialized)
struct GapCommandTests {
    private let series = #""symbol":"btcusdt","interval":"1s""#

    private func makeRig(asks: Bool, backfill: Int = 0) throws -> (rig: Rig, caller: CommandCaller) {
        var options = Rig.Options()
        options.simulator.symbolCount = 2
        options.intervals = [.s1]
        options.adjust = {
            $0.takesCommands = true
            $0.backfill = backfill
            if asks { $0.venueREST = try! RestEndpoint(url: "http://127.0.0.1:\($0.venue!.authority.port)") }
        }
        let rig = try Rig(options)
        rig.wait(seconds: 20, "the service to take commands") { rig.isServing }
        rig.wait(seconds: 20, "a closed candle of each series") { rig.counters[.closedWritten] >= 2 }
        return (rig, try CommandCaller(rig.redis.endpoint))
    }

    private func gaps(_ answer: [String: Any]) -> [[String: Any]] { answer["gaps"] as? [[String: Any]] ?? [] }

    @Test("Where nobody is asked, a hole is listed and stays, and the flux is live")
    func nobodyHeals() throws {
        let (rig, caller) = try makeRig(asks: false)
        #expect(gaps(try caller.call("gaps:list")).isEmpty)
        rig.venue.inject(Fault(.massDisconnect))
        rig.venue.inject(Fault(.refuseHandshake, count: 0, durationMs: 2_500))
        rig.wait(seconds: 30, "holes in both series") { rig.counters[.gapsOpen] >= 2 }
        let listed = gaps(try caller.call("gaps:list", #""symbol":"btcusdt""#))
        let hole = try #require(listed.first)
        #expect(hole["symbol"] as? String == "btcusdt" && hole["interval"] as? String == "1s" && hole["cause"] as? String == "missed")
        #expect(hole["state"] as? String == "open" && hole["candles"] as? Int ?? 0 > 0 && hole["tries"] as? Int == 0)
        #expect(hole["until"] as? Int ?? 0 > hole["from"] as? Int ?? .max)
        #expect(gaps(try caller.call("gaps:list", #""interval":"1m""#)).isEmpty)
        let flux = try #require(((try caller.call("flux:list"))["fluxes"] as? [[String: Any]])?.first)
        #expect(gaps(try caller.call("gaps:list", "\"flux_id\":\"\(flux["flux_id"] ?? "")\"")).count >= 2)
        #expect(try caller.call("gaps:list", #""flux_id":"none""#).errorCode == "unknown_flux")
        #expect(["live", "starting"].contains(flux["state"] as? String ?? ""))
        let refused = try caller.call("data:backfill", series + #","count":5"#)
        #expect(refused.errorCode == "internal", "\(refused)")
        #expect(((refused["error"] as? [String: Any])?["message"] as? String)?.contains("venue-rest is off") == true, "\(refused)")
        #expect(try caller.call("data:audit", series).errorCode == "internal")
        #expect(rig.finish().isClean)
    }

    @Test("A backfill is fetched, an audit finds what was altered, and repairs it")
    func backfillAndAudit() throws {
        let (rig, caller) = try makeRig(asks: true)
        #expect(try caller.call("data:backfill", #""symbol":"nobody","interval":"1s","count":5"#).errorCode == "unknown_flux")
        #expect(try caller.call("data:backfill", series + #","count":100001"#).errorCode == "bad_request", "more than are kept")
        #expect(try caller.call("data:backfill", series + #","count":300"#)["count"] as? Int == 300)
        let key = Keys.history("btcusdt", .s1)
        rig.wait(seconds: 30, "300 candles") { (try? rig.client.command("XLEN", key))?.integer ?? 0 >= 300 }
        rig.wait(seconds: 20, "no hole") { gaps((try? caller.call("gaps:list")) ?? ["gaps": [["": 0]]]).isEmpty }
        let before = try caller.call("data:audit", series + #","limit":200"#)
        #expect(before["checked"] as? Int ?? 0 > 100 && (before["findings"] as? [Any])?.isEmpty == true, "\(before)")
        let entries = try rig.client.command("XRANGE", key, "-", "+", "COUNT", "200").elements
        let id = try #require(entries[150].elements.first?.text)
        _ = try rig.client.command("XDEL", key, id)
        let found = try caller.call("data:audit", series + #","limit":300"#)
        let findings = found["findings"] as? [[String: Any]] ?? []
        #expect(findings.contains { $0["id"] as? String == id && $0["finding"] as? String == "missing" }, "\(found)")
        #expect(found["repaired"] as? Bool == false)
        #expect(try caller.call("data:audit", series + #","limit":300,"repair":true"#)["repaired"] as? Bool == true)
        rig.wait(seconds: 20, "the candle") { (try? rig.client.command("XRANGE", key, id, id))?.elements.count == 1 }
        let status = try caller.call("status:get")
        #expect(status["rest_weight_allowed"] as? Int ?? 0 > status["rest_weight_used"] as? Int ?? .max)
        #expect(status["audit_mismatches"] as? Int ?? 0 > 0, "\(status)")
        #expect(rig.finish().isClean)
    }
}
