// How fluxes stand, from what the sink says of their series; and when that is to be asked and written again.
// Pure but for the names; the control thread's alone.

struct FluxStanding: Equatable {
    var state = FluxState.starting
    /// Event time of the newest update, Unix ms; 0 for none.
    var lastUpdateMs: Int64 = 0
    var candlesTotal: UInt64 = 0
    var gapsOpen: UInt64 = 0
    var seriesLive = 0
}

struct StatusBoard {
    static let refreshNs: UInt64 = 2_000_000_000
    /// Keys vanish when nobody writes them for so long.
    static let expirySeconds = 10

    private var standings: [String: FluxStanding] = [:]
    private var written: [String: (standing: FluxStanding, atNs: UInt64)] = [:]
    /// What was asked of the sink and is not answered yet: the flux of each id.
    private(set) var asked: [(flux: String, count: Int)] = []
    private(set) var isAsked = false
    private var nextNs: UInt64 = 0
    var hasMore = false

    /// When control must look again.
    var dueNs: UInt64 {
        if hasMore { return 0 }
        // The sink's answer wakes us.
        return isAsked ? .max : nextNs
    }

    mutating func markDue() { nextNs = 0 }
    mutating func forget(_ id: String) { (standings[id], written[id]) = (nil, nil) }
    mutating func forgetWritten() {
        written = [:]
        nextNs = 0
    }

    /// One question at a time: an answer must find the list it was asked with.
    func isDue(_ nowNs: UInt64) -> Bool { !isAsked && nowNs >= nextNs }

    mutating func ask(_ list: [(flux: String, count: Int)], nowNs: UInt64) {
        (asked, isAsked, nextNs) = (list, true, nowNs + StatusBoard.refreshNs)
    }

    /// The sink has no room for a question just now.
    mutating func askLater(_ nowNs: UInt64) { nextNs = nowNs + 1_000_000 }

    mutating func endAsking() { (asked, isAsked) = ([], false) }

    func standing(of id: String) -> FluxStanding { standings[id] ?? FluxStanding() }

    mutating func set(_ id: String, _ standing: FluxStanding) { standings[id] = standing }

    /// A status is written when it has changed, and often enough not to expire.
    mutating func mustWrite(_ id: String, nowNs: UInt64) -> Bool {
        let standing = standing(of: id)
        if let last = written[id], last.standing == standing, nowNs &- last.atNs < 2 * StatusBoard.refreshNs { return false }
        written[id] = (standing, nowNs)
        return true
    }

    /// A flux whose newest update is older than this is stale: a bar's end is due each minute at the latest, and each
    /// second on the shortest interval.
    static func staleAfterMs(_ interval: Interval) -> Int64 { min(interval.lengthMs ?? 60_000, 60_000) + 15_000 }

    /// - Parameters:
    ///   - refusedCount: series that the exchange does not know; nothing is expected of them.
    ///   - ageMs: since the flux was created or resumed.
    static func judge(_ flux: Flux, _ reports: ArraySlice<SeriesReport>, refusedCount: Int, ageMs: Int64, nowNs: UInt64) -> FluxStanding {
        var standing = FluxStanding()
        var newestNs: UInt64 = 0
        for report in reports {
            standing.candlesTotal += report.closedCount
            standing.gapsOpen += UInt64(report.missingCount)
            guard report.receivedNs > 0 else { continue }
            standing.seriesLive += 1
            standing.lastUpdateMs = max(standing.lastUpdateMs, report.eventTimeMs)
            newestNs = max(newestNs, report.receivedNs)
        }
        let staleMs = staleAfterMs(flux.interval)
        let silentMs = newestNs == 0 ? ageMs : Int64(clamping: (nowNs &- min(newestNs, nowNs)) / 1_000_000)
        if silentMs > staleMs {
            standing.state = .stale
        } else if standing.seriesLive == 0 || standing.seriesLive + refusedCount < flux.symbols.count && ageMs < 60_000 {
            standing.state = .starting
        } else {
            standing.state = .live
        }
        return standing
    }
}
