// A healer between a scripted exchange, a scripted Redis and a real sink's mailboxes: the test is the sink. Time is what the test says.

import FastFeed

/// The exchange's history. Questions wait until the test has them answered.
final class ScriptedExchange: KlineSource, @unchecked Sendable {
    struct Question {
        let series: Series
        let startMs: Int64?
        let endMs: Int64?
        let limit: Int
        let completion: @Sendable (Result<[CandleRecord], RestFailure>) -> Void
    }

    private(set) var questions: [Question] = []
    /// Ever asked.
    private(set) var count = 0

    func klines(
        _ series: Series, startMs: Int64?, endMs: Int64?, limit: Int, patienceMs: Int64?,
        completion: @escaping @Sendable (Result<[CandleRecord], RestFailure>) -> Void
    ) {
        count += 1
        questions.append(Question(series: series, startMs: startMs, endMs: endMs, limit: limit, completion: completion))
    }

    /// Answers the oldest question, from a history of which some bars are missing.
    func answer(nowMs: Int64, without missing: Set<Int64> = []) {
        let question = questions.removeFirst()
        let interval = question.series.interval
        var open = interval.openTime(containing: question.endMs ?? nowMs)
        if open > nowMs { open = interval.openTime(containing: nowMs) }
        let count = question.startMs.map { Int(interval.barCount(from: $0, until: open + 1)) } ?? question.limit
        let opens = (0..<max(count, 0)).map { open - Int64($0) * interval.lengthMs! }.reversed().filter { !missing.contains($0) }
        question.completion(.success(opens.prefix(question.limit).map { ScriptedExchange.row($0, interval, nowMs: nowMs) }))
    }

    func fail(_ failure: RestFailure) { questions.removeFirst().completion(.failure(failure)) }

    /// A bar as the REST parser makes it; its values tell it from others.
    static func row(_ openMs: Int64, _ interval: Interval, nowMs: Int64) -> CandleRecord {
        var row = CandleRecord()
        (row.openTimeMs, row.closeTimeMs, row.eventTimeMs) = (openMs, interval.closeTime(ofBarOpening: openMs), nowMs)
        (row.intervalRawValue, row.source, row.isClosed) = (interval.rawValue, .backfill, row.closeTimeMs < nowMs)
        row.tradeCount = 3
        let price = DecimalText("\(openMs / 1_000 % 10_000).5")!
        (row.open, row.high, row.low, row.close) = (price, price, price, price)
        let volume = DecimalText("12.25")!
        (row.volume, row.quoteVolume, row.takerBuyVolume, row.takerBuyQuoteVolume) = (volume, volume, volume, volume)
        return row
    }
}

/// Histories by key, and the answers of a Redis that has them.
final class ScriptedHistories: HistoryReader {
    var entries: [String: [(id: String, fields: [(String, String)])]] = [:]
    var isAway = false
    /// How many commands each call had.
    private(set) var calls: [Int] = []

    func ask(_ commands: [[String]]) -> [RedisReply]? {
        calls.append(commands.count)
        return isAway ? nil : commands.map(reply)
    }

    func add(_ row: CandleRecord, _ key: String) {
        entries[key, default: []].append((HistoryEntry.id(openTimeMs: row.openTimeMs), CandleField.texts(row)))
    }

    private func reply(_ command: [String]) -> RedisReply {
        let list = entries[command[1]] ?? []
        switch command[0] {
        case "XLEN": return .integer(Int64(list.count))
        case "HGETALL": return .array([])
        case "XRANGE", "XREVRANGE":
            let isReversed = command[0] == "XREVRANGE"
            let (low, high) = isReversed ? (command[3], command[2]) : (command[2], command[3])
            let found = list.filter { ScriptedHistories.isIn($0.id, low, high) }
            let ordered = isReversed ? Array(found.reversed()) : found
            return .array(
                ordered.prefix(Int(command[5])!).map { entry in
                    let fields = entry.fields.flatMap { [$0.0, $0.1] }.map { RedisReply.bytes(Array($0.utf8)) }
                    return .array([.bytes(Array(entry.id.utf8)), .array(fields)])
                })
        default: return .error("ERR unknown command")
        }
    }

    /// By milliseconds; a bound that starts with `(` is not in it.
    private static func isIn(_ id: String, _ low: String, _ high: String) -> Bool {
        func ms(_ text: String) -> Int64 { Int64(text.drop { $0 == "(" }.prefix { $0 != "-" }) ?? 0 }
        let isAbove = low == "-" || (low.hasPrefix("(") ? ms(id) > ms(low) : ms(id) >= ms(low))
        return isAbove && (high == "+" || (high.hasPrefix("(") ? ms(id) < ms(high) : ms(id) <= ms(high)))
    }
}

final class HealRig {
    static let minute: Int64 = 60_000
    let exchange = ScriptedExchange()
    let store = ScriptedHistories()
    let gaps = GapBoard()
    let schema = KeySchema(prefix: "")
    let sink: Sink
    let healer: Healer
    private let ring: SPSCRing<CandleRecord>
    private let consumer: FixedSlot<SPSCRing<CandleRecord>.Consumer>
    private let time = Lock<(nowNs: UInt64, nowMs: Int64)>((1_000_000_000_000, 1_790_000_040_000))
    /// What the sink was told, but for `watch`, and the records that it took.
    private(set) var said: [SinkCommand] = []
    private(set) var taken: [CandleRecord] = []
    /// The sink takes records, at most so many a turn, and fills holes with them.
    var takesPerTurn = 1_000

    init(ringCount: Int = 1_024, _ change: (inout HealSettings) -> Void = { _ in }) throws {
        var settings = HealSettings()
        (settings.backfill, settings.auditPercent) = (0, 0)
        change(&settings)
        sink = Sink(
            settings: SinkSettings(
                redis: try RedisLinkSettings(RedisEndpoint(place: .unix(path: "/redis"))), market: .spot, schema: schema,
                history: settings.history, batchSize: 64, coalesces: true, seed: 1), rings: [], journal: Journal(), gaps: gaps)
        ring = SPSCRing(zeroed: ringCount)
        consumer = FixedSlot(SPSCRing.Consumer(ring))
        healer = Healer(
            settings: settings, schema: schema, source: exchange, store: store, sink: sink, ring: ring, gaps: gaps, journal: Journal(),
            clock: { [time] in time.withLock { $0.nowMs } }, connectionLiveSinceNs: { _ in 1 })
    }

    var nowMs: Int64 { time.withLock { $0.nowMs } }
    /// The bar that is forming.
    var presentMs: Int64 { nowMs / HealRig.minute * HealRig.minute }

    static func series(_ name: String) -> Series { Series(symbol: Symbol(name)!, interval: .m1) }

    func follow(_ names: [String], backfill: Int = 0) {
        let list = names.enumerated().map {
            (series: HealRig.series($1), handle: SeriesHandle(id: UInt32($0), generation: 7), connections: [UInt32(0)], backfill: backfill)
        }
        _ = healer.commands.offer(.follow(list))
    }

    /// Time passes in tenths of a second; the healer works, and so does the sink.
    func pass(_ milliseconds: Int64 = 100, each: () -> Void = {}) {
        for _ in 0..<max(1, milliseconds / 100) {
            time.withLock { $0 = ($0.nowNs + 100_000_000, $0.nowMs + 100) }
            healer.doWork(nowNs: time.withLock { $0.nowNs })
            each()
            for command in sink.commands.takeAll() {
                if case .watch = command { _ = sink.words.offer(.watched([])) } else { said.append(command) }
                if case .want(let gap) = command { gaps.add(gap) }
            }
            take()
        }
    }

    private func take() {
        let count = min(consumer.value.available(), takesPerTurn)
        for place in 0..<count {
            let record = consumer.value.record(place).value
            taken.append(record)
            _ = gaps.fill(series(record.seriesID)!, openTimeMs: record.openTimeMs)
        }
        if count > 0 { consumer.value.free(count) }
    }

    private func series(_ id: UInt32) -> Series? { followedNames[Int(id)].map(HealRig.series) }
    var followedNames: [String?] = ["a", "b", "c", "d"]

    /// All that the histories of the sink's words say, by series id.
    var checked: [CheckedSeries] { said.flatMap { word -> [CheckedSeries] in if case .checked(let list) = word { list } else { [] } } }
    var wanted: [Gap] { said.compactMap { if case .want(let gap) = $0 { gap } else { nil } } }
    var gapsChangedCount: Int { said.count { if case .gapsChanged = $0 { true } else { false } } }
    var removed: [String] { said.flatMap { word -> [String] in if case .removeEntries(_, let ids) = word { ids } else { [] } } }
}
