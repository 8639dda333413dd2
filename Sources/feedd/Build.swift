// Which program this is. Constants.

import COps
import FastFeed

enum Build {
    /// As git abbreviates it, with `-dirty` where files differed from it. Nil: not built by the scripts.
    static let commit: String? = commit(of: ops_build_commit())

    /// `0.1.0 (b7dc3ce)`, or the version alone.
    static let text = FastFeedVersion.text + (commit.map { " (\($0))" } ?? "")

    private static func commit(of number: UInt64) -> String? {
        let digits = String(number, radix: 16)
        switch digits.first {
        case "1": return String(digits.dropFirst())
        case "2": return digits.dropFirst() + "-dirty"
        default: return nil
        }
    }
}
