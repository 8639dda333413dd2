// From the exchange's sockets to a real Redis, compared with the exchange's truth.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite(.serialized)
struct WholePathTests {
    private func options(symbols: Int, speed: Double, pushMs: Int64? = nil) -> Rig.Options {
        var options = Rig.Options()
        options.simulator.symbolCount = symbols
        options.simulator.pace = .realTime(speed: speed)
        options.simulator.pushPeriodMs = pushMs
        return options
    }

    private func expectWhole(_ rig: Rig, gaps: UInt64? = 0) throws {
        let report = rig.finish()
        #expect(report.isClean, "left: \(report)")
        try rig.expectTruth()
        try rig.expectLatest()
        if let gaps { #expect(rig.counters[.gapsSeen] == gaps) }
    }

    @Test func everyClosedCandleOf500SymbolsAt2Intervals() throws {
        // 1s candles close 5,000 times a second, 1m candles every six seconds.
        let rig = try Rig(options(symbols: 500, speed: 10, pushMs: 2_000))
        rig.wait(seconds: 60, "several thousand closes") { rig.counters[.closedWritten] > 40_000 }
        try expectWhole(rig)
    }

    @Test func overTLSOnBothSides() throws {
        var options = options(symbols: 500, speed: 10, pushMs: 2_000)
        options.simulator.usesTLS = true
        let certificates = try TemporaryDirectory()
        try LocalAuthority.make(directory: certificates.path)
        options.redisTLS = try RedisTLS(
            certificateFile: certificates.path + "/cert.pem", keyFile: certificates.path + "/key.pem",
            authorityFile: certificates.path + "/ca.pem")
        options.redis.password = "correct horse"
        let rig = try Rig(options)
        rig.wait(seconds: 60, "several thousand closes") { rig.counters[.closedWritten] > 20_000 }
        try expectWhole(rig)
    }

    @Test func twoPinnedReadersSubscribingByMessages() throws {
        var options = options(symbols: 300, speed: 5, pushMs: 1_000)
        options.readerCount = 2
        options.threading = .dedicated
        options.intervals = [.s1, .m1, .m5]
        options.adjust = {
            $0.subscribeForm = .message
            $0.streamsPerConnectionMax = 200
        }
        let rig = try Rig(options)
        rig.wait(seconds: 60, "all connections live") { rig.counters[.connectionsLive] == 5 }
        rig.wait(seconds: 60, "some thousand closes") { rig.counters[.closedWritten] > 5_000 }
        #expect(rig.counters[.subscribeRequests] >= 5)
        try expectWhole(rig)
    }

    @Test func rawStreamsInTheURL() throws {
        var options = options(symbols: 40, speed: 20)
        options.adjust = {
            $0.usesCombinedStreams = false
            $0.subscribeForm = .url
            $0.streamsPerConnectionMax = 20
        }
        let rig = try Rig(options)
        rig.wait(seconds: 60, "a thousand closes") { rig.counters[.closedWritten] > 1_500 }
        #expect(rig.counters[.subscribeRequests] == 0)
        try expectWhole(rig)
    }

    @Test func futuresOverTheMarketRoute() throws {
        var options = options(symbols: 50, speed: 60)
        options.simulator.market = .um
        options.intervals = [.m1, .m15]
        let rig = try Rig(options)
        rig.wait(seconds: 60, "closes") { rig.counters[.closedWritten] > 300 }
        _ = rig.finish()
        // Futures push on change only: an idle symbol's close may come late, after the next bar's first event.
        try rig.expectTruth()
        #expect(try rig.client.command("EXISTS", Keys.latest(.m1, .um)) == .integer(1))
    }

    @Test func everyUpdateWrittenWithoutCoalescing() throws {
        var options = options(symbols: 50, speed: 5, pushMs: 200)
        options.adjust = { $0.coalesces = false }
        let rig = try Rig(options)
        rig.wait(seconds: 60, "closes") { rig.counters[.closedWritten] > 1_000 }
        let report = rig.finish()
        #expect(report.isClean)
        try rig.expectTruth()
        // A closed candle still takes the place of the forming state before it.
        #expect(rig.counters[.coalesced] <= rig.counters[.closedReceived])
    }

    @Test func historyIsCapped() throws {
        var options = options(symbols: 5, speed: 250)
        options.intervals = [.s1]
        options.adjust = { $0.history = 150 }
        let rig = try Rig(options)
        rig.wait(seconds: 60, "more closes than the history keeps") { rig.counters[.closedWritten] > 2_500 }
        _ = rig.finish()
        guard let count = try rig.client.command("XLEN", Keys.history("btcusdt", .s1)).integer else { throw FeedError(.redis, "no XLEN") }
        // `MAXLEN ~` trims whole nodes of up to 100 entries.
        #expect(count >= 150 && count < 300)
        rig.expectBalance()
    }

    @Test func updatesChannelCarriesClosedCandlesFirst() throws {
        var options = options(symbols: 3, speed: 10)
        options.intervals = [.s1]
        let rig = try Rig(options)
        let subscriber = try RedisClient.connect(rig.redis.endpoint)
        _ = try subscriber.command("SUBSCRIBE", Keys.updates("btcusdt", .s1))
        var closedOpenTimes: [Int64] = []
        var updates = 0
        while closedOpenTimes.count < 20 {
            guard let message = try subscriber.receive(timeout: .seconds(5)) else { throw FeedError(.redis, "no update") }
            let object = try #require(try JSONSerialization.jsonObject(with: Data(message.strings[2].utf8)) as? [String: Any])
            let candles = try #require(object["candles"] as? [[String: Any]])
            #expect(object["symbol"] as? String == "btcusdt" && object["interval"] as? String == "1s")
            #expect(object["rows"] as? Int == candles.count)
            updates += try #require(object["updates"] as? Int)
            let closedFlags = candles.compactMap { $0["closed"] as? Bool }
            #expect(closedFlags == closedFlags.filter { $0 } + closedFlags.filter { !$0 })
            closedOpenTimes += candles.filter { $0["closed"] as? Bool == true }.compactMap { $0["open_time"] as? Int64 }
        }
        #expect(zip(closedOpenTimes, closedOpenTimes.dropFirst()).allSatisfy { $0 + 1_000 == $1 })
        #expect(updates >= closedOpenTimes.count)
        _ = rig.finish()
    }
}
