// `data:get`: candles out of Redis's history, and the forming one; where no flux keeps them, or the history is shorter than the
// exchange's, out of what the exchange has said, which Redis keeps for a moment. Whoever asks for the same waits for the same answer.
// Pure: questions come in, commands for Redis, rows and answers come out. The control thread's alone. Bound:
// `Limits.dataQuestionsMax` questions wait.

package struct DataQuery: Hashable, Sendable {
    package let series: Series
    package let limit: Int
    /// Bounds of open times, inclusive, Unix ms.
    package let startMs: Int64?
    package let endMs: Int64?

    package init(series: Series, limit: Int, startMs: Int64?, endMs: Int64?) {
        (self.series, self.limit, self.startMs, self.endMs) = (series, limit, startMs, endMs)
    }

    /// With a start and no end the oldest candles are wanted, otherwise the newest.
    var isForward: Bool { startMs != nil && endMs == nil }
}

package struct DataDesk {
    private let schema: KeySchema
    private var waiters: [DataQuery: [(request: RequestKey, sinceNs: UInt64)]] = [:]
    private var absent = AbsentBars()

    package init(schema: KeySchema) { self.schema = schema }

    // MARK: What a flux keeps

    /// The commands whose replies `storedRows` reads.
    package func storedQuestion(_ query: DataQuery) -> [[String]] {
        let (series, key, count) = (query.series, schema.historyKey(query.series), String(query.limit))
        let from = query.startMs.map(HistoryEntry.id) ?? "-"
        let until = query.endMs.map(HistoryEntry.id) ?? "+"
        let range = query.isForward ? ["XRANGE", key, from, until] : ["XREVRANGE", key, until, from]
        return [range + ["COUNT", count], ["HGET", schema.latestKey(series.market, series.interval), series.symbol.name]]
    }

    /// Oldest first, the forming one last, `limit` of them at most.
    package func storedRows(_ query: DataQuery, _ replies: [RedisReply]) throws(CommandError) -> [JSONValue] {
        if case .error(let message) = replies[0] { throw CommandError(.internal, "Redis says: \(message)") }
        let entries = query.isForward ? replies[0].elements : replies[0].elements.reversed()
        // What somebody else has written and is not a candle is left out.
        var rows = entries.compactMap { entry -> JSONValue? in
            guard entry.elements.count == 2, let id = entry.elements[0].text else { return nil }
            return HistoryEntry(id: id, entry.elements[1].pairs)?.json(query.series)
        }
        if let forming = replies[1].bytes.flatMap({ try? JSONValue(parsing: $0) }), forming[CandleField.closed]?.bool == false,
            let open = CandleRow.openTimeMs(forming), open >= query.startMs ?? .min, open <= query.endMs ?? .max,
            rows.last.flatMap(CandleRow.openTimeMs) ?? .min < open, !query.isForward || rows.count < query.limit
        {
            rows.append(forming)
            if rows.count > query.limit { rows.removeFirst() }
        }
        return rows
    }

    /// True when the exchange can have no bar of the question that these rows lack.
    /// - Parameter nowMs: by the exchange's clock.
    package func isWhole(_ rows: [JSONValue], _ query: DataQuery, nowMs: Int64, nowNs: UInt64) -> Bool {
        let (series, interval) = (query.series, query.series.interval)
        let opens = rows.compactMap(CandleRow.openTimeMs)
        let anchorMs = opens.last ?? 0
        let dueMs = interval.openTime(containing: nowMs - Limits.closedOnItsWayMs, anchorMs: anchorMs)
        let untilMs = min(query.endMs.map { $0 + 1 } ?? .max, dueMs)
        func isNone(_ from: Int64, _ until: Int64) -> Bool {
            absent.cover(series, from: from, until: until, anchorMs: anchorMs, nowNs: nowNs)
        }
        guard let first = opens.first, let last = opens.last else { return isNone(query.startMs ?? 0, untilMs) }
        let isFull = opens.count >= query.limit
        return isUnbroken(rows, series, nowNs: nowNs)
            && (isFull && !query.isForward || isNone(query.startMs ?? 0, first))
            && (isFull && query.isForward || isNone(interval.nextOpenTime(after: last), untilMs))
    }

    /// True when the exchange can have no bar between these rows.
    package func isUnbroken(_ rows: [JSONValue], _ series: Series, nowNs: UInt64) -> Bool {
        let opens = rows.compactMap(CandleRow.openTimeMs)
        return zip(opens, opens.dropFirst()).allSatisfy { open, next in
            absent.cover(series, from: series.interval.nextOpenTime(after: open), until: next, anchorMs: next, nowNs: nowNs)
        }
    }

    /// What Redis has, completed by what the exchange has said. A row of Redis is the one that is taken, but for a forming one that the
    /// exchange calls closed.
    package static func completed(
        _ query: DataQuery, stored: [JSONValue], _ said: [JSONValue], from source: DataSource
    ) -> (source: DataSource, rows: [JSONValue]) {
        if stored.isEmpty { return (source, said) }
        func isClosed(_ row: JSONValue) -> Bool { row[CandleField.closed]?.bool == true }
        var byOpen: [Int64: (row: JSONValue, isTheirs: Bool)] = [:]
        for row in stored { if let open = CandleRow.openTimeMs(row) { byOpen[open] = (row, false) } }
        for row in said {
            guard let open = CandleRow.openTimeMs(row) else { continue }
            if byOpen[open].map({ !isClosed($0.row) && isClosed(row) }) ?? true { byOpen[open] = (row, true) }
        }
        let newest = byOpen.keys.max()
        let all = byOpen.filter { isClosed($0.value.row) || $0.key == newest }.sorted { $0.key < $1.key }.map(\.value)
        let rows = query.isForward ? all.prefix(query.limit) : all.suffix(query.limit)
        return (rows.contains(where: \.isTheirs) ? .completed : .redis, rows.map(\.row))
    }

    // MARK: What the exchange says

    package func cacheQuestion(_ query: DataQuery) -> [String] { ["GET", cacheKey(query)] }

    /// Nil when the exchange must be asked. Here, too, what is not a candle is left out.
    package static func cachedRows(_ reply: RedisReply) -> [JSONValue]? {
        reply.bytes.flatMap { try? JSONValue(parsing: $0) }?.array?.filter { CandleRow.openTimeMs($0) != nil }
    }

    /// Takes the request among those that wait. True for the first of them: the exchange must be asked.
    package mutating func wait(_ request: RequestKey, _ query: DataQuery, nowNs: UInt64) throws(CommandError) -> Bool {
        let isFirst = waiters[query] == nil
        if isFirst && waiters.count >= Limits.dataQuestionsMax { throw CommandError(.busy, "too many questions to the exchange") }
        waiters[query, default: []].append((request, nowNs))
        return isFirst
    }

    /// What the exchange has said: the answers of all who wait for it, and what Redis is to keep.
    /// - Parameters:
    ///   - stored: what Redis has of a series that a flux keeps. An exchange that fails makes it no worse.
    ///   - nowMs: by the exchange's clock.
    package mutating func answerWaiters(
        _ query: DataQuery, _ result: Result<[CandleRecord], RestFailure>, stored: [JSONValue]? = nil, nowMs: Int64, nowNs: UInt64
    ) -> (answers: [(RequestKey, CommandResult)], cached: [String]?) {
        var outcome: Result<(source: DataSource, rows: [JSONValue]), CommandError>
        var cached: [String]?
        switch result {
        case .success(let candles):
            // As in a history, the close time stands for a closed candle's event.
            let rows = candles.map { candle in
                var candle = candle
                if candle.isClosed { candle.eventTimeMs = candle.closeTimeMs }
                return CandleRow.json(candle, query.series)
            }
            let lifeMs = min((query.series.interval.lengthMs ?? 60_000) / 2, 30_000)
            cached = ["SET", cacheKey(query), JSONValue.array(rows).text, "PX", String(max(lifeMs, 1_000))]
            let interval = query.series.interval
            let settledMs = interval.openTime(containing: nowMs - Limits.restSettledMs, anchorMs: candles.last?.openTimeMs ?? 0)
            absent.learn(query, candles, settledMs: settledMs, nowNs: nowNs)
            outcome = .success(DataDesk.completed(query, stored: stored ?? [], rows, from: .exchange))
        case .failure(let failure): outcome = .failure(CommandError(failure, query.series))
        }
        var incomplete: String?
        if let stored, case .failure(let error) = outcome {
            (outcome, incomplete) = (.success((.redis, stored)), error.message)
        }
        let answers = (waiters.removeValue(forKey: query) ?? []).map { waiter in
            let tookUs = (nowNs &- waiter.sinceNs) / 1_000
            let result = outcome.map {
                CandleData.members(query.series, $0.source, tookMicroseconds: tookUs, rows: $0.rows, incomplete: incomplete)
            }
            return (waiter.request, result)
        }
        return (answers, cached)
    }

    private func cacheKey(_ query: DataQuery) -> String {
        schema.cacheKey(query.series, limit: query.limit, startMs: query.startMs, endMs: query.endMs)
    }
}
