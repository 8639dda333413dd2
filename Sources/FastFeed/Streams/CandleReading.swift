// What the replies to readings of histories and their changes come to: questions to Redis first, where there are any, then events. Pure;
// one owner.
//
// A reading has both at one moment. Its changes are told first: they speak of what was read before. What lies ahead is read as it is by
// then.

struct CandleReading {
    /// A stream that is read.
    private struct Source {
        let index: Int
        let isChanges: Bool
    }

    /// One reading, sorted, and what must be asked before it can be told.
    struct Page: Sendable {
        fileprivate var changes: [(index: Int, id: StreamID, change: CandleChange?)] = []
        fileprivate var candles: [(index: Int, candle: Candle)] = []
        fileprivate var questions: [Question: Int] = [:]
    }

    /// A candle as it is now, or the oldest entry of a history.
    fileprivate enum Question: Hashable {
        case candle(Int, Int64)
        case oldest(Int)
    }

    private enum Item {
        case event(CandleEvent)
        /// The changes up to here are told.
        case changesTold(StreamPosition)
    }

    private let historyKeys: [String]
    private let sources: [String: Source]
    private(set) var order: CandleOrder
    private var items = PipelineQueue<Item>()
    /// Where the changes stand that were handed out.
    private(set) var position: StreamPosition
    private var newestChange = StreamID.min
    /// Entries that are not what they should be.
    private(set) var badEntries: UInt64 = 0

    init(_ series: [Series], _ keys: KeySchema, changesAfter position: StreamPosition) {
        historyKeys = series.map(keys.historyKey)
        var sources: [String: Source] = [:]
        for (index, series) in series.enumerated() {
            sources[keys.historyKey(series)] = Source(index: index, isChanges: false)
            sources[keys.changesKey(series)] = Source(index: index, isChanges: true)
        }
        (self.sources, self.position) = (sources, position)
        order = CandleOrder(series)
    }

    // MARK: Where it begins

    mutating func begin(_ index: Int, after place: StreamPosition) {
        // Before the first instant nothing can be missing.
        guard case .after(let id) = place, id.milliseconds > 0 else { return order.begin(index, after: nil) }
        let clamped = min(id.milliseconds, UInt64(Limits.instantsMs.upperBound))
        order.begin(index, after: Int64(clamped))
    }

    /// The newest changes of all series, where none was told yet.
    mutating func beginChanges(behind newest: [StreamID]) {
        newestChange = newest.max() ?? .min
        position = newest.count == 1 ? CandleReading.position(newestChange) : CandleReading.position(before: newestChange)
    }

    private static func position(_ id: StreamID) -> StreamPosition { id == .min ? .start : .after(id) }
    /// Other series may get a change in the same millisecond, still.
    private static func position(before id: StreamID) -> StreamPosition {
        id.milliseconds == 0 ? .start : .after(.last(in: id.milliseconds - 1))
    }

    // MARK: A reading

    /// Sorts one reading.
    mutating func sort(_ entries: [StreamEntry]) -> Page {
        var page = Page()
        for entry in entries {
            guard let source = sources[entry.key] else { continue }
            if source.isChanges {
                let change = CandleChange(
                    openTime: entry["open_time"], kind: entry["kind"], revision: entry[CandleField.revision.rawValue])
                if change == nil { badEntries += 1 }
                page.changes.append((source.index, entry.id, change))
            } else {
                do throws(StreamError) {
                    page.candles.append((source.index, try Candle(entry)))
                } catch {
                    badEntries += 1
                }
            }
        }
        return page
    }

    /// The questions that a page raises, as commands in order; none when it can be told as it is.
    func questions(_ page: inout Page) -> StreamBatch {
        var batch = StreamBatch()
        func ask(_ question: Question, _ index: Int, _ from: String, _ through: String) {
            guard page.questions[question] == nil else { return }
            page.questions[question] = batch.count
            var command = StreamCommand("XRANGE", key: historyKeys[index])
            command.append(contentsOf: [historyKeys[index], from, through, "COUNT", "1"])
            batch.append(command)
        }
        for (index, _, change) in page.changes {
            guard let change, order.wants(change, index) else { continue }
            let id = HistoryEntry.id(openTimeMs: change.openMs)
            ask(.candle(index, change.openMs), index, id, id)
        }
        // Entries of a reading follow one another: only in front of the first one something can have been trimmed.
        var seen: Set<Int> = []
        for (index, candle) in page.candles where seen.insert(index).inserted && order.leaps(index, to: candle.openTime) {
            ask(.oldest(index), index, "-", "+")
        }
        return batch
    }

    /// Tells a page.
    /// - Parameter replies: to its questions, in order.
    /// - Throws: what an error reply means, before anything is told.
    mutating func tell(_ page: Page, _ replies: [ReplyNode]) throws(StreamError) {
        var found: [Question: StreamEntry] = [:]
        for (question, place) in page.questions where place < replies.count {
            let key = historyKeys[question.index]
            if let error = replies[place].error { throw StreamError(reply: error, key: key) }
            if let entry = StreamReplies.page(replies[place], key: key)?.entries.first { found[question] = entry }
        }
        var events: [CandleEvent] = []
        for (index, _, change) in page.changes {
            guard let change else { continue }
            let candle = found[.candle(index, change.openMs)].flatMap { try? Candle($0) }
            order.changed(change, candle, index, into: &events)
        }
        append(&events)
        moveOn(page)
        for (index, candle) in page.candles {
            let oldestMs = found[.oldest(index)].map { Int64(clamping: $0.id.milliseconds) }
            if !order.read(candle, index, oldestKeptMs: oldestMs, into: &events) { badEntries += 1 }
        }
        append(&events)
    }

    /// A candle of a gap's time, read once more because changes were lost.
    mutating func look(_ entry: StreamEntry) {
        guard let source = sources[entry.key], let candle = try? Candle(entry) else { return }
        var events: [CandleEvent] = []
        _ = order.read(candle, source.index, oldestKeptMs: nil, into: &events)
        append(&events)
    }

    /// The histories whose gaps may have been filled unseen, and the gaps' time.
    var openTimes: [(key: String, openMs: ClosedRange<Int64>)] {
        historyKeys.indices.compactMap { index in order.openTimes(index).map { (historyKeys[index], $0) } }
    }

    /// A series with changes in this reading may have more of them; all others have none that are older than the reading.
    private mutating func moveOn(_ page: Page) {
        var last: [Int: StreamID] = [:]
        for (index, id, _) in page.changes { last[index] = id }
        newestChange = max(newestChange, last.values.max() ?? .min)
        let told: StreamPosition
        if historyKeys.count == 1 {
            guard let id = last[0] else { return }
            told = .after(id)
        } else {
            told = CandleReading.position(before: last.values.min() ?? newestChange)
        }
        if CandleReading.isBehind(told, position) { append(.changesTold(told)) }
    }

    private static func isBehind(_ one: StreamPosition, _ other: StreamPosition) -> Bool {
        guard case .after(let id) = one else { return false }
        guard case .after(let before) = other else { return true }
        return id > before
    }

    // MARK: Events

    private mutating func append(_ events: inout [CandleEvent]) {
        for event in events { items.append(.event(event)) }
        events = []
    }

    private mutating func append(_ item: Item) {
        items.append(item)
        if items.count == 1 { passMarks() }
    }

    /// The next event; nil when all are handed out.
    mutating func next() -> CandleEvent? {
        guard case .event(let event)? = items.first else { return nil }
        items.removeFirst()
        passMarks()
        return event
    }

    private mutating func passMarks() {
        while case .changesTold(let told)? = items.first {
            position = told
            items.removeFirst()
        }
    }
}

extension CandleReading.Question {
    fileprivate var index: Int {
        switch self {
        case .candle(let index, _), .oldest(let index): index
        }
    }
}
