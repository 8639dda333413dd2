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
        let near = SymbolList.nearest(to: stranger.name, among: known.map(\.name), count: 3)
        let hint = near.isEmpty ? "" : "; did you mean \(near.joined(separator: ", "))?"
        throw CommandError(.unknownSymbol, "the exchange has no symbol '\(stranger)'\(hint)")
    }

    // MARK: Names that look like another

    /// The closest by edit distance, nearest first; none that is further than a third of the name.
    package static func nearest(to name: String, among names: [String], count: Int) -> [String] {
        let bytes = Array(name.utf8)
        let most = max(1, bytes.count / 3)
        var found: [(distance: Int, name: String)] = []
        for other in names where abs(other.utf8.count - bytes.count) <= most {
            let distance = distance(bytes, Array(other.utf8))
            if distance <= most { found.append((distance, other)) }
        }
        return found.sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }.prefix(count).map(\.name)
    }

    /// Levenshtein.
    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var row = Array(0...b.count)
        for (i, byte) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in b.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (byte == other ? 0 : 1))
                diagonal = above
            }
        }
        return row[b.count]
    }
}
