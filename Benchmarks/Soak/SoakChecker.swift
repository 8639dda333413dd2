// What Redis holds against what the exchange said: every delivered closed candle once and exactly, nothing else,
// and the newest state of every stream.

import FastFeed
import Foundation

struct SoakChecker {
    private(set) var announced = 0
    private(set) var delivered = 0
    private(set) var stored = 0
    /// Delivered and not in Redis.
    private(set) var lost = 0
    /// Neither delivered nor in Redis: what died with a connection or was damaged on purpose.
    private(set) var absent = 0
    /// Of these, named in the log as missing.
    private(set) var absentNamed = 0
    private(set) var wrong = 0
    /// Entries that the exchange never announced, and keys that are none of ours.
    private(set) var foreign = 0
    private(set) var latestCompared = 0
    private(set) var latestWrong = 0
    /// The first of each kind, for people.
    private(set) var examples: [String] = []

    private let client: RedisClient
    private let gaps: [String: [NamedGap]]
    private static let examplesMax = 20

    init(_ redis: RedisServerProcess, gaps: [NamedGap]) throws {
        client = try RedisClient.connect(redis.endpoint, timeoutMs: 60_000)
        self.gaps = Dictionary(grouping: gaps, by: \.series)
    }

    mutating func check(_ truth: TruthFile) throws {
        var keys: Set<String> = []
        try truth.forEachSeries { candles in
            let key = "candles:{\(candles[0].symbol)}:\(candles[0].interval)"
            let entries = try history(key)
            if !entries.isEmpty { keys.insert(key) }
            compare(candles, entries, key)
        }
        try compareLatest(truth.latest, &keys)
        for key in try client.command("KEYS", "*").strings where !keys.contains(key) {
            foreign += 1
            note("a key that should not be there: \(key)")
        }
    }

    private mutating func compare(_ candles: [TruthCandle], _ entries: [String: [String: String]], _ key: String) {
        let known = gaps["\(candles[0].symbol):\(candles[0].interval)"] ?? []
        var left = Set(entries.keys)
        for candle in candles {
            announced += 1
            let isDelivered = candle.delivered ?? false
            if isDelivered { delivered += 1 }
            guard let entry = entries["\(candle.openTime)-0"] else {
                if isDelivered {
                    lost += 1
                    note("lost: \(key) \(candle.openTime), announced at \(candle.eventTime)")
                } else {
                    absent += 1
                    if known.contains(where: { $0.times.contains(candle.openTime) }) { absentNamed += 1 }
                }
                continue
            }
            left.remove("\(candle.openTime)-0")
            stored += 1
            if entry != candle.fields {
                wrong += 1
                note("wrong: \(key) \(candle.openTime): stored \(entry), announced \(candle.fields)")
            }
        }
        foreign += left.count
        if let id = left.first { note("never announced: \(key) \(id), and \(left.count - 1) more") }
    }

    /// Entry id → fields. Ids are unique in a Redis stream: one that is not `<open time>-0` is a second entry for a
    /// candle and shows up as foreign.
    private func history(_ key: String) throws -> [String: [String: String]] {
        let reply = try client.command("XRANGE", key, "-", "+")
        if case .error(let text) = reply { throw FeedError(.redis, "\(key): \(text)") }
        var entries: [String: [String: String]] = [:]
        for entry in reply.elements {
            guard entry.elements.count == 2, let id = entry.elements[0].text else { throw FeedError(.redis, "\(key): no stream entry") }
            entries[id] = SoakChecker.pairs(entry.elements[1].strings)
        }
        return entries
    }

    private mutating func compareLatest(_ states: [TruthCandle], _ keys: inout Set<String>) throws {
        for (interval, states) in Dictionary(grouping: states, by: \.interval) {
            keys.insert("latest:\(interval)")
            var held = SoakChecker.pairs(try client.command("HGETALL", "latest:\(interval)").strings)
            for state in states {
                latestCompared += 1
                let text = held.removeValue(forKey: state.symbol) ?? "{}"
                var object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] ?? [:]
                let isClosed = object.removeValue(forKey: "closed") as? Bool
                guard object.mapValues({ "\($0)" }) != state.latestFields || isClosed != state.closed else { continue }
                latestWrong += 1
                note("latest:\(interval) \(state.symbol): stored \(text), announced \(state.latestFields) closed \(state.closed ?? false)")
            }
            foreign += held.count
        }
    }

    private static func pairs(_ list: [String]) -> [String: String] {
        var pairs: [String: String] = [:]
        for index in stride(from: 0, to: list.count - 1, by: 2) { pairs[list[index]] = list[index + 1] }
        return pairs
    }

    private mutating func note(_ text: String) {
        if examples.count < SoakChecker.examplesMax { examples.append(text) }
    }
}
