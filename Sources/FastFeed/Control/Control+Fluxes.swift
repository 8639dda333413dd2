// What the commands do. Each ends in exactly one answer.

extension Control {
    func carryOut(_ kind: CommandKind, _ request: CommandRequest) {
        let result: Result<[(String, JSONValue)], CommandError>
        switch request.command {
        case .createFlux(let symbols, let interval, let name, let history):
            result = create(
                Flux(
                    symbols: symbols, interval: interval, name: name, history: history, createdAtMs: WallClock.nowMs(),
                    origin: .command))
        case .stopFlux(let id): result = stop(id)
        case .listFluxes: result = .success([("fluxes", .array(fluxes.values.sorted { $0.id < $1.id }.map(summary)))])
        case .getData(let symbol, let interval, let limit, let startMs, let endMs):
            let query = DataQuery(
                series: Series(market: settings.market, symbol: symbol, interval: interval), limit: limit, startMs: startMs, endMs: endMs)
            guard let found = data(query, request.id) else { return }
            result = found
        case .getStatus(let id): result = statusAnswer(id)
        }
        answer(kind, request.id, result)
    }

    // MARK: Create and stop

    private func create(_ flux: Flux) -> Result<[(String, JSONValue)], CommandError> {
        if settings.market == .um && flux.interval == .s1 {
            return .failure(CommandError(.badInterval, "interval 1s does not exist on this market"))
        }
        if let error = unknown(flux.symbols) { return .failure(error) }
        if let known = fluxes[flux.id] {
            guard known.symbols == flux.symbols && known.interval == flux.interval else {
                return .failure(CommandError(.badRequest, "flux '\(flux.id)' exists with other symbols or another interval"))
            }
            return .success([("flux_id", .string(flux.id)), ("created", .bool(false))])
        }
        guard fluxes.count < Limits.fluxCountMax else {
            return .failure(CommandError(.tooLarge, "there are \(fluxes.count) fluxes already"))
        }
        // Kept first: what is answered with ok survives the process.
        if let failure = keep(["HSET", settings.schema.fluxesKey, flux.id, flux.json]) { return .failure(failure) }
        if let failure = add(flux) {
            _ = keep(["HDEL", settings.schema.fluxesKey, flux.id])
            return .failure(failure)
        }
        journal.note(.info, "flux created", ("flux_id", flux.id), ("series", "\(flux.symbols.count)"))
        return .success([("flux_id", .string(flux.id)), ("created", .bool(true))])
    }

    private func stop(_ id: String) -> Result<[(String, JSONValue)], CommandError> {
        guard let flux = fluxes[id] else { return .failure(CommandError(.unknownFlux, "no flux '\(id)'")) }
        if flux.origin == .command, let failure = keep(["HDEL", settings.schema.fluxesKey, id]) { return .failure(failure) }
        fluxes[id] = nil
        tell(placement.remove(flux.series(settings.market)))
        status.forget(id)
        let key = settings.schema.fluxStatusKey(id)
        outgoing.append(["HSET", key, "state", "stopped"])
        outgoing.append(["EXPIRE", key, "60"])
        journal.note(.info, "flux stopped", ("flux_id", id))
        return .success([("flux_id", .string(id))])
    }

    /// Writes to the registry, at once.
    private func keep(_ command: [String]) -> CommandError? {
        guard let client else { return CommandError(.internal, "Redis is away") }
        do throws(FeedError) {
            if case .error(let message) = try client.command(command) {
                return CommandError(.internal, "Redis says: \(Ascii.printable(message.utf8))")
            }
            return nil
        } catch {
            loseRedis("\(error)")
            return CommandError(.internal, "Redis is away")
        }
    }

    /// Takes a flux up. Nil when that went well.
    func add(_ flux: Flux) -> CommandError? {
        guard let change = placement.add(flux.series(settings.market)) else {
            return CommandError(.tooLarge, "more streams than the connections of \(settings.readerCount) readers may carry")
        }
        fluxes[flux.id] = flux
        for series in change.series { refusedStreams.remove(VenueProfile.streamName(series)) }
        tell(change)
        status.markDue()
        return nil
    }

    /// Hands a change to the agents. Their mailboxes are wider than anything control can bring about in one turn of theirs.
    private func tell(_ change: Placement.Change) {
        for command in change.before { _ = ports.sink.commands.offer(command, untilNs: .max) }
        for (reader, commands) in change.readers.enumerated() {
            for command in commands { _ = ports.readers[reader].commands.offer(command, untilNs: .max) }
        }
        for command in change.after { _ = ports.sink.commands.offer(command, untilNs: .max) }
    }

    // MARK: Answers

    private func summary(_ flux: Flux) -> JSONValue {
        let standing = status.standing(of: flux.id)
        return .members([
            ("flux_id", .string(flux.id)), ("symbols", .array(flux.symbols.map { .string($0.name) })),
            ("interval", .string(flux.interval.token)), ("state", .string(standing.state.rawValue)),
            ("created_at", .integer(flux.createdAtMs)), ("last_update_at", .integer(standing.lastUpdateMs)),
        ])
    }

    private func statusAnswer(_ id: String?) -> Result<[(String, JSONValue)], CommandError> {
        let pairs: [(String, String)]
        if let id {
            guard let flux = fluxes[id] else { return .failure(CommandError(.unknownFlux, "no flux '\(id)'")) }
            pairs = fluxStatus(flux)
        } else {
            pairs = serviceStatus()
        }
        return .success(pairs.map { ($0.0, Control.value($0.1)) })
    }

    /// Integers as integers, everything else as text.
    private static func value(_ text: String) -> JSONValue { Int64(text).map { JSONValue.integer($0) } ?? .string(text) }
}
