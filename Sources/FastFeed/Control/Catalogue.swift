// The catalogue: what the exchange lists, and what was traded of it in the last 24 hours. It is kept in memory for answers, and in Redis
// with indexes (`CatalogueIndex`). Pure: lists and figures come in; rows and the requests that need not wait any longer come out. The
// control thread's alone. Bounds: `Limits.catalogueSymbolsMax` symbols; `symbolWaitersMax` requests wait, each for `symbolListWaitNs`.

/// Which instruments are wanted.
package struct SymbolQuery: Equatable, Sendable {
    package static let statusDefault = "TRADING"
    package static let limitDefault = 100

    package let quote: Symbol?
    /// The exchange's word, as `TRADING`; nil for any.
    package let status: String?
    /// A part of the name.
    package let search: Symbol?
    package let limit: Int

    package init(quote: Symbol? = nil, status: String? = statusDefault, search: Symbol? = nil, limit: Int = limitDefault) {
        (self.quote, self.status, self.search, self.limit) = (quote, status, search, limit)
    }

    /// Places of the rows that are wanted, ascending.
    func matches(in rows: [ListedSymbol]) -> [Int] {
        let (quote, part) = (quote?.upperCased, search.map { Array($0.name.utf8) })
        return rows.indices.filter { place in
            let row = rows[place]
            if let status, row.status != status { return false }
            if let quote, row.quote != quote { return false }
            return part.map { SymbolQuery.isPart($0, of: Array(row.symbol.name.utf8)) } ?? true
        }
    }

    private static func isPart(_ part: [UInt8], of name: [UInt8]) -> Bool {
        guard part.count <= name.count else { return false }
        return (0...name.count - part.count).contains { name[$0..<$0 + part.count].elementsEqual(part) }
    }
}

package struct Catalogue {
    private static let refreshNs: UInt64 = 300_000_000_000
    /// After a failure, and as long as an answer may take.
    private static let retryNs: UInt64 = 60_000_000_000
    /// Where the exchange's limits never allow the question: the exchange may publish others.
    private static let neverNs: UInt64 = 3_600_000_000_000

    private var instruments: [Instrument] = []
    private var figures: [Symbol: DayFigures] = [:]
    /// When the exchange said the figures, Unix ms.
    private var figuresMs: Int64?
    /// The last question had no answer that can be used.
    private var (listHasFailed, figuresHaveFailed) = (false, false)
    private var dueNs: UInt64 = 0
    /// By falling volume, then by name.
    package private(set) var rows: [ListedSymbol] = []
    /// The same as JSON: rendered once for all answers.
    private var rendered: [JSONValue] = []
    package var index: CatalogueIndex
    private var waiters: [(request: RequestKey, query: SymbolQuery, untilNs: UInt64)] = []

    package init(schema: KeySchema) { index = CatalogueIndex(schema: schema) }

    // MARK: The exchange

    /// True when the figures are to be asked for now; then not again until an answer could have come.
    package mutating func isDue(_ nowNs: UInt64) -> Bool {
        guard nowNs >= dueNs, !listHasFailed || !instruments.isEmpty else { return false }
        dueNs = nowNs + Catalogue.retryNs
        return true
    }

    /// - Returns: how many instruments of the list were left out, beyond `Limits.catalogueSymbolsMax`.
    @discardableResult
    package mutating func learn(_ list: [Instrument]) -> Int {
        instruments = Array(list.prefix(Limits.catalogueSymbolsMax))
        listHasFailed = false
        rank()
        return list.count - instruments.count
    }

    /// - Returns: false for an answer that says nothing, as in the exchange's maintenance, or little: it is a failure.
    @discardableResult
    package mutating func learn(_ tickers: DayTickers, nowMs: Int64, nowNs: UInt64) -> Bool {
        guard tickers.figures.count > tickers.skipped else {
            failFigures(nowNs: nowNs)
            return false
        }
        (figures, figuresMs, figuresHaveFailed) = (tickers.figures, nowMs, false)
        dueNs = nowNs + Catalogue.refreshNs
        rank()
        return true
    }

    package mutating func failList() { listHasFailed = true }

    /// The exchange has not said its figures. Those of before stay.
    package mutating func failFigures(nowNs: UInt64, mayTheyCome: Bool = true) {
        (figuresHaveFailed, dueNs) = (true, nowNs + (mayTheyCome ? Catalogue.retryNs : Catalogue.neverNs))
        // The list without them, as long as there have never been any.
        if figuresMs == nil { rank() }
    }

    private mutating func rank() {
        guard !instruments.isEmpty, figuresMs != nil || figuresHaveFailed else { return }
        let keyed = instruments.map { instrument in
            let day = figures[instrument.symbol]
            let row = ListedSymbol(
                symbol: instrument.symbol, base: instrument.base, quote: instrument.quote, status: instrument.status,
                lastPrice: day?.lastPrice, priceChangePercent: day?.priceChangePercent, quoteVolume: day?.quoteVolume,
                trades: day?.tradeCount)
            return (row: row, key: day?.quoteVolume.orderKey ?? [])
        }
        let ranked = keyed.sorted { a, b in
            a.key == b.key ? a.row.symbol < b.row.symbol : b.key.lexicographicallyPrecedes(a.key)
        }
        rows = ranked.map(\.row)
        rendered = rows.map { .rendered($0.json.text) }
        index.want(rows, updatedAt: figuresMs ?? 0)
    }

    // MARK: Answers

    /// The members of `ListedSymbols`.
    package func answer(_ query: SymbolQuery) throws(CommandError) -> [(String, JSONValue)] {
        guard !rows.isEmpty else { throw CommandError(.busy, "the exchange's list of symbols has not come yet; try again later") }
        let found = query.matches(in: rows)
        return ListedSymbols.members(rows: found.prefix(query.limit).map { rendered[$0] }, total: found.count, updatedAt: figuresMs)
    }

    /// Keeps a request while the first list and the first figures are on their way. False: it can be answered now.
    package mutating func postpone(_ request: RequestKey, _ query: SymbolQuery, nowNs: UInt64) -> Bool {
        guard !isSettled, waiters.count < Limits.symbolWaitersMax else { return false }
        waiters.append((request, query, nowNs + Limits.symbolListWaitNs))
        return true
    }

    private var isSettled: Bool { (!instruments.isEmpty || listHasFailed) && (figuresMs != nil || figuresHaveFailed) }

    /// Takes the requests that need not wait any longer, at most so many.
    package mutating func takeWaiters(nowNs: UInt64, max: Int) -> [(request: RequestKey, query: SymbolQuery)] {
        let count = min(isSettled ? waiters.count : waiters.prefix { $0.untilNs <= nowNs }.count, max)
        defer { waiters.removeFirst(count) }
        return waiters.prefix(count).map { ($0.request, $0.query) }
    }

    /// When `takeWaiters` or the index has something.
    package var workDueNs: UInt64 {
        let waitersNs = waiters.isEmpty ? .max : isSettled ? 0 : waiters[0].untilNs
        return min(waitersNs, index.dueNs)
    }
}
