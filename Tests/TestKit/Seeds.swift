// What all randomised tests share: fixed seeds, so that a red run is red again, and small generators.

package import FastFeed
import Foundation

/// The default seeds. A failure names the one it ran with.
package let seeds: [UInt64] = [1, 2, 3, 0xFEED]

/// Those of worlds of sinks: so many as FASTFEED_SEEDS says, or enough to be quick.
package let sinkSeeds: [UInt64] =
    ProcessInfo.processInfo.environment["FASTFEED_SEEDS"].flatMap(UInt64.init).map { Array(1...max(1, $0)) } ?? seeds + Array(10..<40)

extension SplitMix64 {
    package mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
    package mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
    package mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next()) }

    package mutating func bytes(_ count: Int) -> [UInt8] {
        var made = [UInt8]()
        made.reserveCapacity(count)
        for _ in 0..<count { made.append(byte()) }
        return made
    }

    package mutating func pick<Element>(_ list: [Element]) -> Element { list[below(list.count)] }

    /// Splits a count into pieces of 1…`longest`.
    package mutating func pieces(of count: Int, longest: Int) -> [Int] {
        var left = count
        var pieces: [Int] = []
        while left > 0 {
            let piece = min(left, 1 + below(longest))
            pieces.append(piece)
            left -= piece
        }
        return pieces
    }
}

/// Collects what went wrong in a long loop; `#expect` itself is too slow to call a million times.
package struct Complaints {
    package private(set) var list: [String] = []
    package private(set) var count = 0

    package init() {}

    package mutating func check(_ ok: Bool, _ what: @autoclosure () -> String) {
        guard !ok else { return }
        count += 1
        if list.count < 10 { list.append(what()) }
    }

    package var isEmpty: Bool { count == 0 }
    package var summary: String { "\(count) complaints, the first: " + list.joined(separator: " | ") }
}
