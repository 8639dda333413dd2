// What a benchmark hands back: named figures with a unit, the single rounds behind them, and for latencies the shape
// of the distribution. The same values go into the table for people and into the JSON document. Plain values.

import Foundation

/// One measured quantity.
struct Measure: Codable {
    enum Direction: String, Codable {
        /// More is better: rates.
        case higher
        /// Less is better: costs, latencies.
        case lower
        /// Says how the run was, and is not compared.
        case neither
    }

    /// One bar of a latency distribution, microseconds.
    struct Bar: Codable {
        let from, until: Double
        let count: UInt64
    }

    let name, unit: String
    let better: Direction
    /// By the names of `Measure.order`.
    var values: [String: Double]
    /// The rounds behind `values["median"]`, or each round's p50 and p99.
    var samples: [String: [Double]]
    var bars: [Bar]?
    /// The table shows the bars; the document has them always.
    var isPictured = false
    /// What a reader must know of this figure.
    var note: String?

    /// The order in which values are shown.
    static let order = ["median", "min", "p50", "p90", "p99", "p99.9", "p99.99", "last", "max", "n"]
}

extension Measure {
    /// The median of several rounds.
    init(_ name: String, _ unit: String, better: Direction = .lower, rounds: [Double], note: String? = nil) {
        let values = ["median": median(rounds), "min": rounds.min()!, "max": rounds.max()!, "n": Double(rounds.count)]
        self.init(name: name, unit: unit, better: better, values: values, samples: ["rounds": rounds], note: note)
    }
}

/// The line through points that has the least squares of distances, as its slope and the slope's standard error. Nil: too few points.
func slope(_ points: [(x: Double, y: Double)]) -> (slope: Double, error: Double)? {
    guard points.count >= 2 else { return nil }
    let count = Double(points.count)
    let (meanX, meanY) = (points.reduce(0) { $0 + $1.x } / count, points.reduce(0) { $0 + $1.y } / count)
    let spread = points.reduce(0) { $0 + ($1.x - meanX) * ($1.x - meanX) }
    guard spread > 0 else { return nil }
    let slope = points.reduce(0) { $0 + ($1.x - meanX) * ($1.y - meanY) } / spread
    let residue = points.reduce(0) { $0 + pow($1.y - meanY - slope * ($1.x - meanX), 2) }
    return (slope, (residue / max(1, count - 2) / spread).squareRoot())
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/// Four significant digits at most, thousands apart: for people. (The JSON document has the full value.)
func shown(_ value: Double) -> String {
    let magnitude = abs(value)
    if magnitude >= 1_000 { return Int(value.rounded()).formatted(.number.locale(Locale(identifier: "en_US"))) }
    let decimals =
        magnitude >= 100 || magnitude == magnitude.rounded() ? 0 : magnitude >= 10 ? 1 : magnitude >= 1 ? 2 : magnitude >= 0.05 ? 3 : 5
    return String(format: "%.\(decimals)f", value)
}

extension BinaryInteger {
    var megabytes: Double { Double(self) / 1e6 }
}

extension String {
    func left(_ width: Int) -> String { count >= width ? self : self + String(repeating: " ", count: width - count) }
    func right(_ width: Int) -> String { count >= width ? self : String(repeating: " ", count: width - count) + self }
}
