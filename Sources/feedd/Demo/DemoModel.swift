// What the view shows: candles as Redis has them, and the engine's own figures. Read a few times a second
// over a connection of its own, as any other consumer would.

import FastFeed
import RedisServer

/// One line of the table.
struct DemoRow {
    let symbol: Symbol
    var candle: Candle?
    /// Closes of the newest closed candles, oldest first.
    var closes: [Double] = []
    /// Digits behind the point that the symbol's prices have been seen to need, at least two.
    private(set) var decimals = 2
    /// −1, 0 or 1: where the price went last.
    var direction = 0
    var changedNs: UInt64 = 0
    /// Closed candles that are missing and not given up.
    fileprivate(set) var missing = 0
    /// Kline events a second, as the channel of updates announces them.
    fileprivate(set) var updatesPerSecond = 0.0
    fileprivate var updatesHeard = 0

    /// A price without the zeros that the exchange appends, in the same width as the symbol's others.
    func priceText(_ price: DecimalText) -> String {
        let text = price.description
        guard let point = text.firstIndex(of: ".") else { return text }
        return String(text[...point]) + String(text[text.index(after: point)...].prefix(decimals))
    }

    private static func decimalsUsed(_ price: DecimalText) -> Int {
        let text = price.description
        guard let point = text.firstIndex(of: ".") else { return 0 }
        var digits = text[text.index(after: point)...]
        while digits.last == "0" { digits = digits.dropLast() }
        return digits.count
    }

    /// How far the close is from the open, in percent.
    var changePercent: Double? {
        guard let candle, candle.open.approximate > 0 else { return nil }
        return (candle.close.approximate / candle.open.approximate - 1) * 100
    }
}

struct DemoModel {
    private(set) var rows: [DemoRow]
    private(set) var snapshot: EngineSnapshot?
    private(set) var figures: ReportFigures?
    /// Closed candles that are missing now, at all intervals; without older ones that are still being fetched for the start.
    private(set) var missing = 0
    private(set) var nowNs = MonotonicClock.nowNs()
    private let client: RedisClient
    /// Subscribed to the channels of the shown series.
    private let listener: RedisClient
    private var listenedFromNs = MonotonicClock.nowNs()
    private let rowOfChannel: [String: Int]
    private let series: [Series]
    private let keys: KeySchema
    private var past: [EngineSnapshot] = []

    static let closesShownMax = 60
    /// Figures are those of the last three seconds.
    private static let pastMax = 15

    init(_ world: DemoWorld) throws {
        client = try RedisClient.connect(world.redis.endpoint, timeout: .seconds(10))
        listener = try RedisClient.connect(world.redis.endpoint, timeout: .seconds(10))
        let keys = world.configuration.schema
        let series = world.symbols.map { Series(symbol: $0, interval: world.shownInterval) }
        (self.keys, self.series) = (keys, series)
        rows = world.symbols.map { DemoRow(symbol: $0) }
        let channels = series.map { keys.updatesChannel($0) }
        rowOfChannel = Dictionary(uniqueKeysWithValues: zip(channels, rows.indices))
        // One answer now; those of the other channels come like messages, and are passed over like others.
        _ = try listener.command(["SUBSCRIBE"] + channels)
    }

    mutating func refresh(_ engine: Engine) throws {
        nowNs = MonotonicClock.nowNs()
        let snapshot = engine.snapshot()
        self.snapshot = snapshot
        figures = ReportFigures(snapshot, since: past.first)
        past.append(snapshot)
        if past.count > DemoModel.pastMax { past.removeFirst() }
        let latest = try client.command("HGETALL", keys.latestKey(series[0].market, series[0].interval)).pairs
        let candles = Dictionary(latest.map { ($0.0, try? Candle(JSONValue(message: Array($0.1.utf8)))) }) { $1 }
        var stale: [Int] = []
        for index in rows.indices {
            guard let candle = candles[rows[index].symbol.name] ?? nil else { continue }
            if rows[index].candle?.openTime != candle.openTime { stale.append(index) }
            rows[index].take(candle, nowNs: nowNs)
        }
        try refreshCloses(stale)
        take(engine.openGaps.filter { $0.cause != .backfill })
        try listen()
    }

    private mutating func take(_ gaps: [Gap]) {
        missing = gaps.reduce(0) { $0 + $1.candleCount }
        let shown = Dictionary(
            gaps.filter { $0.series.interval == series[0].interval }.map { ($0.series.symbol, $0.candleCount) }, uniquingKeysWith: +)
        for index in rows.indices { rows[index].missing = shown[rows[index].symbol] ?? 0 }
    }

    private mutating func listen() throws {
        while let message = try listener.receive(timeout: .zero) {
            let parts = message.strings
            guard parts.count == 3, parts[0] == "message", let index = rowOfChannel[parts[1]],
                let update = try? FluxUpdate(Array(parts[2].utf8))
            else { continue }
            rows[index].updatesHeard += Int(update.updates)
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
        let questions = indices.map { ["XREVRANGE", keys.historyKey(series[$0]), "+", "-", "COUNT", "\(DemoModel.closesShownMax)"] }
        for (index, answer) in zip(indices, try client.pipeline(questions)) {
            rows[index].closes = answer.historyEntries.compactMap { $0[.close].flatMap(Double.init) }.reversed()
        }
    }
}

extension DemoRow {
    fileprivate mutating func take(_ new: Candle, nowNs: UInt64) {
        if let before = candle?.close, before != new.close {
            direction = new.close.approximate > before.approximate ? 1 : -1
            changedNs = nowNs
        }
        candle = new
        for price in [new.high, new.low, new.close] { decimals = max(decimals, DemoRow.decimalsUsed(price)) }
    }
}

extension RedisReply {
    /// The entries of a reply to XRANGE or XREVRANGE.
    var historyEntries: [HistoryEntry] {
        elements.compactMap { entry in
            guard entry.elements.count == 2, let id = entry.elements[0].text else { return nil }
            return HistoryEntry(id: id, entry.elements[1].pairs)
        }
    }
}

extension DecimalText {
    /// As a binary float: for the eye only.
    var approximate: Double { Double(description) ?? 0 }
}
