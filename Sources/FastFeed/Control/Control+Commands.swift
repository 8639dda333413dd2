// What the commands do, desk by desk. Each ends in exactly one answer, which may come later. The control thread.

/// What the exchange has said to control's questions, from the REST client's thread.
package enum ExchangeAnswer: Sendable {
    case symbols(Result<ExchangeInformation, RestFailure>)
    case figures(Result<DayTickers, RestFailure>)
    case candles(DataQuery, Result<[CandleRecord], RestFailure>)
}

extension Control {
    /// - Parameter mayWait: for the exchange's list, when that decides.
    func carryOut(_ request: RequestKey, _ command: Command, mayWait: Bool = true) {
        // Another member may have said that they have changed: its client knows of it.
        if isServing { reloadIfDue() }
        if mayWait, isForExchange(command) {
            if symbols.postpone(request, command, nowNs: nowNs) { return }
            if case .listSymbols(let query) = command, catalogue.postpone(request, query, nowNs: nowNs) { return }
        }
        let result: CommandResult
        do throws(CommandError) {
            guard let members = try outcome(request, command) else { return }
            result = .success(members)
        } catch {
            result = .failure(error)
        }
        answer(request, result)
    }

    /// The exchange knows whether its names are right.
    private func isForExchange(_ command: Command) -> Bool {
        guard engine.rest != nil else { return false }
        guard case .getData(let symbol, let interval, _, _, _) = command else { return true }
        return !fluxes.isWanted(Series(market: fluxes.market, symbol: symbol, interval: interval))
    }

    /// The members of the answer; nil when it comes later.
    private func outcome(_ request: RequestKey, _ command: Command) throws(CommandError) -> [(String, JSONValue)]? {
        switch command {
        case .createFlux(let symbols, let interval, let name, let history):
            return try create(
                Flux(symbols: symbols, interval: interval, name: name, history: history, createdAtMs: WallClock.nowMs(), origin: .command))
        case .stopFlux(let id): return try stop(fluxes.flux(id))
        case .listFluxes: return [(Field.fluxes, .array(fluxList()))]
        case .getData(let symbol, let interval, let limit, let startMs, let endMs):
            let series = Series(market: fluxes.market, symbol: symbol, interval: interval)
            return try rows(DataQuery(series: series, limit: limit, startMs: startMs, endMs: endMs), request)
        case .getStatus(let id?): return try fluxStatus(fluxes.flux(id)).members
        case .getStatus(nil): return serviceStatus()?.members ?? []
        case .listGaps(let symbol, let interval, let id):
            let flux = try id.map { id throws(CommandError) in try fluxes.flux(id) }
            let found = try groupGaps(symbol: symbol, interval: interval, flux: flux)
            return (found ?? heal.list(symbol: symbol, interval: interval, flux: flux)).members
        case .backfill(let symbol, let interval, let count):
            return try backfill(Series(market: fluxes.market, symbol: symbol, interval: interval), count)
        case .audit(let symbol, let interval, let count, let repairs):
            let series = Series(market: fluxes.market, symbol: symbol, interval: interval)
            let healer = try healer(of: series)
            let token = try heal.wait(request, series)
            guard healer.commands.offer(.audit(token: token, series, count: count, repairs: repairs)) else {
                _ = heal.answer(token, .failure(.busy))
                throw Control.healerIsBusy
            }
            return nil
        case .listSymbols(let query): return try listSymbols(query)
        }
    }

    // MARK: Fluxes

    /// Kept first: what is answered with ok survives the process.
    private func create(_ flux: Flux) throws(CommandError) -> [(String, JSONValue)] {
        let entry = try fluxes.registration(of: flux, symbols: symbols)
        if let entry {
            guard try keep(entry, undo: fluxes.withdrawal(flux)) else { return try takeUp(flux) }
            engine.tell(try fluxes.add(flux))
            erased.removeAll { $0.id == flux.id }
            _ = fluxes.judge(flux, by: symbols)
            status.markDue()
            announceRegistry()
            journal.note(.info, "flux created", ("flux_id", flux.id), ("series", "\(flux.symbols.count)"))
        }
        return CreatedFlux(id: flux.id, created: entry != nil, refused: fluxes.refusedSymbols(of: flux)).members
    }

    /// Another member has created one of this name at the same moment.
    private func takeUp(_ flux: Flux) throws(CommandError) -> [(String, JSONValue)] {
        guard reloadRegistry() else { throw Control.redisIsAway }
        guard try fluxes.registration(of: flux, symbols: symbols) == nil else {
            throw CommandError(.internal, "the registry has something else under '\(flux.id)'")
        }
        return CreatedFlux(id: flux.id, created: false, refused: fluxes.refusedSymbols(of: flux)).members
    }

    private func stop(_ flux: Flux) throws(CommandError) -> [(String, JSONValue)] {
        if flux.origin == .command {
            _ = try keep(fluxes.erasure(flux), undo: fluxes.entry(flux))
            erased = erased.suffix(Limits.erasedFluxesMax - 1) + [flux]
        }
        engine.tell(fluxes.remove(flux))
        for change in fluxes.placeMissing() { engine.tell(change) }
        line.post(status.end(flux))
        announceRegistry()
        journal.note(.info, "flux stopped", ("flux_id", flux.id))
        return [(Field.fluxID, .string(flux.id))]
    }

    /// Writes to the registry at once. Without Redis's word it may still be written later: that is undone. False where a group's registry
    /// has something else there.
    private func keep(_ command: [String], undo: [String]) throws(CommandError) -> Bool {
        guard let reply = line.ask([command])?[0] else {
            line.post([undo])
            throw Control.redisIsAway
        }
        if case .error(let message) = reply { throw CommandError(.internal, "Redis says: \(message)") }
        return reply != .integer(-1)
    }

    private static let redisIsAway = CommandError(.internal, "Redis is away, or does not answer in time")

    // MARK: Continuity

    private static let healerIsBusy = CommandError(.busy, "too much is asked of the healer; try again later")

    private func healer(of series: Series) throws(CommandError) -> Healer {
        guard isFollowed(series) else {
            throw CommandError(.unknownFlux, "no flux has \(series.symbol) at \(series.interval.token): create one first")
        }
        guard let healer = engine.healer else {
            throw CommandError(.internal, "nobody fills holes: the exchange is not asked for candles (venue-rest is off)")
        }
        return healer
    }

    private func backfill(_ series: Series, _ count: Int) throws(CommandError) -> [(String, JSONValue)] {
        let healer = try healer(of: series)
        guard count <= engine.heal.history else {
            throw CommandError(.badRequest, "count is more than the \(engine.heal.history) candles that are kept (history of the service)")
        }
        guard healer.commands.offer(.backfill(series, count: count)) else { throw Control.healerIsBusy }
        return [
            (Field.symbol, .string(series.symbol.name)), (Field.interval, .string(series.interval.token)),
            (Field.count, .integer(Int64(count))),
        ]
    }

    // MARK: Data

    /// What a series that a flux keeps has in Redis; nil for another, and while Redis is away.
    func storedRows(_ query: DataQuery) -> [JSONValue]? {
        guard isFollowed(query.series), line.isReady && isWanted, let replies = line.ask(data.storedQuestion(query)) else { return nil }
        return try? data.storedRows(query, replies)
    }

    /// What a replica has; nil where none may be asked, where it does not answer, and where it lacks what the primary may have: a bar, or
    /// in a cluster the newest state, which may have moved to another node and is missing here then.
    private func replicaRows(_ query: DataQuery, nowNs: UInt64) -> [JSONValue]? {
        guard let replies = replica?.ask(data.storedQuestion(query)),
            redis.cluster == nil || query.endMs != nil || replies[1] != .null, let rows = try? data.storedRows(query, replies),
            data.isWhole(rows, query, nowMs: engine.clock.nowMs, nowNs: nowNs)
        else { return nil }
        return rows
    }

    private func isFollowed(_ series: Series) -> Bool { fluxes.isWanted(series) }

    /// Nil when the exchange must be asked.
    private func rows(_ query: DataQuery, _ request: RequestKey) throws(CommandError) -> [(String, JSONValue)]? {
        let startedNs = nowNs
        func answer(_ source: DataSource, _ rows: [JSONValue], incomplete: String? = nil) -> [(String, JSONValue)] {
            CandleData.members(
                query.series, source, tookMicroseconds: (nowNs - startedNs) / 1_000, rows: rows, incomplete: incomplete)
        }
        var stored: [JSONValue]?
        if engine.rest == nil || isFollowed(query.series) {
            if let rows = replicaRows(query, nowNs: startedNs) { return answer(.replica, rows) }
            guard let replies = line.ask(data.storedQuestion(query)) else { throw Control.redisIsAway }
            let rows = try data.storedRows(query, replies)
            if data.isWhole(rows, query, nowMs: engine.clock.nowMs, nowNs: startedNs) { return answer(.redis, rows) }
            stored = rows
        }
        guard let rest = engine.rest else {
            return answer(.redis, stored ?? [], incomplete: "the exchange is not asked for what Redis does not have (venue-rest is off)")
        }
        if stored == nil && !symbols.lists(query.series.symbol) { try symbols.check([query.series.symbol]) }
        guard let reply = line.ask([data.cacheQuestion(query)])?[0] else { throw Control.redisIsAway }
        if let said = DataDesk.cachedRows(reply) {
            let (source, rows) = DataDesk.completed(query, stored: stored ?? [], said, from: .cache)
            // Between what was said then and what has come since, a bar may have closed.
            if stored == nil || data.isUnbroken(rows, query.series, nowNs: startedNs) {
                counters.add(.cacheHits)
                return answer(source, rows)
            }
        }
        counters.add(.cacheMisses)
        let isFirst: Bool
        do throws(CommandError) {
            isFirst = try data.wait(request, query, nowNs: startedNs)
        } catch {
            guard let stored else { throw error }
            return answer(.redis, stored, incomplete: error.message)
        }
        if isFirst {
            rest.klines(query.series, startMs: query.startMs, endMs: query.endMs, limit: query.limit, patienceMs: 8_000) {
                [exchangeAnswers] in _ = exchangeAnswers.offer(.candles(query, $0))
            }
        }
        return nil
    }
}
