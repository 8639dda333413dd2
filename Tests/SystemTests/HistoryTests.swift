// The history in Redis whatever the order: the script behind the plain append, against a real server.

import FastFeed
import Foundation
import Testing

@Suite(.serialized)
struct HistoryTests {
    private let server: RedisServerProcess
    private let client: RedisClient

    init() throws {
        server = try RedisServerProcess()
        client = try RedisClient.connect(server.endpoint)
    }

    private func candle(_ minute: Int64, close: String = "1.00000000") throws -> Candle {
        var candle = Candle()
        candle.openTimeMs = minute * 60_000
        candle.closeTimeMs = candle.openTimeMs + 59_999
        candle.isClosed = true
        candle.tradeCount = 3
        (candle.firstTradeID, candle.lastTradeID) = (minute * 10, minute * 10 + 2)
        let one = try #require(DecimalText("1.00000000"))
        (candle.open, candle.high, candle.low, candle.close) = (one, one, one, try #require(DecimalText(close)))
        (candle.volume, candle.quoteVolume, candle.takerBuyVolume, candle.takerBuyQuoteVolume) = (one, one, one, one)
        return candle
    }

    private func run(_ candle: Candle, keep: Int = 1_000) throws -> Int64? {
        try client.command(HistoryScript.command(key: "candles:{x}:1m", history: keep, candle)).integer
    }

    private func openMinutes() throws -> [Int64] {
        try client.command("XRANGE", "candles:{x}:1m", "-", "+").elements.compactMap { entry in
            entry.elements.first?.text.flatMap { Int64($0.dropLast(2)) }.map { $0 / 60_000 }
        }
    }

    private func field(_ minute: Int64, _ name: String) throws -> String? {
        let id = "\(minute * 60_000)-0"
        let entry = try client.command("XRANGE", "candles:{x}:1m", id, id).elements.first?.elements[1].strings ?? []
        return entry.firstIndex(of: name).map { entry[$0 + 1] }
    }

    @Test func newIsAppendedSameIsNothingOtherIsCorrected() throws {
        #expect(try run(candle(5)) == 1)
        #expect(try run(candle(6)) == 1)
        #expect(try run(candle(5)) == 0)
        #expect(try field(5, "revision") == "0")
        #expect(try run(candle(5, close: "2.50000000")) == 2)
        #expect(try field(5, "close") == "2.50000000")
        #expect(try field(5, "revision") == "1")
        #expect(try run(candle(5, close: "2.70000000")) == 2)
        #expect(try field(5, "revision") == "2")
        #expect(try openMinutes() == [5, 6])
    }

    @Test func theSourceAloneIsNoCorrection() throws {
        #expect(try run(candle(5)) == 1)
        var again = try candle(5)
        again.source = .backfill
        #expect(try run(again) == 0)
        #expect(try field(5, "source") == "live")
    }

    @Test func olderIsPutInItsPlaceAndAppendGoesOn() throws {
        for minute: Int64 in [10, 11, 15, 12, 3, 14, 13] { #expect(try run(candle(minute)) == 1) }
        #expect(try openMinutes() == [3, 10, 11, 12, 13, 14, 15])
        // The stream's last id is right: a plain append of a newer one works, of an older one does not.
        #expect(try client.command("XADD", "candles:{x}:1m", "960000-0", "open", "1") == .string("960000-0"))
        guard case .error = try client.command("XADD", "candles:{x}:1m", "900000-0", "open", "1") else {
            Issue.record("an id at or below the newest was taken")
            return
        }
        #expect(try field(12, "close") == "1.00000000")
    }

    @Test func consumerGroupsSurvive() throws {
        for minute: Int64 in [1, 2, 4] { #expect(try run(candle(minute)) == 1) }
        _ = try client.command("XGROUP", "CREATE", "candles:{x}:1m", "workers", "0")
        let read = try client.command("XREADGROUP", "GROUP", "workers", "a", "COUNT", "10", "STREAMS", "candles:{x}:1m", ">")
        #expect(read.elements.first?.elements[1].elements.count == 3)
        #expect(try run(candle(3)) == 1)
        #expect(try client.command("XINFO", "GROUPS", "candles:{x}:1m").elements.count == 1)
        #expect(try run(candle(5)) == 1)
        let next = try client.command("XREADGROUP", "GROUP", "workers", "a", "COUNT", "10", "STREAMS", "candles:{x}:1m", ">")
        #expect(next.elements.first?.elements[1].elements.first?.elements.first == .string("300000-0"))
    }

    @Test func olderThanAFullHistoryIsLeftOut() throws {
        for minute: Int64 in 100..<110 { #expect(try run(candle(minute), keep: 10) == 1) }
        #expect(try run(candle(50), keep: 10) == 3)
        #expect(try openMinutes().first == 100)
        // Inside the range it still finds its place.
        _ = try client.command("XDEL", "candles:{x}:1m", "\(105 * 60_000)-0")
        #expect(try run(candle(105), keep: 10) == 1)
        #expect(try openMinutes() == Array(100..<110))
    }

    @Test func anyOrderOfTheSameCandlesGivesTheSameHistory() throws {
        for seed in [UInt64(1), 2, 3] {
            _ = try client.command("DEL", "candles:{x}:1m")
            var random = SplitMix64(seed: seed)
            var minutes = (1...60).flatMap { [Int64($0), Int64($0)] }
            minutes.shuffle(using: &random)
            for minute in minutes { _ = try run(candle(minute)) }
            #expect(try openMinutes() == Array(1...60), "seed \(seed)")
            for minute in Int64(1)...60 { #expect(try field(minute, "revision") == "0", "seed \(seed)") }
        }
    }
}
