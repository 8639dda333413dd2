// The exchange's list of symbols, once it is known, and when it is to be asked for again. Pure; the control thread's alone.

package struct SymbolList {
    /// After a failure, and as long as an answer may take.
    private static let retryNs: UInt64 = 60_000_000_000
    private static let refreshNs: UInt64 = 3_600_000_000_000

    private var known: Set<Symbol>?
    private var dueNs: UInt64 = 0

    package init() {}

    /// True when the exchange is to be asked now; then not again until an answer could have come.
    package mutating func isDue(_ nowNs: UInt64) -> Bool {
        guard nowNs >= dueNs else { return false }
        dueNs = nowNs + SymbolList.retryNs
        return true
    }

    package mutating func learn(_ symbols: [Symbol], nowNs: UInt64) {
        known = Set(symbols)
        dueNs = nowNs + SymbolList.refreshNs
    }

    /// - Throws: for a name that the exchange does not have, with the nearest ones that it has. Without a list every name passes.
    package func check(_ wanted: [Symbol]) throws(CommandError) {
        guard let known, let stranger = wanted.first(where: { !known.contains($0) }) else { return }
        let near = NearestNames.of(stranger.name, among: known.map(\.name), count: 3)
        let hint = near.isEmpty ? "" : "; did you mean \(near.joined(separator: ", "))?"
        throw CommandError(.unknownSymbol, "the exchange has no symbol '\(stranger)'\(hint)")
    }
}
