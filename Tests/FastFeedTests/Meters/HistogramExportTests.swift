// What a histogram says to Prometheus: buckets that err to the slow side by a cell at most, and a sum within a hundredth.

import FastFeed
import TestKit
import Testing

struct HistogramExportTests {
    private let edgesNs: [UInt64] = [50_000, 100_000, 250_000, 500_000, 1_000_000, 10_000_000, 1_000_000_000]

    @Test func bucketsAndSum() {
        let histogram = LatencyHistogram()
        #expect(histogram.snapshot().cumulative(edgesNs) == Array(repeating: 0, count: edgesNs.count) && histogram.snapshot().sumNs == 0)
        var random = SplitMix64(seed: 14)
        var values: [UInt64] = []
        for _ in 0..<20_000 {
            // Over seven orders of magnitude.
            let value = random.next() >> (random.next() % 24 + 28)
            values.append(value)
            histogram.record(value)
        }
        let snapshot = histogram.snapshot()
        let counts = snapshot.cumulative(edgesNs)
        for (edge, count) in zip(edgesNs, counts) {
            let exact = values.count { $0 <= edge }
            // Those within a cell of the edge may count as beyond it, none as below.
            let surely = values.count { Double($0) <= Double(edge) / 1.016 }
            #expect(Int(count) <= exact && Int(count) >= surely, "\(edge): \(count) of \(exact), surely \(surely)")
        }
        #expect(zip(counts, counts.dropFirst()).allSatisfy { $0 <= $1 } && counts.last! <= snapshot.count)
        let sum = values.reduce(0) { $0 + Double($1) }
        #expect(abs(snapshot.sumNs - sum) < sum / 100, "\(snapshot.sumNs) of \(sum)")
    }
}
