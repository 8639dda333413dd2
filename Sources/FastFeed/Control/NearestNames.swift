// Names that look like another. Pure.

package enum NearestNames {
    /// The closest by edit distance, nearest first; none that is further than a third of the name.
    package static func of(_ name: String, among names: [String], count: Int) -> [String] {
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
