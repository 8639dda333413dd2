// Latencies of one or several runs in an HdrHistogram (nanoseconds, three digits), and what is told of them. A plain value.

import FastFeed
import Histogram

struct Latencies {
    private static let highestNs: UInt64 = 120_000_000_000
    private static let empty = Histogram<UInt64>(highestTrackableValue: highestNs, numberOfSignificantValueDigits: .three)

    private var all = Latencies.empty
    private var round = Latencies.empty
    /// Of each round, microseconds.
    private var samples: [String: [Double]] = ["p50": [], "p99": []]

    /// Of all rounds ended.
    var count: UInt64 { all.totalCount }

    @inline(__always)
    mutating func record(_ ns: UInt64, count: UInt64 = 1) { _ = round.record(min(max(ns, 1), Latencies.highestNs), count: count) }

    /// A round of the engine's own. It keeps its latencies in buckets 1.6 % wide; each counts as its upper end.
    mutating func addRound(_ snapshot: HistogramSnapshot) {
        for bucket in snapshot.buckets { record(bucket.upperBoundNs, count: bucket.count) }
        endRound()
    }

    /// The rounds of others behind one's own.
    mutating func add(_ other: Latencies) {
        all.add(other.all)
        samples.merge(other.samples, uniquingKeysWith: +)
    }

    mutating func endRound() {
        guard round.totalCount > 0 else { return }
        for (name, percent) in [("p50", 50.0), ("p99", 99)] { samples[name]!.append(Double(round.valueAtPercentile(percent)) / 1_000) }
        all.add(round)
        round.reset()
    }

    /// All rounds together as one measure, microseconds.
    func measure(_ name: String, better: Measure.Direction = .lower, isPictured: Bool = false, note: String? = nil) -> Measure {
        var values = ["n": Double(count)]
        if count > 0 {
            for (name, percent) in [("p50", 50), ("p90", 90), ("p99", 99), ("p99.9", 99.9), ("p99.99", 99.99)] {
                values[name] = Double(all.valueAtPercentile(percent)) / 1_000
            }
            values["max"] = Double(all.maxRecorded) / 1_000
        }
        return Measure(
            name: name, unit: "us", better: better, values: values, samples: samples, bars: bars(), isPictured: isPictured, note: note)
    }

    /// Powers of two of microseconds, twelve bars at most: what lies beyond is in the last one.
    private func bars() -> [Measure.Bar] {
        guard count > 0 else { return [] }
        func exponent(_ ns: UInt64) -> Int { ns < 1_000 ? 0 : 64 - (ns / 1_000).leadingZeroBitCount }
        let first = exponent(all.minNonZero)
        let last = min(exponent(all.maxRecorded), first + 11)
        return (first...last).map { step in
            let from: UInt64 = step == 0 ? 0 : 1_000 << UInt64(step - 1)
            let until: UInt64 = step == last ? Latencies.highestNs : 1_000 << UInt64(step)
            return Measure.Bar(
                from: Double(from) / 1_000, until: Double(step == last ? all.maxRecorded : until) / 1_000,
                count: all.count(within: from...(until - 1)))
        }
    }
}
