// Holes and audits, as commands ask for them. Pure but for the board, which it reads: requests come in, answers come out, now or when the
// healer has said what it found. The control thread's alone. Bound: `Limits.auditsWaitingMax` audits wait.

package struct HealDesk {
    private let market: Market
    private let gaps: GapBoard
    private var audits: [UInt64: (request: RequestKey, series: Series)] = [:]
    private var lastToken: UInt64 = 0

    package init(market: Market, gaps: GapBoard) { (self.market, self.gaps) = (market, gaps) }

    /// The holes of a symbol, an interval or a flux; nil does not restrict.
    package func list(symbol: Symbol?, interval: Interval?, flux: Flux?) -> GapList {
        let found = flux.map { $0.series(market).flatMap(gaps.gaps).sorted { $0.fromMs < $1.fromMs } } ?? gaps.all
        return GapList(
            of: found.filter { (symbol ?? $0.series.symbol) == $0.series.symbol && (interval ?? $0.series.interval) == $0.series.interval })
    }

    /// Keeps a request until its audit has ended.
    /// - Returns: what the healer is to call it.
    package mutating func wait(_ request: RequestKey, _ series: Series) throws(CommandError) -> UInt64 {
        guard audits.count < Limits.auditsWaitingMax else { throw CommandError(.busy, "too many audits at a time; try again later") }
        lastToken += 1
        audits[lastToken] = (request, series)
        return lastToken
    }

    /// An audit has ended; nil where nobody waits for it.
    package mutating func answer(
        _ token: UInt64, _ result: Result<AuditReport, RestFailure>
    ) -> (request: RequestKey, result: CommandResult)? {
        guard let (request, series) = audits.removeValue(forKey: token) else { return nil }
        switch result {
        case .success(let report):
            let audit = HistoryAudit(series, checked: report.checked, found: report.findings, repaired: report.isRepaired)
            return (request, .success(audit.members))
        case .failure(let failure): return (request, .failure(CommandError(failure, series)))
        }
    }
}

extension CommandError {
    /// The exchange was asked in vain.
    init(_ failure: RestFailure, _ series: Series) {
        switch failure {
        case .unknownSymbol: self.init(.unknownSymbol, "the exchange has no symbol '\(series.symbol)'")
        case .busy, .limited: self.init(.busy, "the exchange's limits allow no question now; try again later")
        default: self.init(.internal, "\(failure)")
        }
    }
}
