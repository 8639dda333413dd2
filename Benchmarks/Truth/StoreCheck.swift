// What Redis holds against what the exchange said: every delivered closed candle once and exactly, nothing else,
// and the newest state of every stream.

import FastFeed
import Foundation

struct StoreCheck {
    /// What is asked of `latest:*`.
    enum Latest {
        /// The last state of each stream, in every field.
        case last
        /// The exchange was stopped with frames still in its own buffers, so that its last states never left it: a state
        /// that is not behind the newest stored candle and not beyond the exchange's last.
        case reachable
    }

    private(set) var announced = 0
    private(set) var delivered = 0
    private(set) var stored = 0
    /// Delivered and not in Redis.
    private(set) var lost = 0
    /// Neither delivered nor in Redis: what died with a connection or was damaged on purpose.
    private(set) var absent = 0
    /// Of these, behind all that is stored of their series: when the exchange was stopped they had not left it.
    private(set) var unsent = 0
    /// Of these, before all that is stored of their series: sent on a connection that ended before anything of it was read.
    private(set) var early = 0
    /// Of the absent and the lost ones, named in the log as missing.
    private(set) var missingNamed = 0
    private(set) var wrong = 0
    /// Entries that the exchange never announced, and keys that are none of ours.
    private(set) var foreign = 0
    private(set) var latestCompared = 0
    private(set) var latestWrong = 0
    /// The first of each kind, for people.
    private(set) var examples: [String] = []

    private let client: RedisClient
    private let gaps: [String: [NamedGap]]
    private let latest: Latest
    /// Open time of the newest stored candle, by `symbol:interval`.
    private var newestStored: [String: Int64] = [:]
    private static let examplesMax = 20

    init(_ redis: RedisEndpoint, gaps: [NamedGap] = [], latest: Latest = .last) throws {
        client = try RedisClient.connect(redis, timeout: .seconds(60))
        self.gaps = Dictionary(grouping: gaps, by: \.series)
        self.latest = latest
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
            if try isStatus(key) { continue }
            foreign += 1
            note("a key that should not be there: \(key)")
        }
    }

    /// The service's word on how it is, which must pass away with it.
    private func isStatus(_ key: String) throws -> Bool {
        guard key == "status:service" || key.hasPrefix("status:flux:") else { return false }
        // -2: it has just expired; -1: it never will.
        return try client.command("TTL", key).integer != -1
    }

    private mutating func compare(_ candles: [TruthCandle], _ entries: [String: [String: String]], _ key: String) {
        let series = "\(candles[0].symbol):\(candles[0].interval)"
        let known = gaps[series] ?? []
        var left = Set(entries.keys)
        var absentTimes: [Int64] = []
        // Without any stored, all are behind it.
        var oldest = Int64.min
        for candle in candles {
            announced += 1
            let isDelivered = candle.delivered ?? false
            if isDelivered { delivered += 1 }
            guard let entry = entries["\(candle.openTime)-0"] else {
                if known.contains(where: { $0.times.contains(candle.openTime) }) { missingNamed += 1 }
                if isDelivered {
                    lost += 1
                    note("lost: \(key) \(candle.openTime), announced at \(candle.eventTime)")
                } else {
                    absent += 1
                    absentTimes.append(candle.openTime)
                }
                continue
            }
            guard left.remove("\(candle.openTime)-0") != nil else {
                wrong += 1
                note("announced twice: \(key) \(candle.openTime)")
                continue
            }
            stored += 1
            oldest = oldest == .min ? candle.openTime : min(oldest, candle.openTime)
            newestStored[series] = max(newestStored[series] ?? .min, candle.openTime)
            if entry != candle.fields {
                wrong += 1
                note("wrong: \(key) \(candle.openTime): stored \(entry), announced \(candle.fields)")
            }
        }
        let newest = newestStored[series] ?? .min
        unsent += absentTimes.count { $0 > newest }
        early += absentTimes.count { $0 < oldest }
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
            let fields = entry.elements[1].pairs
            entries[id] = Dictionary(fields) { $1 }
            if fields.count != entries[id]!.count { entries[id]!["a field"] = "is there twice" }
        }
        return entries
    }

    private mutating func compareLatest(_ states: [TruthCandle], _ keys: inout Set<String>) throws {
        for (interval, states) in Dictionary(grouping: states, by: \.interval) {
            keys.insert("latest:\(interval)")
            var held = Dictionary(try client.command("HGETALL", "latest:\(interval)").pairs) { $1 }
            for state in states {
                latestCompared += 1
                let text = held.removeValue(forKey: state.symbol) ?? "{}"
                var object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] ?? [:]
                let isClosed = object.removeValue(forKey: "closed") as? Bool
                let fields = object.mapValues { "\($0)" }
                if fields == state.latestFields && isClosed == state.closed { continue }
                if latest == .reachable, isReachable(fields, state) { continue }
                latestWrong += 1
                note("latest:\(interval) \(state.symbol): stored \(text), announced \(state.latestFields) closed \(state.closed ?? false)")
            }
            foreign += held.count
        }
    }

    /// What was stored before the exchange's last words: older than they, and not older than the history.
    private func isReachable(_ fields: [String: String], _ last: TruthCandle) -> Bool {
        guard let open = fields["open_time"].flatMap({ Int64($0) }), let event = fields["event_time"].flatMap({ Int64($0) }),
            Set(fields.keys) == Set(last.latestFields.keys), fields["symbol"] == last.symbol, fields["interval"] == last.interval
        else { return false }
        return event < last.eventTime && open <= last.openTime && open >= newestStored["\(last.symbol):\(last.interval)"] ?? .min
    }

    private mutating func note(_ text: String) {
        if examples.count < StoreCheck.examplesMax { examples.append(text) }
    }
}
