// How a flux stands, and how the service does: judged from what the sink says of series and the readers of connections. Pure.

package struct FluxStanding: Equatable, Sendable {
    package var state = FluxState.starting
    /// When the newest update came, by our clock (the exchange's may differ), Unix ms; 0 for none.
    package var lastUpdateMs: Int64 = 0
    package var candlesTotal: UInt64 = 0
    package var gapsOpen: UInt64 = 0
    package var seriesLive = 0
    package var updatesTotal: UInt64 = 0

    /// The standing before anything is known.
    package init() {}

    /// - Parameters:
    ///   - reports: of the flux's series, or of some of them.
    ///   - refused: symbols of these series of which nothing is expected.
    ///   - isHealing: candles that one of these series has missed are being fetched.
    ///   - ageMs: since the flux was created or resumed.
    package init(
        _ interval: Interval, _ reports: ArraySlice<SeriesReport>, refused: [RefusedSymbol], isHealing: Bool = false, ageMs: Int64,
        nowNs: UInt64, nowMs: Int64
    ) {
        var (newestNs, quietCount): (UInt64, Int) = (0, 0)
        for report in reports {
            candlesTotal += report.closedCount
            gapsOpen += UInt64(report.missingCount)
            updatesTotal += report.updateCount
            if report.isQuiet { quietCount += 1 }
            guard report.receivedNs > 0 else { continue }
            let ageNs = nowNs &- min(report.receivedNs, nowNs)
            if !report.isQuiet && ageNs / 1_000_000 <= FluxStanding.staleAfterMs(interval) { seriesLive += 1 }
            lastUpdateMs = max(lastUpdateMs, report.receivedMs(nowNs: nowNs, nowMs: nowMs))
            newestNs = max(newestNs, report.receivedNs)
        }
        // What is as it should be, though nothing comes.
        seriesLive += quietCount
        let silentMs = newestNs == 0 ? ageMs : Int64(clamping: (nowNs &- min(newestNs, nowNs)) / 1_000_000)
        let isExplained = quietCount > 0 && seriesLive + refused.count >= reports.count
        let isSilent = !isExplained && silentMs > FluxStanding.staleAfterMs(interval)
        if isSilent || seriesLive == 0, refused.count == reports.count, let ended = FluxState(ended: refused) {
            (state, seriesLive) = (ended, 0)
        } else if isSilent {
            state = .stale
        } else if seriesLive == 0 || seriesLive + refused.count < reports.count && ageMs < Limits.startingMs {
            state = .starting
        } else {
            state = isHealing ? .healing : .live
        }
    }

    /// A flux whose newest update is older than this is stale, unless nobody trades any of its symbols: a bar's end is due each minute at the
    /// latest, and each second on the shortest interval.
    private static func staleAfterMs(_ interval: Interval) -> Int64 { min(interval.lengthMs ?? 60_000, 60_000) + 15_000 }
}

extension SeriesReport {
    /// When the newest state came, Unix ms by our clock.
    func receivedMs(nowNs: UInt64, nowMs: Int64) -> Int64 { nowMs - Int64(clamping: (nowNs &- min(receivedNs, nowNs)) / 1_000_000) }
}

extension ServiceState {
    /// - Parameter ageMs: since the service has started.
    package init(connectionsLive: Int, connectionsWanted: Int, ageMs: Int64) {
        if connectionsLive >= connectionsWanted { self = .live } else { self = ageMs < Limits.startingMs ? .starting : .degraded }
    }
}
