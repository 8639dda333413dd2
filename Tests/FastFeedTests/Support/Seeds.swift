// What all randomised tests share: fixed seeds, so that a red run is red again, and small generators.

import FastFeed

/// The default seeds. A failure names the one it ran with.
let seeds: [UInt64] = [1, 2, 3, 0xFEED]

extension SplitMix64 {
    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
    mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next()) }

    mutating func bytes(_ count: Int) -> [UInt8] {
        var made = [UInt8]()
        made.reserveCapacity(count)
        for _ in 0..<count { made.append(byte()) }
        return made
    }

    mutating func pick<Element>(_ list: [Element]) -> Element { list[below(list.count)] }

    /// Splits a count into pieces of 1…`longest`.
    mutating func pieces(of count: Int, longest: Int) -> [Int] {
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
struct Complaints {
    private(set) var list: [String] = []
    private(set) var count = 0

    mutating func check(_ ok: Bool, _ what: @autoclosure () -> String) {
        guard !ok else { return }
        count += 1
        if list.count < 10 { list.append(what()) }
    }

    var isEmpty: Bool { count == 0 }
    var summary: String { "\(count) complaints, the first: " + list.joined(separator: " | ") }
}
