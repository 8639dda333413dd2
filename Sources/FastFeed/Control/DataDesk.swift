// `data:get`: candles out of Redis's history, and the forming one; where no flux keeps them, out of what the exchange has said,
// which Redis keeps for a moment. Whoever asks for the same waits for the same answer. Pure: questions come in, commands for
// Redis, rows and answers come out. The control thread's alone. Bound: `Limits.dataQuestionsMax` questions wait.

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
    fileprivate var isForward: Bool { startMs != nil && endMs == nil }
}

package struct DataDesk {
    private let schema: KeySchema
    private var waiters: [DataQuery: [(request: RequestKey, sinceNs: UInt64)]] = [:]

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
            let open = forming[CandleField.openTime]?.integer, open >= query.startMs ?? .min, open <= query.endMs ?? .max,
            rows.last?[CandleField.openTime]?.integer ?? .min < open, !query.isForward || rows.count < query.limit
        {
            rows.append(forming)
            if rows.count > query.limit { rows.removeFirst() }
        }
        return rows
    }

    // MARK: What the exchange says

    package func cacheQuestion(_ query: DataQuery) -> [String] { ["GET", cacheKey(query)] }

    /// Nil when the exchange must be asked.
    package static func cachedRows(_ reply: RedisReply) -> [JSONValue]? {
        reply.bytes.flatMap { try? JSONValue(parsing: $0) }?.array
    }

    /// Takes the request among those that wait. True for the first of them: the exchange must be asked.
    package mutating func wait(_ request: RequestKey, _ query: DataQuery, nowNs: UInt64) throws(CommandError) -> Bool {
        let isFirst = waiters[query] == nil
        if isFirst && waiters.count >= Limits.dataQuestionsMax { throw CommandError(.busy, "too many questions to the exchange") }
        waiters[query, default: []].append((request, nowNs))
        return isFirst
    }

    /// What the exchange has said: the answers of all who wait for it, and what Redis is to keep.
    package mutating func answerWaiters(
        _ query: DataQuery, _ result: Result<[CandleRecord], RestFailure>, nowNs: UInt64
    ) -> (answers: [(RequestKey, CommandResult)], cached: [String]?) {
        let outcome: Result<[JSONValue], CommandError>
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
            outcome = .success(rows)
        case .failure(.unknownSymbol):
            outcome = .failure(CommandError(.unknownSymbol, "the exchange has no symbol '\(query.series.symbol)'"))
        case .failure(.busy), .failure(.limited):
            outcome = .failure(CommandError(.busy, "the exchange's limits allow no question now; try again later"))
        case .failure(let failure): outcome = .failure(CommandError(.internal, "\(failure)"))
        }
        let answers = (waiters.removeValue(forKey: query) ?? []).map { waiter in
            let tookUs = (nowNs &- waiter.sinceNs) / 1_000
            return (waiter.request, outcome.map { CandleData.members(query.series, .exchange, tookMicroseconds: tookUs, rows: $0) })
        }
        return (answers, cached)
    }

    private func cacheKey(_ query: DataQuery) -> String {
        schema.cacheKey(query.series, limit: query.limit, startMs: query.startMs, endMs: query.endMs)
    }
}
