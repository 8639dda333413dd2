// Symbols as the exchange has them, on the real program: names beyond ASCII, names that come and go, names that are wrong.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

/// A local exchange, a redis-server, and `feedd run` between them.
final class SymbolRig {
    let venue: VenueSimulator
    let redis: RedisServerProcess
    let client: RedisClient
    let service: ProgramRun
    private let place: [String]

    init(_ arguments: [String], _ adjust: (inout SimulatorConfiguration) -> Void) throws {
        var configuration = SimulatorConfiguration()
        configuration.illiquidEvery = 0
        configuration.pushPeriodMs = 200
        adjust(&configuration)
        venue = try VenueSimulator(configuration: configuration)
        try venue.start()
        redis = try RedisServerProcess()
        client = try RedisClient.connect(redis.endpoint)
        place = ["--redis", "unix://\(redis.socketPath)"]
        service = try ProgramRun(
            ["run", "--venue-ws", venue.webSocketBase, "--venue-rest", venue.restBase, "--backfill", "0"] + place + arguments)
        #expect(service.shows("symbols of the exchange", within: 20), "\(service.errorText)")
    }

    func feedd(_ arguments: String...) throws -> (status: Int32, out: String, err: String) {
        let run = try ProgramRun(arguments + place)
        let status = run.end()
        return (status, run.outputText, run.errorText)
    }

    func closedCount(_ symbol: String) throws -> Int64 { try client.command("XLEN", Keys.history(symbol, .s1)).integer ?? 0 }

    /// Everything that was delivered is in Redis to the digit.
    func finish() throws {
        venue.stop()
        var check = TruthCheck { [client] in try client.command($0) }
        try eventually(20, "\(check)") {
            check = TruthCheck { [client] in try client.command($0) }
            try check.checkHistories(venue.closedCandles(), isRequired: TruthCheck.isDelivered)
            return check.isFlawless && check.same > 0
        }
        service.signal(SIGTERM)
        #expect(service.end() == 0, "\(service.errorText)")
    }
}

@Suite("Symbols", .serialized)
struct SymbolTests {
    /// From the exchange's list, stream and REST to key, answer, table and log: by URL and by message.
    @Test func namesBeyondASCII() throws {
        let rig = try SymbolRig(["--flux", "btcusdt,币安人生USDT:1s"]) {
            $0.symbolCount = 3
            $0.extraSymbols = ["币安人生usdt", "龙虾USDT"].map { Symbol($0)! }
        }
        let created = try rig.feedd("create", "龙虾USDT", "1s")
        #expect((created.status, created.out) == (0, "created 1s_龙虾usdt\n"), "\(created.err)")
        try eventually(30, "closed candles: \(rig.service.errorText)") {
            try rig.closedCount("币安人生usdt") > 1 && rig.closedCount("龙虾usdt") > 1
        }
        #expect(try rig.client.command("HKEYS", Keys.fluxes).strings == ["1s_龙虾usdt"])
        let newest = try rig.client.command("HGET", Keys.latest(.s1), "龙虾usdt").text ?? ""
        #expect(newest.hasPrefix("{\"symbol\":\"龙虾usdt\",\"interval\":\"1s\","), "\(newest)")

        let data = try rig.feedd("data", "币安人生USDT", "1s", "2")
        #expect(data.status == 0 && data.out.contains("candles of 币安人生usdt 1s from redis"), "\(data.out)\(data.err)")
        let asked = try rig.feedd("data", "龙虾usdt", "5m", "3")
        #expect(asked.status == 0 && asked.out.contains("3 candles of 龙虾usdt 5m from exchange"), "\(asked.out)\(asked.err)")
        let watch = try rig.feedd("watch", "龙虾usdt", "1s", "--count", "1")
        #expect(watch.status == 0 && watch.out.contains("龙虾usdt 1s"), "\(watch.out)\(watch.err)")
        var list: [String] = []
        try eventually(20, "both live: \(list)") {
            list = try rig.feedd("list").out.split(separator: "\n").map(String.init)
            return list.count == 3 && list.dropFirst().allSatisfy { $0.contains("live") }
        }
        #expect(list[1].contains("btcusdt, 币安人生usdt") && list[2].contains("龙虾usdt"), "\(list)")
        // Each row's state begins in the title's column, a wide character being two of them.
        func column(_ line: String, of mark: String) -> Int? {
            line.firstRange(of: mark).map { line[..<$0.lowerBound].unicodeScalars.reduce(0) { $0 + ($1.isASCII ? 1 : 2) } }
        }
        let place = try #require(column(list[0], of: "STATE"))
        for line in list.dropFirst() { #expect(column(line, of: "live") == place, "\(list)") }
        #expect(try rig.feedd("status", "1s_龙虾usdt").out.contains("龙虾usdt"))
        #expect(try rig.feedd("create", "龙吓usdt", "1s").err.contains("the exchange has no symbol '龙吓usdt'; did you mean 龙虾usdt"))
        #expect(try rig.feedd("stop", "1s_龙虾usdt").out == "stopped 1s_龙虾usdt\n")
        #expect(rig.service.errorText.contains("flux_id=1s_龙虾usdt"), "\(rig.service.errorText)")
        try rig.finish()
    }

    /// A name that was not on the list a moment ago is not refused for long.
    @Test func listedMeanwhile() throws {
        let rig = try SymbolRig([]) {
            $0.symbolCount = 3
            $0.symbolChanges = [SymbolChange("bnbusdt", .unlisted)]
        }
        let early = try rig.feedd("create", "bnbusdt", "1s")
        #expect(early.status == 1 && early.err.contains("the exchange has no symbol 'bnbusdt'"), "\(early)")
        try rig.venue.plan(SymbolChange("bnbusdt", .trading))
        let before = rig.venue.statistics().rest.exchangeInfo.calls
        try eventually(30, "the new symbol: \(rig.service.errorText)") {
            try rig.feedd("create", "bnbusdt", "1s").out == "created 1s_bnbusdt\n"
        }
        #expect(rig.venue.statistics().rest.exchangeInfo.calls - before == 1, "the list was asked for once more")
        try eventually(30, "its candles: \(rig.service.errorText)") { try rig.closedCount("bnbusdt") > 0 }
        try rig.finish()
    }

    @Test func wrongAndHaltedNamesAreNamed() throws {
        let rig = try SymbolRig(["--flux", "btcusdt,btcusd,bnbusdt:1s"]) {
            $0.symbolCount = 3
            $0.symbolChanges = [SymbolChange("bnbusdt", .break)]
        }
        #expect(rig.service.shows("nothing comes of symbols of a flux", within: 20), "\(rig.service.errorText)")
        let line = rig.service.errorText.split(separator: "\n").first { $0.contains("nothing comes of symbols") } ?? ""
        #expect(line.contains("bnbusdt BREAK, btcusd unknown (did you mean btcusdt") && line.contains("count=2"), "\(line)")
        let id = "1s_bnbusdt-btcusd-btcusdt"
        try eventually(20, "the others: \(rig.service.errorText)") { try rig.feedd("list").out.contains("1 of 3") }
        let status = try rig.feedd("status", id, "--json").out
        #expect(
            status.contains("\"refused_symbols\":\"bnbusdt:BREAK,btcusd:unknown\"") && status.contains("\"series_live\":1"), "\(status)")
        #expect(try rig.feedd("status", "--json").out.contains("\"refused_symbols\":2"))

        let halted = try rig.feedd("create", "bnbusdt", "1s")
        #expect(halted.status == 0 && halted.out.hasPrefix("created 1s_bnbusdt\nbnbusdt: not trading now (BREAK)"), "\(halted)")
        try eventually(10, "its state") { try rig.feedd("list").out.contains("halted") }
        // It trades again: its candles come on the stream that it has.
        try rig.venue.plan(SymbolChange("bnbusdt", .trading))
        try eventually(30, "its candles: \(rig.service.errorText)") { try rig.closedCount("bnbusdt") > 0 }
        try eventually(10, "its state") { try rig.client.command("HGET", Keys.flux("1s_bnbusdt"), "state").text == "live" }
        try rig.finish()
    }
}
