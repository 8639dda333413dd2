// Commands to a group: every member hears them, one answers; also while members die, and when a request is repeated.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Commands to a group", .serialized)
struct GroupCommandTests {
    /// One request; the first answer. (`CommandCaller.call` expects one listener.)
    private func ask(_ caller: CommandCaller, _ kind: String, _ id: String, _ fields: String = "") throws -> [String: Any]? {
        try caller.publish(kind, "{\"request_id\":\"\(id)\"\(fields.isEmpty ? "" : ",")\(fields)}")
        let channel = "responses:\(kind):\(id)"
        caller.collect(seconds: 15) { caller.answers[channel] != nil }
        return try caller.answers[channel]?.first.map { try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] } ?? nil
    }

    @Test("Each kind is answered once, with what all members know")
    func kinds() throws {
        let rig = try GroupRig(symbols: 12)
        try rig.start(["a", "b", "c"])
        try rig.waitForCloses()
        let caller = try CommandCaller(rig.redis.endpoint)
        let two = #""symbols":["\#(rig.symbols[0])","\#(rig.symbols[1])"],"interval":"1m","name":"mine""#
        let made = try ask(caller, "flux:create", "1", two)
        #expect(made?.isOK == true && made?["created"] as? Bool == true)
        try eventually(30, "it is live, and all know of it") {
            try rig.client.command("HGET", Keys.flux("mine"), "state").text == "live"
                && rig.runs.values.allSatisfy { $0.errorText.contains("flux_id=mine") }
        }
        let status = try rig.client.command("HGETALL", Keys.service)
        let fields = Dictionary(status.pairs) { $1 }
        #expect(fields["members"] == "3" && fields["writers"] == "3" && fields["blind"] == "0" && fields["fluxes"] == "2", "\(fields)")
        #expect(fields["series"] == "\(rig.symbols.count + 2)" && fields["state"] == "live")
        let list = try ask(caller, "flux:list", "2")?["fluxes"] as? [[String: Any]]
        #expect(list?.count == 2 && list?.allSatisfy { $0["state"] as? String == "live" } == true)
        for (place, symbol) in rig.symbols.enumerated() {
            let data = try ask(caller, "data:get", "d\(place)", "\"symbol\":\"\(symbol)\",\"interval\":\"1s\",\"limit\":3")
            #expect((data?["rows"] as? [Any])?.count == 3, "\(symbol)")
        }
        #expect(try ask(caller, "status:get", "3")?["members"] as? Int == 3)
        #expect((try ask(caller, "gaps:list", "4")?["gaps"] as? [Any])?.isEmpty == true)
        #expect(try ask(caller, "data:audit", "5", "\"symbol\":\"\(rig.symbols[0])\",\"interval\":\"1s\"")?.errorCode == "internal")
        #expect(try ask(caller, "flux:stop", "6", #""flux_id":"mine""#)?.isOK == true)
        try eventually(20, "nobody follows it") {
            try rig.client.command("HLEN", Keys.latest(.m1)).integer == 0 && rig.client.command("HKEYS", Keys.fluxes).strings.count == 1
        }
        #expect(try ask(caller, "flux:stop", "8", #""flux_id":"mine""#)?.errorCode == "unknown_flux")
        // The same request again has the same answer, from whomever.
        let mark = Keys.schema.claimKey(.createFlux, requestID: "1") + ":again"
        try eventually(30, "a repetition is one") { try rig.client.command("EXISTS", mark).integer == 0 }
        try caller.publish("flux:create", #"{"request_id":"1","symbols":["x"],"interval":"1m"}"#)
        caller.collect(seconds: 10) { caller.answers["responses:flux:create:1"]?.count == 2 }
        #expect(caller.answers["responses:flux:create:1"].map { Set($0).count == 1 && $0.count == 2 } == true)
        caller.collect(seconds: 2) { false }
        #expect(caller.answers.allSatisfy { $0.value.count == ($0.key.hasSuffix("create:1") ? 2 : 1) }, "answered twice")
        try rig.finish()
    }

    @Test("A thousand requests, some repeated, and a member is killed among them: each is answered once, or again when it is repeated")
    func death() throws {
        let rig = try GroupRig(symbols: 12)
        try rig.start(["a", "b", "c"])
        let caller = try CommandCaller(rig.redis.endpoint)
        let count = Nightly.count(everyday: 300, nightly: 1_000)
        func request(_ number: Int) -> (kind: String, text: String) {
            let symbol = rig.symbols[number % rig.symbols.count]
            let fields = "\"symbols\":[\"\(symbol)\"],\"interval\":\"1m\",\"name\":\"f\(number % 50)\""
            return ("flux:create", "{\"request_id\":\"r\(number)\",\(fields)}")
        }
        func missing() -> [Int] { (0..<count).filter { caller.answers["responses:flux:create:r\($0)"] == nil } }
        for start in stride(from: 0, to: count, by: 20) {
            try caller.pipeline((start..<min(start + 20, count)).map(request))
            caller.collect(seconds: 0.05) { false }
            if start == count / 2 / 20 * 20 { rig.kill("b") }
        }
        caller.collect(seconds: 15) { missing().isEmpty }
        #expect(caller.answers.allSatisfy { $0.value.count == 1 }, "answered twice")
        // What the dead one had claimed is anybody's ten seconds later.
        try eventually(60, "an answer to each: \(missing().count)") {
            try caller.pipeline(missing().map(request))
            caller.collect(seconds: 3) { missing().isEmpty }
            return missing().isEmpty
        }
        try rig.settle(["a", "c"])
        #expect(try rig.client.command("HLEN", Keys.fluxes).integer == Int64(min(count, 50)) + 1, "one effect")
        let made = caller.answers.values.joined().count { $0.contains("\"created\":true") }
        #expect((min(count, 50) - 1...min(count, 50)).contains(made), "\(made)")
        try rig.endAll()
    }
}
