// What a group gives its member of all fluxes: which series it follows, which of them it writes, and what changes when the group does.
// Every member knows all fluxes. What has no room is followed when there is some. Pure; the control thread's alone.

/// The group as one of its members sees it.
package struct GroupShare: Sendable, Equatable {
    package let member: String
    package let view: GroupView

    package init(member: String, view: GroupView) { (self.member, self.view) = (member, view) }
}

/// What agents are to be told when the group has changed, in this order.
package struct ShareChange: Sendable {
    package var follow: [Placement.Change] = []
    package var disown: [SeriesHandle] = []
    /// Each with the candles that it should have; 0: as many as usual.
    package var own: [(placed: Placement.Placed, history: Int)] = []
    /// Last: what is followed no more, and behind it what is followed in the room that this makes.
    package var unfollow: [Placement.Change] = []

    package var isEmpty: Bool { follow.isEmpty && disown.isEmpty && own.isEmpty && unfollow.isEmpty }
}

extension FluxBook {
    /// How a change of the registry treats what is there.
    enum Registering: String {
        case change = "0"
        /// A newcomer's: what is there stays.
        case offer = "1"
        /// Redis has lost some of it.
        case restore = "2"
        /// Erases what is there, word for word.
        case withdrawal = "3"
    }

    func role(of symbol: Symbol) -> GroupView.Role {
        guard let share else { return .writer }
        return roles[symbol] ?? share.view.role(of: share.member, in: schema.unit(symbol))
    }

    func followed(_ flux: Flux) -> [Series] {
        let all = flux.series(market)
        return share == nil ? all : all.filter { role(of: $0.symbol) != .none }
    }

    func written(_ flux: Flux) -> [Series] {
        let all = flux.series(market)
        return share == nil ? all : all.filter { role(of: $0.symbol) == .writer }
    }

    /// Of each flux what is written here.
    package var parts: [Flux] {
        guard share != nil else { return list }
        return list.compactMap(part)
    }

    /// The flux with the symbols that are written here; nil when there are none.
    package func part(of flux: Flux) -> Flux? {
        let symbols = flux.symbols.filter {
            role(of: $0) == .writer && placement.handle(Series(market: market, symbol: $0, interval: flux.interval)) != nil
        }
        guard !symbols.isEmpty else { return nil }
        return Flux(
            symbols: symbols, interval: flux.interval, name: flux.id, history: flux.history, createdAtMs: flux.createdAtMs,
            origin: flux.origin)
    }

    /// Symbols that are written here.
    package var writtenCount: Int { share == nil ? 0 : roles.values.count { $0 == .writer } }

    var writtenHandles: [SeriesHandle] {
        wanted.keys.filter { role(of: $0.symbol) == .writer }.compactMap(placement.handle)
    }

    mutating func learnRoles(of flux: Flux) {
        guard share != nil else { return }
        for symbol in flux.symbols where roles[symbol] == nil {
            roles[symbol] = role(of: symbol)
        }
    }

    /// Forgets the roles of symbols that no flux wants any more.
    mutating func forgetRoles(of flux: Flux) {
        for symbol in flux.symbols {
            let isWanted = Interval.allCases.contains { wanted[Series(market: market, symbol: symbol, interval: $0)] != nil }
            if !isWanted { roles[symbol] = nil }
        }
    }

    func mark(_ change: inout Placement.Change) {
        guard share != nil else { return }
        change.copies = Set(change.placements.map(\.series).filter { role(of: $0.symbol) == .copy })
    }

    /// The group has changed: what the agents are to be told.
    package mutating func take(_ new: GroupShare) -> ShareChange {
        let before = roles
        let hadShare = share != nil
        func role(before symbol: Symbol) -> GroupView.Role { hadShare ? before[symbol] ?? .none : .writer }
        (share, roles, isShort) = (new, [:], true)
        let all = list
        for flux in all { learnRoles(of: flux) }
        var change = ShareChange()
        // By how many fluxes each is wanted: a placement counts them one by one.
        var dropped: [Series: Int] = [:]
        var turned: [Series: SeriesHandle] = [:]
        for (series, count) in wanted {
            let (old, now) = (role(before: series.symbol), self.role(of: series.symbol))
            guard old != now, let handle = placement.handle(series) else { continue }
            if now == .none { dropped[series] = count } else { turned[series] = handle }
        }
        change.follow = placeMissing()
        change.disown = FluxBook.ordered(dropped.keys.filter { role(before: $0.symbol) == .writer }).compactMap(placement.handle)
        let histories = histories(of: turned)
        for series in FluxBook.ordered(turned.keys) {
            let handle = turned[series]!
            switch (role(before: series.symbol), self.role(of: series.symbol)) {
            case (.copy, .writer): change.own.append(((series, handle, placement.connections(of: series)), histories[series] ?? 0))
            case (.writer, .copy): change.disown.append(handle)
            default: break
            }
        }
        for round in FluxBook.rounds(dropped) { change.unfollow.append(placement.remove(round)) }
        if !dropped.isEmpty { change.unfollow += placeMissing() }
        return change
    }

    // MARK: Room

    /// What the group gives us and is not followed, as far as there is room now: what the agents are to be told.
    package mutating func placeMissing() -> [Placement.Change] {
        guard share != nil, isShort else { return [] }
        isShort = false
        let missing = wanted.filter { role(of: $0.key.symbol) != .none && placement.handle($0.key) == nil }
        let histories = histories(of: missing)
        var changes: [Placement.Change] = []
        for (number, round) in FluxBook.rounds(missing).enumerated() {
            // Those of one change have one history.
            for (history, some) in Dictionary(grouping: round, by: { histories[$0] ?? 0 }).sorted(by: { $0.key < $1.key }) {
                // A second flux wants what has had room.
                var one = addFitting(number == 0 ? some : some.filter { placement.handle($0) != nil })
                mark(&one)
                one.history = history
                if !one.series.isEmpty { changes.append(one) }
            }
        }
        return changes
    }

    /// What other fluxes want and had no room stays for `placeMissing`, which knows how many they are.
    mutating func addFitting(_ flux: Flux) -> Placement.Change {
        addFitting(followed(flux).filter { wanted[$0] == nil || placement.handle($0) != nil })
    }

    /// As many of these as there is room for.
    private mutating func addFitting(_ series: [Series]) -> Placement.Change {
        if let change = placement.add(series) { return change }
        let count = placement.fitting(series)
        isShort = true
        journal.note(
            .error, "what the group gives this member does not fit into its connections", key: "group-room",
            ("series", "\(series.count - count)"), ("see", "streams-per-connection, readers"))
        return placement.add(Array(series.prefix(count)))!
    }

    /// As many candles as the flux says that asks for the most.
    private func histories<Value>(of some: [Series: Value]) -> [Series: Int] {
        guard !some.isEmpty else { return [:] }
        var histories: [Series: Int] = [:]
        for flux in list where flux.history > 0 {
            for series in flux.series(market) where some[series] != nil {
                histories[series] = max(histories[series] ?? 0, flux.history)
            }
        }
        return histories
    }

    /// By symbol, then by interval, so that every run has the same order.
    private static func ordered(_ series: some Sequence<Series>) -> [Series] {
        series.sorted { ($0.symbol, $0.interval.rawValue) < ($1.symbol, $1.interval.rawValue) }
    }

    private static func rounds(_ counts: [Series: Int]) -> [[Series]] {
        let most = counts.values.max() ?? 0
        return (0..<most).map { round in ordered(counts.filter { $0.value > round }.keys) }
    }

    // MARK: The registry

    func registering(_ entries: [(id: String, json: String)], _ how: Registering) -> [String] {
        ["EVAL", GroupScripts.register, "2", schema.fluxesKey, schema.keeperKey, how.rawValue] + entries.flatMap { [$0.id, $0.json] }
    }

    /// Commands that register all our fluxes behind what is there.
    func offering(_ how: Registering) -> [[String]] {
        let entries = list.map { ($0.id, $0.json) }
        return stride(from: 0, to: max(entries.count, 1), by: Limits.registeredPerScriptMax).map { start in
            registering(Array(entries[min(start, entries.count)..<min(start + Limits.registeredPerScriptMax, entries.count)]), how)
        }
    }

    /// Registry and keeper as they are at one moment.
    var groupRegistryQuestion: [String] { ["EVAL", GroupScripts.registry, "2", schema.fluxesKey, schema.keeperKey] }

    /// True where Redis has kept all that was registered.
    package static func isWhole(keeper: String?, size: Int) -> Bool { keeper == "group \(size)" }
}
