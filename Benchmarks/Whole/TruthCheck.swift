// What Redis holds against what the exchange said: every closed candle whose frame went out must be there, once,
// with the same text in every field, and nothing else may be.

import FastFeed
import Foundation
import VenueSimulator

enum TruthCheck {
    private struct Expected {
        let delivered: Bool
        /// Names and values, in the order in which Redis gives them back.
        let fields: [String]
    }

    /// A field's name in Redis and in the exchange's truth.
    private static let names: [(stored: String, told: String)] = [
        ("open", "open"), ("high", "high"), ("low", "low"), ("close", "close"), ("volume", "volume"), ("close_time", "closeTime"),
        ("quote_volume", "quoteVolume"), ("count", "trades"), ("taker_buy_volume", "takerBuyVolume"),
        ("taker_buy_quote_volume", "takerBuyQuoteVolume"), ("first_trade_id", "firstTradeId"), ("last_trade_id", "lastTradeId"),
    ]

    /// - Throws: one sentence naming the first candle that is wrong.
    static func run(truthFile: String, redis: RedisEndpoint, closedWritten: UInt64) throws {
        let truth = try read(truthFile)
        let client = try RedisClient.connect(redis)
        var compared: UInt64 = 0
        for (key, candles) in truth {
            var seen: UInt64 = 0
            for entry in try client.command("XRANGE", key, "-", "+").elements {
                guard entry.elements.count == 2, let id = entry.elements[0].text, id.hasSuffix("-0"), let open = Int64(id.dropLast(2))
                else {
                    throw FeedError(.redis, "\(key): an entry that is none of ours: \(entry)")
                }
                guard let expected = candles[open] else {
                    throw FeedError(.redis, "\(key): a candle of \(open) that the exchange never closed")
                }
                guard entry.elements[1].strings == expected.fields else {
                    throw FeedError(.redis, "\(key) \(open) was changed: \(entry.elements[1].strings), not \(expected.fields)")
                }
                seen += 1
            }
            let delivered = candles.values.count { $0.delivered }
            guard seen >= UInt64(delivered) else {
                throw FeedError(.redis, "\(key): \(delivered) closed candles were delivered, \(seen) are stored")
            }
            compared += seen
        }
        guard compared == closedWritten else {
            throw FeedError(.redis, "\(closedWritten) closed candles were acknowledged, \(compared) are stored")
        }
    }

    /// By key of the history, and by open time.
    private static func read(_ path: String) throws -> [String: [Int64: Expected]] {
        var truth: [String: [Int64: Expected]] = [:]
        for line in Surroundings.text(path).utf8.split(separator: UInt8(ascii: "\n")) {
            let value = try JSONValue(parsing: Array(line))
            func text(_ name: String) throws -> String {
                switch value[name] {
                case .string(let text): return text
                case .integer(let number): return String(number)
                default: throw FeedError(.system, "the exchange's truth has no '\(name)': \(String(decoding: line, as: UTF8.self))")
                }
            }
            let fields = try names.flatMap { try [$0.stored, text($0.told)] }
            let key = "candles:{\(try text("symbol"))}:\(try text("interval"))"
            guard let open = Int64(try text("openTime")) else { throw FeedError(.system, "the exchange's truth has no open time") }
            truth[key, default: [:]][open] = Expected(
                delivered: value["delivered"] == .bool(true), fields: fields + ["source", "live", "revision", "0"])
        }
        return truth
    }
}
