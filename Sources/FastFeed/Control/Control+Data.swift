// `data:get`: candles out of Redis's history, and the forming one; where no flux keeps them, the exchange is asked.

package struct DataQuery: Hashable, Sendable {
    package let series: Series
    package let limit: Int
    /// Bounds of open times, inclusive, Unix ms.
    package let startMs: Int64?
    package let endMs: Int64?
}

extension Control {
    /// Nil when the answer will come later.
    func data(_ query: DataQuery, _ requestID: String) -> Result<[(String, JSONValue)], CommandError>? {
        let startedNs = nowNs
        guard let client else { return .failure(CommandError(.internal, "Redis is away")) }
        if let rest, placement.handle(query.series) == nil { return ask(query, requestID, rest, client) }
        let rows: [JSONValue]
        do throws(FeedError) {
            rows = try storedRows(query, client)
        } catch {
            loseRedis("\(error)")
            return .failure(CommandError(.internal, "Redis is away"))
        }
        return .success(dataAnswer(query, source: "redis", rows, startedNs))
    }

    func dataAnswer(_ query: DataQuery, source: String, _ rows: [JSONValue], _ startedNs: UInt64) -> [(String, JSONValue)] {
        [
            ("symbol", .string(query.series.symbol.name)), ("interval", .string(query.series.interval.token)), ("source", .string(source)),
            ("took_us", .integer(Int64((nowNs - startedNs) / 1_000))), ("rows", .array(rows)),
        ]
    }

    /// The newest `limit` candles within the bounds (with a start and no end: the oldest), oldest first, the forming one last.
    private func storedRows(_ query: DataQuery, _ client: RedisClient) throws(FeedError) -> [JSONValue] {
        let schema = settings.schema
        let key = schema.historyKey(query.series)
        let from = query.startMs.map { "\($0)-0" } ?? "-"
        let until = query.endMs.map { "\($0)-0" } ?? "+"
        let isForward = query.startMs != nil && query.endMs == nil
        let range =
            isForward
            ? ["XRANGE", key, from, until, "COUNT", String(query.limit)] : ["XREVRANGE", key, until, from, "COUNT", String(query.limit)]
        let replies = try client.pipeline([
            range, ["HGET", schema.latestKey(query.series.market, query.series.interval), query.series.symbol.name],
        ])
        if case .error(let message) = replies[0] { throw FeedError(.redis, "history: \(message)") }
        let entries = isForward ? replies[0].elements : replies[0].elements.reversed()
        var rows = entries.compactMap { Control.row($0, query.series) }
        if let text = replies[1].text, let forming = try? JSONValue(parsing: Array(text.utf8)), case .bool(false)? = forming["closed"],
            case .integer(let open)? = forming["open_time"], open >= query.startMs ?? .min, open <= query.endMs ?? .max,
            rows.last?["open_time"]?.integer ?? .min < open, !isForward || rows.count < query.limit
        {
            rows.append(forming)
            if rows.count > query.limit { rows.removeFirst() }
        }
        return rows
    }

    private static let integers: Set<String> = ["close_time", "count", "first_trade_id", "last_trade_id", "revision"]

    /// A history entry as a candle object. Its event time is not kept: the close time stands for it. Nil for an entry that
    /// somebody else has written and that is no candle.
    private static func row(_ entry: RedisReply, _ series: Series) -> JSONValue? {
        guard entry.elements.count == 2, let id = entry.elements[0].text, id.hasSuffix("-0"), let open = Int64(id.dropLast(2)) else {
            return nil
        }
        var members: [(String, JSONValue)] = [
            ("symbol", .string(series.symbol.name)), ("interval", .string(series.interval.token)), ("open_time", .integer(open)),
        ]
        var closeMs: Int64?
        for (name, text) in entry.elements[1].pairs {
            guard integers.contains(name) else {
                members.append((name, .string(text)))
                continue
            }
            guard let number = Int64(text) else { return nil }
            if name == "close_time" { closeMs = number }
            members.append((name, .integer(number)))
        }
        guard let closeMs else { return nil }
        members += [("closed", .bool(true)), ("event_time", .integer(closeMs))]
        return .members(members)
    }
}
