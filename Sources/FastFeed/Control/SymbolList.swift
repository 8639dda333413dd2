// The exchange's list of symbols, once it is known: what it says of a name, when it is to be asked for again, and the commands that
// wait for it. Pure; the control thread's alone. Bounds: `Limits.symbolWaitersMax` commands wait, each for `symbolListWaitNs`.

package struct SymbolList {
    /// After a failure, and as long as an answer may take.
    private static let retryNs: UInt64 = 60_000_000_000
    /// While a symbol of a flux is missing, which may be for ever: the list has megabytes.
    private static let watchNs: UInt64 = 300_000_000_000
    private static let refreshNs: UInt64 = 3_600_000_000_000
    /// Trading has ended for good. (On spot a delisted symbol says `BREAK` until it leaves the list.)
    private static let finalStatuses: Set<String> = ["CLOSE", "DELIVERED"]

    /// By symbol: the exchange's word for how it stands.
    private var known: [Symbol: String]?
    /// Symbols that an earlier list had and the present one has not.
    private var delisted: Set<Symbol> = []
    private var isAsked = false
    /// The last question had no answer that can be used.
    private var hasFailed = false
    private var (askedNs, answeredNs, dueNs): (UInt64, UInt64, UInt64) = (0, 0, 0)
    /// In the order of their coming; the first of them need not wait any longer.
    private var waiters: [(request: RequestKey, command: Command, untilNs: UInt64)] = []
    private var readyCount = 0

    package init() {}

    // MARK: Asking

    /// True when the exchange is to be asked now; then not again until an answer could have come.
    /// - Parameter isWatched: a symbol of a flux is not served.
    package mutating func isDue(_ nowNs: UInt64, isWatched: Bool = false) -> Bool {
        guard nowNs >= (isWatched && !isAsked ? min(dueNs, answeredNs + SymbolList.watchNs) : dueNs) else { return false }
        (isAsked, askedNs, dueNs) = (true, nowNs, nowNs + SymbolList.retryNs)
        return true
    }

    package mutating func learn(_ instruments: [Instrument], nowNs: UInt64) {
        let new = Dictionary(instruments.map { ($0.symbol, $0.status) }) { first, _ in first }
        for symbol in (known ?? [:]).keys where new[symbol] == nil && delisted.count < Limits.delistedCountMax { delisted.insert(symbol) }
        if !delisted.isEmpty { delisted.subtract(new.keys) }
        (known, hasFailed) = (new, false)
        end(nowNs)
        dueNs = nowNs + SymbolList.refreshNs
    }

    /// The exchange was asked for the list and has not said it.
    package mutating func fail(nowNs: UInt64) {
        hasFailed = true
        end(nowNs)
    }

    private mutating func end(_ nowNs: UInt64) {
        (isAsked, answeredNs, readyCount) = (false, nowNs, waiters.count)
    }

    // MARK: Commands that wait

    /// Keeps a command whose answer depends on a list that is on its way, or is to be asked for because the known one may be too old to
    /// say no. False: it can be carried out now.
    package mutating func postpone(_ request: RequestKey, _ command: Command, nowNs: UInt64) -> Bool {
        guard waiters.count < Limits.symbolWaitersMax, depends(command, nowNs) else { return false }
        waiters.append((request, command, nowNs + Limits.symbolListWaitNs))
        return true
    }

    private mutating func depends(_ command: Command, _ nowNs: UInt64) -> Bool {
        switch (command, known) {
        case (.createFlux, nil): return !hasFailed
        case (.createFlux(let symbols, _, _, _), _): if unserved(symbols).isEmpty { return false }
        case (.getData(let symbol, _, _, _, _), let known?): if known[symbol] != nil { return false }
        default: return false
        }
        if isAsked { return true }
        guard nowNs >= askedNs + Limits.symbolListPauseNs else { return false }
        dueNs = min(dueNs, nowNs)
        return true
    }

    /// Commands that need not wait any longer: the list has come or has failed, or their time is over (`isLate`).
    package mutating func takeWaiters(nowNs: UInt64, max: Int) -> [(request: RequestKey, command: Command, isLate: Bool)] {
        let answered = readyCount
        var count = answered
        while count < waiters.count && waiters[count].untilNs <= nowNs { count += 1 }
        count = min(count, max)
        defer {
            waiters.removeFirst(count)
            readyCount -= min(count, answered)
        }
        return waiters.prefix(count).enumerated().map { ($1.request, $1.command, $0 >= answered) }
    }

    /// When `takeWaiters` has something.
    package var waitersDueNs: UInt64 { readyCount > 0 ? 0 : waiters.first?.untilNs ?? .max }

    // MARK: Names

    /// Those of which nothing comes now, by the list. Without one: none.
    package func unserved(_ symbols: [Symbol]) -> [RefusedSymbol] {
        guard let known else { return [] }
        return symbols.compactMap { symbol in
            switch known[symbol] {
            case "TRADING": nil
            case nil: RefusedSymbol(symbol, delisted.contains(symbol) ? .delisted : .unknown)
            case let status?: RefusedSymbol(symbol, SymbolList.finalStatuses.contains(status) ? .delisted : .halted(status))
            }
        }
    }

    /// Candles of it may be asked for, whatever becomes of it.
    package func lists(_ symbol: Symbol) -> Bool { known?[symbol] != nil }

    /// - Throws: for a name that the exchange does not have, with the nearest ones that it has, or has not any more. Without a list
    ///   every name passes.
    package func check(_ wanted: [Symbol]) throws(CommandError) {
        for refused in unserved(wanted) {
            switch refused.reason {
            case .unknown:
                let hint = hint(refused.symbol).map { "; \($0)?" } ?? ""
                throw CommandError(.unknownSymbol, "the exchange has no symbol '\(refused.symbol)'\(hint)")
            case .delisted: throw CommandError(.unknownSymbol, "the exchange has delisted '\(refused.symbol)'")
            case .halted, .refused: continue
            }
        }
    }

    /// `btcusd unknown (did you mean btcusdt?), lunausdt BREAK`; the first of them.
    /// - Parameter hints: for how many unknown ones the nearest may still be looked for; what is looked for is taken off.
    package func sentence(_ refused: [RefusedSymbol], hints: inout Int) -> String {
        var named: [String] = []
        for one in refused.prefix(Limits.symbolsNamedMax) {
            var hint: String?
            if one.reason == .unknown, hints > 0 {
                hints -= 1
                hint = self.hint(one.symbol).map { " (\($0)?)" }
            }
            named.append("\(one.symbol) \(one.reason.word)\(hint ?? "")")
        }
        return named.joined(separator: ", ") + (named.count < refused.count ? ", …" : "")
    }

    private func hint(_ symbol: Symbol) -> String? {
        let near = SymbolList.nearest(to: symbol.name, among: (known ?? [:]).keys.map(\.name), count: 3)
        return near.isEmpty ? nil : "did you mean \(near.joined(separator: ", "))"
    }

    /// The closest by edit distance, nearest first; none that is further than a third of the name.
    package static func nearest(to name: String, among names: [String], count: Int) -> [String] {
        let letters = Array(name.unicodeScalars)
        let most = max(1, letters.count / 3)
        var found: [(distance: Int, name: String)] = []
        for other in names {
            let others = Array(other.unicodeScalars)
            guard abs(others.count - letters.count) <= most else { continue }
            let distance = distance(letters, others)
            if distance <= most { found.append((distance, other)) }
        }
        return found.sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }.prefix(count).map(\.name)
    }

    /// Levenshtein distance: characters to insert, leave out or replace.
    private static func distance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
        var row = Array(0...b.count)
        for (i, letter) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in b.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (letter == other ? 0 : 1))
                diagonal = above
            }
        }
        return row[b.count]
    }
}
