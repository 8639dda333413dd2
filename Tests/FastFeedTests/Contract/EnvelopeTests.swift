// The envelope of answers and the names of keys and channels, written out once by hand.

import FastFeed
import Testing

struct EnvelopeTests {
    private func read(_ result: CommandResult, as id: String = "7") throws -> CommandAnswer {
        try CommandAnswer(Array(result.text(requestID: "7").utf8), requestID: id)
    }

    @Test("What is answered is read, by whoever asked")
    func bothWays() throws {
        let created = try CreatedFlux(JSONValue(parsing: Array(#"{"flux_id":"42","created":false,"refused_symbols":["a:BREAK"]}"#.utf8)))
        #expect(
            CommandResult.success(created.members).text(requestID: "7")
                == #"{"request_id":"7","status":"ok","flux_id":"42","created":false,"refused_symbols":["a:BREAK"]}"#)
        guard case .ok(let content) = try read(.success(created.members)) else {
            Issue.record("refused")
            return
        }
        #expect(
            try CreatedFlux(content) == created && content.members?.count == 3
                && created.refused == [RefusedSymbol(Symbol("a")!, .halted("BREAK"))])
        for code in CommandCode.allCases {
            let refusal = CommandResult.failure(CommandError(code, "\"no\""))
            #expect(
                refusal.text(requestID: "7")
                    == #"{"request_id":"7","status":"error","error":{"code":"\#(code.rawValue)","message":"\"no\""}}"#)
            #expect(try read(refusal) == .refused(code, message: "\"no\""))
        }
        #expect(throws: Malformed("it carries another request_id")) { try read(.success([]), as: "8") }
    }

    @Test("A code of a newer service costs its name, not the refusal")
    func newerCode() throws {
        let text = #"{"request_id":"7","status":"error","error":{"code":"paused","message":"later"}}"#
        #expect(try CommandAnswer(Array(text.utf8), requestID: "7") == .refused(nil, message: "later"))
    }

    @Test("The answer with candles")
    func data() throws {
        let series = Series(symbol: Symbol("btcusdt")!, interval: .m1)
        let candle = CandleRow.json(.sample(2, closed: true), series)
        let members = CandleData.members(series, .cache, tookMicroseconds: 12, rows: [candle])
        #expect(
            JSONValue.members(members).text
                == #"{"symbol":"btcusdt","interval":"1m","source":"cache","took_us":12,"rows":[\#(candle.text)]}"#)
        let data = try CandleData(JSONValue.members(members))
        #expect(data.symbol == series.symbol && data.interval == .m1 && data.source == .cache && data.tookMicroseconds == 12)
        #expect(data.rows == [try Candle(candle)])
    }

    @Test("Names of keys and channels")
    func names() {
        let series = Series(market: .um, symbol: Symbol("btcusdt")!, interval: .month1)
        let keys = KeySchema(prefix: "p:")
        #expect(keys.historyKey(series) == "p:candles:{um:btcusdt}:1M")
        #expect(keys.latestKey(.um, .month1) == "p:latest:um:1M" && KeySchema(prefix: "").latestKey(.spot, .m1) == "latest:1m")
        #expect(keys.updatesChannel(series) == "p:updates:{um:btcusdt}:1M" && keys.updatesPattern == "p:updates:*")
        #expect(keys.cacheKey(series, limit: 5, startMs: nil, endMs: 7) == "p:cache:{um:btcusdt}:1M:5::7")
        #expect(keys.fluxesKey == "p:fluxes" && keys.serviceStatusKey == "p:status:service" && keys.leaseKey == "p:lease:service")
        #expect(keys.fluxStatusKey("a") == "p:status:flux:a")
        #expect(
            CommandKind.allCases.map { keys.commandChannel($0) } == [
                "p:commands:flux:create", "p:commands:flux:stop", "p:commands:flux:list", "p:commands:data:get", "p:commands:status:get",
                "p:commands:gaps:list", "p:commands:data:backfill", "p:commands:data:audit", "p:commands:symbols:list",
            ])
        #expect(keys.responseChannel(.getData, requestID: "7") == "p:responses:data:get:7" && keys.responsesPattern == "p:responses:*")
        // A market's service has its own.
        let um = KeySchema(prefix: "p:", market: .um)
        #expect(um.fluxesKey == "p:fluxes:um" && um.serviceStatusKey == "p:status:um:service" && um.leaseKey == "p:lease:um:service")
        #expect(
            keys.listedKey(series.symbol) == "p:symbol:{symbols}:btcusdt" && um.listedKey(series.symbol) == "p:symbol:{um:symbols}:btcusdt")
        let indexes: [ListIndex] = [.all, .quotes, .statuses, .quote("usdt"), .status("trading"), .byVolume]
        #expect(
            indexes.map { um.listIndexKey($0).replacing("p:symbols:{um:symbols}:", with: "") } == [
                "all", "quotes", "statuses", "quote:usdt", "status:trading", "by_volume",
            ])
        #expect(keys.listIndexKey(.all) == "p:symbols:{symbols}:all")
        #expect(um.keeperKey == "p:fluxes:um:keeper:{p:fluxes:um}")
        #expect(um.fluxStatusKey("a") == "p:status:um:flux:a")
        #expect(um.commandChannel(.createFlux) == "p:commands:um:flux:create")
        #expect(um.responseChannel(.getData, requestID: "7") == "p:responses:um:data:get:7" && um.responsesPattern == "p:responses:um:*")
    }
}
