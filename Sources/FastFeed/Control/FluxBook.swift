// The fluxes there are: what Redis keeps of them, which of their series are placed where, and what the exchange refuses. Pure:
// fluxes come in, what is to be written to the registry and what is to be told to the agents comes out. The control thread's
// alone, once the engine's maker has handed it over.

package struct FluxBook: Sendable {
    package let market: Market
    let schema: KeySchema
    let journal: Journal
    package internal(set) var placement: Placement
    /// By flux id.
    private(set) var fluxes: [String: Flux] = [:]
    /// By series: how many fluxes want it.
    private(set) var wanted: [Series: Int] = [:]
    /// What a group gives us of it; nil: all (`FluxBook+Group`).
    package var share: GroupShare?
    /// By symbol of a flux, in a group.
    var roles: [Symbol: GroupView.Role] = [:]
    /// In a group: of what it gives us, something had no room.
    var isShort = false
    /// Streams the exchange does not know.
    private var refusedStreams: Set<String> = []
    /// By flux id: symbols of which nothing comes, by the exchange's list.
    private var unserved: [String: [RefusedSymbol]] = [:]
    /// True once the fluxes that an earlier process has kept are taken up.
    package private(set) var isResumed = false

    package init(market: Market, schema: KeySchema, placement: Placement, journal: Journal) {
        (self.market, self.schema, self.placement, self.journal) = (market, schema, placement, journal)
    }

    package var count: Int { fluxes.count }
    /// All fluxes, ascending by id.
    package var list: [Flux] { fluxes.values.sorted { $0.id < $1.id } }

    package func flux(_ id: String) throws(CommandError) -> Flux {
        guard let flux = fluxes[id] else { throw CommandError(.unknownFlux, "no flux '\(id)'") }
        return flux
    }

    /// False for a flux that has ended meanwhile, even where another has taken its id.
    package func holds(_ flux: Flux) -> Bool {
        guard let known = fluxes[flux.id] else { return false }
        return known == flux || share != nil && known.interval == flux.interval && known.createdAtMs == flux.createdAtMs
    }

    /// Series that any flux wants.
    package var wantedCount: Int { wanted.count }
    /// Series that any flux wants, ascending by name.
    package var wantedSeries: [Series] { wanted.keys.sorted { $0.description < $1.description } }
    package func isWanted(_ series: Series) -> Bool { wanted[series] != nil }

    /// Every series that is followed and written, and how many candles it should have: as many as the flux says that asks for the most, 0
    /// for none.
    package var followed: [(placed: Placement.Placed, history: Int)] {
        var histories: [Series: Int] = [:]
        for flux in fluxes.values { for series in flux.series(market) { histories[series] = max(histories[series] ?? 0, flux.history) } }
        return histories.compactMap { series, history in
            guard role(of: series.symbol) == .writer else { return nil }
            return placement.handle(series).map { ((series, $0, placement.connections(of: series)), history) }
        }
    }

    // MARK: Create and stop

    /// What must be written before the flux is taken up by `add`; nil when it is there already.
    /// - Throws: why it cannot be taken up.
    package func registration(of flux: Flux, symbols: SymbolList) throws(CommandError) -> [String]? {
        if market == .um && flux.interval == .s1 { throw CommandError(.badInterval, "interval 1s does not exist on this market") }
        if let known = fluxes[flux.id] {
            guard known.symbols == flux.symbols && known.interval == flux.interval else {
                throw CommandError(.badRequest, "flux '\(flux.id)' exists with other symbols or another interval")
            }
            return nil
        }
        try symbols.check(flux.symbols)
        guard count < Limits.fluxCountMax else { throw CommandError(.tooLarge, "there are \(count) fluxes already") }
        guard placement.fits(followed(flux)) else { throw noRoom }
        return entry(flux)
    }

    /// Takes a flux up: what the agents are to be told.
    package mutating func add(_ flux: Flux) throws(CommandError) -> Placement.Change {
        learnRoles(of: flux)
        guard var change = share == nil ? placement.add(followed(flux)) : addFitting(flux) else { throw noRoom }
        fluxes[flux.id] = flux
        for series in flux.series(market) { wanted[series, default: 0] += 1 }
        change.history = flux.history
        if flux.history > 0 { change.deepened = Array(Set(written(flux)).subtracting(change.series)) }
        mark(&change)
        // Asked for again: the exchange may know it by now.
        for series in change.series { refusedStreams.remove(series.market.dialect.streamName(series)) }
        return change
    }

    private var noRoom: CommandError {
        CommandError(.tooLarge, "more streams than the connections of \(placement.readerCount) readers may carry")
    }

    /// Ends a flux: what the agents are to be told.
    package mutating func remove(_ flux: Flux) -> Placement.Change {
        let dropped = followed(flux)
        (fluxes[flux.id], unserved[flux.id]) = (nil, nil)
        for series in flux.series(market) {
            let left = (wanted[series] ?? 1) - 1
            wanted[series] = left > 0 ? left : nil
        }
        if share != nil { forgetRoles(of: flux) }
        return placement.remove(dropped)
    }

    // MARK: The registry

    package var registryQuestion: [String] { ["HGETALL", schema.fluxesKey] }
    /// Who keeps it: see `Control+Lease`.
    package var keeperQuestion: [String] { ["GET", schema.keeperKey] }
    package func keeperEntry(_ owner: String) -> [String] { ["SET", schema.keeperKey, owner] }
    package func entry(_ flux: Flux) -> [String] {
        share == nil ? ["HSET", schema.fluxesKey, flux.id, flux.json] : registering([(flux.id, flux.json)], .change)
    }
    package func erasure(_ flux: Flux) -> [String] {
        share == nil ? ["HDEL", schema.fluxesKey, flux.id] : registering([(flux.id, "")], .change)
    }

    /// Takes an entry back that may have been written, and leaves another's alone.
    package func withdrawal(_ flux: Flux) -> [String] { share == nil ? erasure(flux) : registering([(flux.id, flux.json)], .withdrawal) }

    /// Commands that write the registry anew, for a Redis that may have come back empty.
    package var registry: [[String]] { list.filter { $0.origin == .command }.map(entry) }

    /// Takes up what another process has kept: what the agents are to be told, and which fluxes have ended.
    /// - Parameter endsOthers: end fluxes of commands that are not there, or are others under the same ids.
    package mutating func resume(
        _ kept: [(id: String, json: String)], endsOthers: Bool = false
    ) -> (changes: [Placement.Change], ended: [Flux]) {
        isResumed = true
        let found = kept.compactMap { readable($0) }
        var (changes, ended): ([Placement.Change], [Flux]) = ([], [])
        if endsOthers {
            let byID = Dictionary(found.map { ($0.id, $0) }) { $1 }
            ended = list.filter { $0.origin == .command && byID[$0.id] != $0 }
            changes = ended.map { remove($0) }
        }
        for flux in found where fluxes[flux.id] == nil {
            do throws(CommandError) {
                changes.append(try add(flux))
                journal.note(.info, "flux resumed", ("flux_id", flux.id))
            } catch {
                journal.note(
                    .error, "a flux cannot be resumed; it stays in the registry", key: "registry:\(flux.id)", ("flux_id", flux.id),
                    ("reason", error.message))
            }
        }
        return (changes, ended)
    }

    private func readable(_ entry: (id: String, json: String)) -> Flux? {
        if let flux = Flux(json: entry.json), flux.id == entry.id { return flux }
        let shown = Ascii.printable(entry.id.utf8, limit: 80)
        journal.note(.error, "an entry of the registry is not a flux; left alone", key: "registry:\(shown)", ("flux_id", shown))
        return nil
    }

    // MARK: What agents say

    /// The exchange does not know a stream.
    package mutating func refuse(_ stream: String) {
        if refusedStreams.count < Limits.seriesCountMax { refusedStreams.insert(stream) }
    }

    package func refusedSymbols(of flux: Flux) -> [RefusedSymbol] {
        let listed = unserved[flux.id] ?? []
        if refusedStreams.isEmpty { return listed }
        let named = Set(listed.map(\.symbol))
        let streams = flux.series(market).filter { !named.contains($0.symbol) && refusedStreams.contains($0.market.dialect.streamName($0)) }
        return listed + streams.map { RefusedSymbol($0.symbol, .refused) }
    }

    /// Refused symbols of all fluxes; one that two fluxes want counts twice.
    package var refusedCount: Int {
        unserved.isEmpty && refusedStreams.isEmpty ? 0 : fluxes.values.reduce(0) { $0 + refusedSymbols(of: $1).count }
    }

    // MARK: What the exchange's list says

    /// Symbols are waited for that the list may have tomorrow.
    package var waitsForList: Bool { !unserved.isEmpty }

    /// Compares all fluxes with the list: what the agents are to be told.
    package mutating func judge(by symbols: SymbolList) -> [Placement.Change] {
        var log = LogBudget()
        return list.compactMap { judge($0, by: symbols, &log) }
    }

    package mutating func judge(_ flux: Flux, by symbols: SymbolList) -> Placement.Change? {
        var log = LogBudget()
        return judge(flux, by: symbols, &log)
    }

    /// What one list may cost in the log, however many fluxes it changes.
    private struct LogBudget {
        var hints = Limits.symbolHintsMax
        private var named = 0

        /// Of a flux's line: beyond the budget all have the same.
        mutating func key(_ word: String, _ flux: Flux) -> String {
            named += 1
            return named > Limits.fluxesNamedMax ? word : "\(word):\(flux.id)"
        }
    }

    /// Names in the log what has changed in a flux.
    private mutating func judge(_ flux: Flux, by symbols: SymbolList, _ log: inout LogBudget) -> Placement.Change? {
        let (before, now) = (unserved[flux.id] ?? [], symbols.unserved(flux.symbols))
        guard now != before else { return nil }
        unserved[flux.id] = now.isEmpty ? nil : now
        if now.isEmpty {
            journal.note(
                .info, "the exchange has all symbols of a flux again", key: log.key("served", flux), ("flux_id", flux.id))
        } else {
            journal.note(
                .warning, "nothing comes of symbols of a flux", key: log.key("unserved", flux), ("flux_id", flux.id),
                ("count", "\(now.count)"), ("symbols", symbols.sentence(now, hints: &log.hints)))
        }
        // What was not listed when it was asked for may have to be asked for again.
        let missing = Set(now.map(\.symbol))
        let back = Set(before.filter { $0.reason == .unknown || $0.reason == .delisted }.map(\.symbol)).subtracting(missing)
        guard !back.isEmpty else { return nil }
        let series = flux.series(market).filter { back.contains($0.symbol) }
        for one in series { refusedStreams.remove(one.market.dialect.streamName(one)) }
        return placement.renewal(series)
    }

    // MARK: Streams that bring nothing

    /// The stream is to be asked for anew, where it is: what the agents are to be told.
    package func renew(_ series: Series) -> Placement.Change { placement.renewal([series]) }

    /// Subscribes the series on other connections than now.
    package mutating func move(_ series: Series) -> Placement.Change {
        var change = placement.move(series)
        change.history = fluxes.values.reduce(0) { max($0, $1.series(market).contains(series) ? $1.history : 0) }
        mark(&change)
        return change
    }

    /// Nothing mentions these ids of stopped series any more.
    package mutating func release(_ ids: [UInt32]) { placement.release(ids) }

    package func ids(of flux: Flux) -> [UInt32] { flux.series(market).compactMap { placement.handle($0)?.id } }
}
