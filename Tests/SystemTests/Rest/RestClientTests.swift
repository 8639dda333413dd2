// The REST client against the local exchange: its klines are the exchange's own, whatever goes wrong on the way.

import FastFeed
import Foundation
import Glibc
import Testing
import VenueSimulator

@Suite(.serialized) struct RestClientTests {
    /// What the exchange itself says, read another way.
    private func rows(_ rig: borrowing RestRig, _ query: String) throws -> [[String]] {
        let prefix = rig.series.market == .um ? "/fapi/v1" : "/api/v3"
        let body = try plainGet(port: rig.venue.port, prefix + "/klines?" + query)
        let rows = try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [[Any]])
        return rows.map { $0.map { "\($0)" } }
    }

    private func texts(_ candles: [CandleRecord]) -> [[String]] {
        candles.map { candle in
            [
                "\(candle.openTimeMs)", "\(candle.open)", "\(candle.high)", "\(candle.low)", "\(candle.close)", "\(candle.volume)",
                "\(candle.closeTimeMs)", "\(candle.quoteVolume)", "\(candle.tradeCount)", "\(candle.takerBuyVolume)",
                "\(candle.takerBuyQuoteVolume)", "0",
            ]
        }
    }

    @Test(arguments: [Market.spot, .um]) func klinesAreTheExchanges(market: Market) throws {
        let rig = try RestRig { $0.market = market }
        let name = rig.series.symbol.upperCased
        let candles = try rig.client.get(rig.series, limit: 180).get()
        // The newest bar is still moving.
        let last = try #require(candles.dropLast().last).openTimeMs
        #expect(texts(candles.dropLast()) == (try rows(rig, "symbol=\(name)&interval=1m&limit=179&endTime=\(last)")))
        #expect(candles.count == 180 && candles.last?.isClosed == false && candles.dropLast().allSatisfy(\.isClosed))
        let from = candles[20].openTimeMs, until = candles[39].openTimeMs
        let range = try rig.client.get(rig.series, startMs: from, endMs: until).get()
        #expect(texts(range) == texts(Array(candles[20...39])))
        #expect(rig.client.statistics.weightReported > 0)
        #expect(try rig.client.get(rig.series, startMs: from, endMs: from - 1).get().isEmpty)
        #expect(try rig.client.get(rig.series, startMs: from + 1, endMs: from + 2).get().isEmpty)
        #expect(try rig.client.get(rig.series, endMs: 1_000_000_000_000).get().isEmpty)
    }

    /// Ten thousand seconds in pages of a thousand, forward and backward, and what a limit cuts off.
    @Test func pages() throws {
        let rig = try RestRig { $0.historyMinutes = 240 }
        let series = Series(symbol: rig.series.symbol, interval: .s1)
        let now = WallClock.nowMs() / 1_000 * 1_000
        let from = now - 10_500_000
        let forward = try rig.client.get(series, startMs: from, endMs: from + 9_999_000, limit: 50_000).get()
        #expect(forward.map(\.openTimeMs) == (0..<10_000).map { from + $0 * 1_000 })
        #expect(rig.client.statistics.sent == 10, "an end that is reached needs no further page")
        let backward = try rig.client.get(series, endMs: from + 9_999_000, limit: 3_500).get()
        #expect(texts(backward) == texts(Array(forward.suffix(3_500))))
        let cut = try rig.client.get(series, startMs: from, limit: 2_500).get()
        #expect(texts(cut) == texts(Array(forward.prefix(2_500))))
        let open = try rig.client.get(series, startMs: now - 1_500_000, limit: 50_000).get()
        #expect(open.count >= 1_500 && open.count <= 1_530 && open.last?.isClosed == false)
        // The beginning of all history.
        let all = try rig.client.get(Series(symbol: series.symbol, interval: .m1), limit: 5_000).get()
        #expect((240...243).contains(all.count) && all.allSatisfy { $0.source == .backfill })
    }

    @Test func virtualTime() throws {
        let rig = try RestRig { $0.startTimeMs = 1_700_000_000_000 }
        let candles = try rig.client.get(rig.series, limit: 3).get()
        #expect(candles.map(\.isClosed) == [true, true, false], "by the exchange's clock, not ours")
        #expect(candles.last.map { $0.eventTimeMs >= 1_699_999_999_000 && $0.eventTimeMs < 1_700_000_060_000 } == true)
    }

    @Test func overTLS() throws {
        let rig = try RestRig { $0.usesTLS = true }
        #expect(try rig.client.get(rig.series, limit: 5).get().count == 5)
        // Without its authority nobody is believed.
        let stranger = try RestClient(base: RestEndpoint(url: rig.venue.restBase), market: .spot, settings: quickSettings)
        guard case .failure(.unavailable(let reason)) = try stranger.get(rig.series) else {
            Issue.record("a stranger's certificate was taken")
            return
        }
        #expect(reason.contains("certificate"))
        // Nor a certificate for another name: what ends in .localhost is this machine, too.
        let other = RestEndpoint(isSecure: true, host: "other.localhost", port: rig.venue.port)
        let misled = try RestClient(base: other, market: .spot, authorityFile: rig.venue.certificateAuthorityFile, settings: quickSettings)
        guard case .failure(.unavailable(let mismatch)) = try misled.get(rig.series) else {
            Issue.record("a certificate for another name was taken")
            return
        }
        #expect(mismatch.contains("certificate subject name") || mismatch.contains("alternative certificate"), "\(mismatch)")
        #expect(throws: FeedError.self) {
            try RestClient(base: other, market: .spot, authorityFile: "/nonexistent.pem", settings: quickSettings)
        }
    }

    @Test func instruments() throws {
        let rig = try RestRig()
        let promise = Promise<Result<ExchangeInformation, RestFailure>>()
        rig.client.exchangeInfo(completion: promise.completion)
        let information = try promise.wait().get()
        #expect(information.instruments.map(\.symbol) == rig.venue.symbols.map(\.symbol))
        #expect(information.instruments.allSatisfy { $0.status == "TRADING" } && information.weightPerMinute == 6_000)
    }

    @Test(arguments: [Market.spot, .um]) func dayTickersAreTheExchanges(market: Market) throws {
        let rig = try RestRig { $0.market = market }
        let tickers = try rig.client.tickers().get()
        #expect(Set(tickers.figures.keys) == Set(rig.venue.symbols.map(\.symbol)) && tickers.skipped == 0)
        let figures = try #require(tickers.figures[rig.series.symbol])
        #expect(figures.tradeCount > 0 && figures.quoteVolume.description.contains(".") && figures.lastPrice != DecimalText())
        #expect(rig.venue.statistics().rest.dayTickers.weight == (market == .um ? 40 : 80))
    }

    @Test func dayTickersThatMayNotCome() throws {
        var settings = quickSettings
        settings.dayTickersBytesMax = 500
        let short = try RestRig(settings)
        let reason = try short.client.tickers().reason
        guard case .malformed = reason else {
            Issue.record("longer than they may be: \(String(describing: reason))")
            return
        }
        settings.weightPercent = 1
        let poor = try RestRig(settings)
        #expect(try poor.client.tickers().reason == .limited(waitMs: .max), "a share that never suffices")
        #expect(poor.client.statistics.sent == 0)
    }

    /// They take the first half of the share, and leave the rest of the minute to what somebody waits for.
    @Test func dayTickersGiveWay() throws {
        var settings = quickSettings
        settings.weightPercent = 3
        let rig = try RestRig(settings)
        // One of these at the latest is not the first of its minute.
        let results = try (0..<3).map { _ in try rig.client.tickers(patienceMs: 200) }
        #expect(results.contains { if case .failure(.limited) = $0 { true } else { false } }, "\(results.map(\.isFailure))")
        #expect(try rig.client.get(rig.series, limit: 5, patienceMs: 10_000).get().count == 5)
    }

    @Test func refusals() throws {
        let rig = try RestRig()
        #expect(try rig.client.get(Series(symbol: Symbol("nosuchusdt")!, interval: .m1)).reason == .unknownSymbol)
        let long = try rig.client.get(Series(symbol: Symbol("abcdefghijklmnopqrstuvw")!, interval: .m1))
        guard case .failure(.refused(400, -1100, let message)) = long else {
            Issue.record("\(long)")
            return
        }
        #expect(message.hasPrefix("Illegal characters"))
        let sent = rig.client.statistics.sent
        let bad = [
            try rig.client.get(rig.series, limit: 0), try rig.client.get(rig.series, limit: 50_001),
            try rig.client.get(rig.series, startMs: -1),
            try rig.client.get(rig.series, endMs: 1_790_001_240_000_000),
            try rig.client.get(Series(market: .um, symbol: rig.series.symbol, interval: .m1)),
        ]
        for result in bad { if case .failure(.badRequest) = result {} else { Issue.record("\(result)") } }
        #expect(rig.client.statistics.sent == sent)
    }

    /// Its time is over before it was its turn, and the exchange has never limited anything.
    @Test func noTimeLeft() throws {
        let rig = try RestRig()
        let result = try rig.client.get(rig.series, patienceMs: 0)
        #expect(result.reason == .limited(waitMs: 0), "\(result)")
        #expect(rig.client.statistics.sent == 0)
    }

    // MARK: Faults

    @Test(arguments: [
        Fault(.restStatus, count: 2, value: 500), Fault(.restStatus, value: 502), Fault(.restStatus, value: 503),
        Fault(.restTruncate, count: 2),
        Fault(.restWrongLength, count: 2), Fault(.restReset, count: 2), Fault(.restSlow, value: 2_000),
    ])
    func passingFaults(fault: Fault) throws {
        let rig = try RestRig()
        rig.venue.inject(fault)
        #expect(try rig.client.get(rig.series, limit: 10).get().count == 10, "\(fault)")
        #expect(rig.client.statistics.repeated == fault.count)
    }

    @Test(arguments: [
        Fault(.restStatus, count: 0, value: 500), Fault(.restTruncate, count: 0), Fault(.restWrongLength, count: 0),
        Fault(.restReset, count: 0),
    ])
    func lastingFaults(fault: Fault) throws {
        let rig = try RestRig()
        rig.venue.inject(fault)
        let result = try rig.client.get(rig.series)
        guard case .failure(.unavailable) = result else {
            Issue.record("\(fault): \(result)")
            return
        }
        #expect(rig.client.statistics.sent == 4, "a few tries, then no more")
        rig.venue.clearFaults()
        #expect(try rig.client.get(rig.series).get().count > 100)
    }

    @Test(arguments: [403, 404, 451]) func finalStatuses(status: Int) throws {
        let rig = try RestRig()
        rig.venue.inject(Fault(.restStatus, value: status))
        let result = try rig.client.get(rig.series)
        guard case .failure(.refused(status, _, _)) = result else {
            Issue.record("\(status): \(result)")
            return
        }
        #expect(rig.client.statistics.sent == 1)
    }

    /// Told to wait 35 seconds: nobody is asked meanwhile, and who cannot wait is told at once.
    @Test(arguments: [418, 429]) func toldToWait(status: Int) throws {
        let rig = try RestRig()
        rig.venue.inject(Fault(.restStatus, value: status))
        for _ in 0..<3 {
            let result = try rig.client.get(rig.series)
            guard case .failure(.limited(let waitMs)) = result else {
                Issue.record("\(status): \(result)")
                return
            }
            #expect(waitMs > 30_000 && waitMs <= 35_000)
        }
        #expect(rig.client.statistics.sent == 1)
        let patient = Promise<Klines>()
        rig.client.klines(rig.series, startMs: nil, endMs: nil, limit: 1, patienceMs: 60_000, completion: patient.completion)
        usleep(100_000)
        #expect(patient.count == 0 && rig.client.statistics.sent == 1)
    }

    /// A short pause is sat out, and does not count as a failure.
    @Test func pauseThatPasses() throws {
        let no = "HTTP/1.1 429 No\r\nRetry-After: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        let yes = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]"
        let server = try ScriptedServer([Array(yes.utf8)], first: Array(no.utf8))
        let client = try RestClient(base: server.base, market: .spot, settings: quickSettings)
        let startNs = MonotonicClock.nowNs()
        #expect(try client.get(Series(symbol: Symbol("btcusdt")!, interval: .m1), limit: 1).get().isEmpty)
        #expect(MonotonicClock.nowNs() - startNs >= 1_000_000_000)
        let statistics = client.statistics
        #expect(statistics.sent == 2 && statistics.limited == 1 && statistics.repeated == 0)
    }

    /// Our own share: the exchange never has to say no.
    @Test func withinTheShare() throws {
        var settings = quickSettings
        settings.weightPercent = 1
        settings.patienceMs = 2_000
        let rig = try RestRig(settings)
        var served = 0
        for _ in 0..<75 { if case .success = try rig.client.get(rig.series, limit: 1) { served += 1 } }
        #expect((30...60).contains(served), "a weight of 60 of 6000, or twice that when a minute ends meanwhile; served \(served)")
        #expect(rig.client.statistics.limited == 0)
    }
}

extension Result {
    var reason: Failure? { if case .failure(let reason) = self { reason } else { nil } }
    var isFailure: Bool { reason != nil }
}
