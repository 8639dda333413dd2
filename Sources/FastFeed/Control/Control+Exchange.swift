// What control asks the exchange over REST: which symbols there are, and candles that no flux covers. One question at a time
// for the same thing; the answer is kept in Redis for a moment.

import Synchronization

/// What came back, from the REST client's thread to control's.
enum ExchangeAnswer: Sendable {
    case symbols(Result<ExchangeInformation, RestFailure>)
    case candles(DataQuery, Result<[CandleRecord], RestFailure>)
}

/// Who waits for the same candles.
struct DataWaiter {
    let requestID: String
    let startedNs: UInt64
}

extension Control {
    // MARK: Symbols

    /// Asks for the list when it is due: at the start, every hour, and a minute after a failure.
    func refreshSymbols(_ nowNs: UInt64) {
        guard let rest, nowNs >= symbolsDueNs else { return }
        symbolsDueNs = nowNs + 60_000_000_000
        rest.exchangeInfo(patienceMs: 50_000) { [weak self] result in self?.take(.symbols(result)) }
    }

    private func settle(_ result: Result<ExchangeInformation, RestFailure>) {
        switch result {
        case .success(let found):
            symbols = Set(found.instruments.map(\.symbol))
            symbolsDueNs = nowNs + 3_600_000_000_000
            journal.note(
                .info, "symbols of the exchange", key: "symbols", ("count", "\(found.instruments.count)"), ("skipped", "\(found.skipped)"))
        case .failure(let failure):
            journal.note(.warning, "no list of symbols; names are checked by their form only", key: "no-symbols", ("reason", "\(failure)"))
        }
    }

    /// Nil when the exchange knows them all, or cannot be asked.
    func unknown(_ wanted: [Symbol]) -> CommandError? {
        guard let symbols, let stranger = wanted.first(where: { !symbols.contains($0) }) else { return nil }
        let near = NearestNames.of(stranger.name, among: symbols.map(\.name), count: 3)
        let hint = near.isEmpty ? "" : "; did you mean \(near.joined(separator: ", "))?"
        return CommandError(.unknownSymbol, "the exchange has no symbol '\(stranger)'\(hint)")
    }

    // MARK: Candles

    /// Takes the question, or answers it from the cache. Nil when the answer will come later.
    func ask(_ query: DataQuery, _ requestID: String, _ rest: RestClient, _ client: RedisClient) -> Result<
        [(String, JSONValue)], CommandError
    >? {
        let startedNs = nowNs
        if let error = unknown([query.series.symbol]) { return .failure(error) }
        do throws(FeedError) {
            if let text = try client.command("GET", cacheKey(query)).text,
                case .array(let rows)? = try? JSONValue(parsing: Array(text.utf8))
            {
                counters.add(.cacheHits)
                return .success(dataAnswer(query, source: "cache", rows, startedNs))
            }
        } catch {
            loseRedis("\(error)")
            return .failure(CommandError(.internal, "Redis is away"))
        }
        counters.add(.cacheMisses)
        let waiter = DataWaiter(requestID: requestID, startedNs: startedNs)
        if waiters[query] != nil {
            waiters[query]!.append(waiter)
            return nil
        }
        guard waiters.count < Limits.dataQuestionsMax else { return .failure(CommandError(.busy, "too many questions to the exchange")) }
        waiters[query] = [waiter]
        rest.klines(query.series, startMs: query.startMs, endMs: query.endMs, limit: query.limit, patienceMs: 8_000) { [weak self] result in
            self?.take(.candles(query, result))
        }
        return nil
    }

    private func settle(_ query: DataQuery, _ result: Result<[CandleRecord], RestFailure>) {
        guard let waiting = waiters.removeValue(forKey: query) else { return }
        let outcome: Result<[JSONValue], CommandError>
        switch result {
        case .success(let candles):
            let rows = candles.map { Control.row($0, query.series) }
            let lifeMs = min((query.series.interval.lengthMs ?? 60_000) / 2, 30_000)
            if client != nil {
                outgoing.append(["SET", cacheKey(query), JSONValue.array(rows).text, "PX", String(max(lifeMs, 1_000))])
            }
            outcome = .success(rows)
        case .failure(.unknownSymbol):
            outcome = .failure(CommandError(.unknownSymbol, "the exchange has no symbol '\(query.series.symbol)'"))
        case .failure(.busy), .failure(.limited):
            outcome = .failure(CommandError(.busy, "the exchange's limits allow no question now; try again later"))
        case .failure(let failure): outcome = .failure(CommandError(.internal, "the exchange does not answer: \(failure)"))
        }
        for waiter in waiting {
            answer(.getData, waiter.requestID, outcome.map { dataAnswer(query, source: "exchange", $0, waiter.startedNs) })
        }
    }

    private func cacheKey(_ query: DataQuery) -> String {
        settings.schema.cacheKey(query.series, limit: query.limit, startMs: query.startMs, endMs: query.endMs)
    }

    private static func row(_ candle: CandleRecord, _ series: Series) -> JSONValue {
        .members([
            ("symbol", .string(series.symbol.name)), ("interval", .string(series.interval.token)),
            ("open_time", .integer(candle.openTimeMs)),
            ("open", .string(candle.open.description)), ("high", .string(candle.high.description)),
            ("low", .string(candle.low.description)),
            ("close", .string(candle.close.description)), ("volume", .string(candle.volume.description)),
            ("close_time", .integer(candle.closeTimeMs)), ("quote_volume", .string(candle.quoteVolume.description)),
            ("count", .integer(candle.tradeCount)), ("taker_buy_volume", .string(candle.takerBuyVolume.description)),
            ("taker_buy_quote_volume", .string(candle.takerBuyQuoteVolume.description)), ("first_trade_id", .integer(candle.firstTradeID)),
            ("last_trade_id", .integer(candle.lastTradeID)), ("source", .string(candle.source.name)), ("revision", .integer(0)),
            ("closed", .bool(candle.isClosed)), ("event_time", .integer(candle.isClosed ? candle.closeTimeMs : candle.eventTimeMs)),
        ])
    }

    // MARK: Between the threads

    /// The REST client's thread.
    private func take(_ answer: ExchangeAnswer) {
        exchangeAnswers.withLock { $0.append(answer) }
        wakeUp.signal()
    }

    func takeExchangeAnswers() {
        let answers = exchangeAnswers.withLock { answers in
            defer { answers = [] }
            return answers
        }
        for answer in answers {
            switch answer {
            case .symbols(let result): settle(result)
            case .candles(let query, let result): settle(query, result)
            }
        }
    }
}

/// Names that look like another. Pure.
package enum NearestNames {
    /// The closest by edit distance, nearest first; none that is further than a third of the name.
    package static func of(_ name: String, among names: [String], count: Int) -> [String] {
        let bytes = Array(name.utf8)
        let most = max(1, bytes.count / 3)
        var found: [(distance: Int, name: String)] = []
        for other in names where abs(other.utf8.count - bytes.count) <= most {
            let distance = distance(bytes, Array(other.utf8))
            if distance <= most { found.append((distance, other)) }
        }
        return found.sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }.prefix(count).map(\.name)
    }

    /// Levenshtein.
    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var row = Array(0...b.count)
        for (i, byte) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in b.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (byte == other ? 0 : 1))
                diagonal = above
            }
        }
        return row[b.count]
    }
}
