// What the view shows: candles as Redis has them, and the engine's own figures. Read a few times a second
// over a connection of its own, as any other consumer would.

import FastFeed
import FoundationEssentials

/// A candle as it stands in `latest:<interval>`.
struct ShownCandle: Decodable {
    let symbol: String
    let open, high, low, close, volume: String
    let openTime, eventTime: Int64
    let count: Int64

    enum CodingKeys: String, CodingKey {
        case symbol, open, high, low, close, volume, count
        case openTime = "open_time"
        case eventTime = "event_time"
    }
}

/// One line of the table.
struct DemoRow {
    let symbol: Symbol
    var candle: ShownCandle?
    /// Closes of the newest closed candles, oldest first.
    var closes: [Double] = []
    /// Digits behind the point that the symbol's prices have been seen to need, at least two.
    private(set) var decimals = 2
    /// −1, 0 or 1: where the price went last.
    var direction = 0
    var changedNs: UInt64 = 0
    /// Kline events a second, as announced on the channel `updates:…`.
    fileprivate(set) var updatesPerSecond = 0.0
    fileprivate var updatesHeard = 0

    /// A price without the zeros that the exchange appends, in the same width as the symbol's others.
    func priceText(_ text: String) -> String {
        guard let point = text.firstIndex(of: ".") else { return text }
        return String(text[...point]) + String(text[text.index(after: point)...].prefix(decimals))
    }

    private static func decimalsUsed(_ text: String) -> Int {
        guard let point = text.firstIndex(of: ".") else { return 0 }
        var digits = text[text.index(after: point)...]
        while digits.last == "0" { digits = digits.dropLast() }
        return digits.count
    }

    /// Of the candle, in percent.
    var changePercent: Double? {
        guard let candle, let open = Double(candle.open), let close = Double(candle.close), open > 0 else { return nil }
        return (close / open - 1) * 100
    }
}

struct DemoModel {
    private(set) var rows: [DemoRow]
    private(set) var snapshot: EngineSnapshot?
    private(set) var figures: ReportFigures?
    private(set) var nowNs = MonotonicClock.nowNs()
    private let client: RedisClient
    /// Subscribed to the channels of the shown series.
    private let listener: RedisClient
    private var listenedFromNs = MonotonicClock.nowNs()
    private let rowOfChannel: [String: Int]
    private let interval: Interval
    private let decoder = JSONDecoder()
    private var past: [EngineSnapshot] = []

    static let closesShownMax = 60
    /// Figures are those of the last three seconds.
    private static let pastMax = 15

    init(_ world: DemoWorld) throws {
        client = try RedisClient.connect(world.redis.endpoint, timeoutMs: 2_000)
        listener = try RedisClient.connect(world.redis.endpoint, timeoutMs: 2_000)
        let interval = world.shownInterval
        self.interval = interval
        rows = world.symbols.map { DemoRow(symbol: $0) }
        let channels = world.symbols.map { "updates:{\($0)}:\(interval.token)" }
        rowOfChannel = Dictionary(uniqueKeysWithValues: zip(channels, rows.indices))
        // One answer now; those of the other channels come like messages, and are passed over like others.
        _ = try listener.command(["SUBSCRIBE"] + channels)
    }

    mutating func refresh(_ snapshot: EngineSnapshot) throws {
        nowNs = MonotonicClock.nowNs()
        self.snapshot = snapshot
        figures = ReportFigures(snapshot, since: past.first)
        past.append(snapshot)
        if past.count > DemoModel.pastMax { past.removeFirst() }
        var candles: [String: ShownCandle] = [:]
        for (symbol, text) in try client.command(["HGETALL", "latest:\(interval.token)"]).pairs {
            candles[symbol] = try? decoder.decode(ShownCandle.self, from: Data(text.utf8))
        }
        var stale: [Int] = []
        for index in rows.indices {
            guard let candle = candles[rows[index].symbol.name] else { continue }
            if rows[index].candle?.openTime != candle.openTime { stale.append(index) }
            rows[index].take(candle, nowNs: nowNs)
        }
        try refreshCloses(stale)
        try listen()
    }

    private struct Announcement: Decodable { let updates: Int }

    private mutating func listen() throws {
        while let message = try listener.receive(timeoutMs: 0) {
            let parts = message.strings
            guard parts.count == 3, parts[0] == "message", let index = rowOfChannel[parts[1]],
                let announcement = try? decoder.decode(Announcement.self, from: Data(parts[2].utf8))
            else { continue }
            rows[index].updatesHeard += announcement.updates
        }
        let seconds = Double(nowNs - listenedFromNs) / 1e9
        guard seconds >= 1 else { return }
        for index in rows.indices {
            let rate = Double(rows[index].updatesHeard) / seconds
            rows[index].updatesPerSecond = rows[index].updatesPerSecond == 0 ? rate : rows[index].updatesPerSecond * 0.6 + rate * 0.4
            rows[index].updatesHeard = 0
        }
        listenedFromNs = nowNs
    }

    /// Histories only of symbols whose candle has just changed.
    private mutating func refreshCloses(_ indices: [Int]) throws {
        guard !indices.isEmpty else { return }
        let questions = indices.map { index in
            ["XREVRANGE", "candles:{\(rows[index].symbol)}:\(interval.token)", "+", "-", "COUNT", "\(DemoModel.closesShownMax)"]
        }
        for (index, answer) in zip(indices, try client.pipeline(questions)) {
            rows[index].closes = HistoryEntry.list(answer).compactMap { $0.fields["close"].flatMap(Double.init) }.reversed()
        }
    }
}

extension DemoRow {
    fileprivate mutating func take(_ new: ShownCandle, nowNs: UInt64) {
        if let old = candle?.close, let before = Double(old), let after = Double(new.close), before != after {
            direction = after > before ? 1 : -1
            changedNs = nowNs
        }
        candle = new
        for price in [new.high, new.low, new.close] { decimals = max(decimals, DemoRow.decimalsUsed(price)) }
    }
}

/// An entry of a history stream.
struct HistoryEntry {
    let openTimeMs: Int64
    let fields: [String: String]

    static func list(_ answer: RedisReply) -> [HistoryEntry] {
        answer.elements.compactMap { entry in
            let parts = entry.elements
            guard parts.count == 2, let id = parts[0].text, let dash = id.firstIndex(of: "-"), let openTimeMs = Int64(id[..<dash]) else {
                return nil
            }
            return HistoryEntry(openTimeMs: openTimeMs, fields: Dictionary(parts[1].pairs) { $1 })
        }
    }
}
