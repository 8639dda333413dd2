// Latencies of one or several runs in an HdrHistogram (nanoseconds, three digits), and what is told of them;
// and how they went over a run, by the engine's own histogram. Plain values, one thread at a time.

import FastFeed
import Histogram

struct Latencies {
    private var all = Latencies.empty()
    private var round = Latencies.empty()
    private var roundP50: [Double] = []
    private var roundP99: [Double] = []

    /// From `quantile` up to which share of all values lies below.
    private static let ladder: [(name: String, percent: Double)] = [
        ("p50", 50), ("p90", 90), ("p99", 99), ("p99.9", 99.9), ("p99.99", 99.99),
    ]
    static let highestNs: UInt64 = 120_000_000_000

    private static func empty() -> Histogram<UInt64> {
        Histogram(highestTrackableValue: highestNs, numberOfSignificantValueDigits: .three)
    }

    /// Of all rounds ended.
    var count: UInt64 { all.totalCount }

    @inline(__always)
    mutating func record(_ ns: UInt64, count: UInt64 = 1) { _ = round.record(min(max(ns, 1), Latencies.highestNs), count: count) }

    /// The engine keeps its latencies in buckets 1.6 % wide; each counts as its upper end.
    mutating func record(_ snapshot: HistogramSnapshot) {
        for bucket in snapshot.buckets { record(bucket.upperBoundNs, count: bucket.count) }
    }

    /// The rounds of others behind one's own.
    mutating func add(_ other: Latencies) {
        all.add(other.all)
        roundP50 += other.roundP50
        roundP99 += other.roundP99
    }

    mutating func endRound() {
        guard round.totalCount > 0 else { return }
        roundP50.append(Double(round.valueAtPercentile(50)) / 1_000)
        roundP99.append(Double(round.valueAtPercentile(99)) / 1_000)
        all.add(round)
        round.reset()
    }

    /// All rounds together as one measure, microseconds.
    func measure(_ name: String, better: Measure.Direction = .lower, isPictured: Bool = false, note: String? = nil) -> Measure {
        var values: [String: Double] = ["n": Double(all.totalCount)]
        for step in Latencies.ladder where all.totalCount > 0 {
            values[step.name] = Double(all.valueAtPercentile(step.percent)) / 1_000
        }
        if all.totalCount > 0 { values["max"] = Double(all.maxRecorded) / 1_000 }
        var measure = Measure(name, "us", better: better, values: values, samples: ["p50": roundP50, "p99": roundP99], note: note)
        measure.bars = bars()
        measure.isPictured = isPictured
        return measure
    }

    /// Powers of two of microseconds, twelve bars at most: what lies beyond is in the last one.
    private func bars() -> [Measure.Bar] {
        guard all.totalCount > 0 else { return [] }
        func exponent(_ ns: UInt64) -> Int { ns < 1_000 ? 0 : 64 - (ns / 1_000).leadingZeroBitCount }
        let first = exponent(all.minNonZero)
        let last = min(exponent(all.maxRecorded), first + 11)
        return (first...last).map { step in
            let from: UInt64 = step == 0 ? 0 : 1_000 << UInt64(step - 1)
            let until: UInt64 = step == last ? Latencies.highestNs : (1_000 << UInt64(step)) - 1
            return Measure.Bar(
                from: Double(from) / 1_000, until: step == last ? Double(all.maxRecorded) / 1_000 : Double(until + 1) / 1_000,
                count: all.count(within: from...until))
        }
    }
}

struct LatencyTimeline: Sendable {
    static let sliceNs: UInt64 = 100_000_000

    let startNs: UInt64
    private var slices: [LatencyHistogram] = []

    init(startNs: UInt64) { self.startNs = startNs }

    var sliceCount: Int { slices.count }

    /// The slice in which `ns` lies; it may not be there yet.
    func slice(_ ns: UInt64) -> Int { Int((max(ns, startNs) - startNs) / LatencyTimeline.sliceNs) }

    mutating func record(dueNs: UInt64, latencyNs: UInt64) {
        guard dueNs >= startNs else { return }
        let index = slice(dueNs)
        while index >= sliceCount { slices.append(LatencyHistogram()) }
        slices[index].record(latencyNs)
    }

    /// Microseconds that this share of a slice's updates took at most. Nil: nothing was due in it.
    func quantile(_ share: Double, slice: Int) -> Double? {
        guard slice < sliceCount else { return nil }
        return slices[slice].snapshot().quantile(share).map { Double($0) / 1_000 }
    }
}
