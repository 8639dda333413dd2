// How latencies went over a run: a small histogram for each tenth of a second, by the instant at which an update was due.
// What was due in a stall counts in the slice of the stall, however late it arrived.

struct LatencyTimeline: Sendable {
    static let sliceNs: UInt64 = 100_000_000
    /// Four to an octave from a microsecond: each a quarter wide or less.
    private static let bucketCount = 128

    let startNs: UInt64
    private var counts: [UInt32] = []

    init(startNs: UInt64) { self.startNs = startNs }

    var sliceCount: Int { counts.count / LatencyTimeline.bucketCount }

    /// The slice in which `ns` lies; it may not be there yet.
    func slice(_ ns: UInt64) -> Int { Int((max(ns, startNs) - startNs) / LatencyTimeline.sliceNs) }

    mutating func record(dueNs: UInt64, latencyNs: UInt64) {
        guard dueNs >= startNs else { return }
        let index = slice(dueNs)
        if index >= sliceCount { counts += Array(repeating: 0, count: (index + 1 - sliceCount) * LatencyTimeline.bucketCount) }
        counts[index * LatencyTimeline.bucketCount + LatencyTimeline.bucket(latencyNs)] += 1
    }

    /// Microseconds that this share of a slice's updates took at most. Nil: nothing was due in it.
    func quantile(_ share: Double, slice: Int) -> Double? {
        guard slice < sliceCount else { return nil }
        let row = counts[(slice * LatencyTimeline.bucketCount)..<((slice + 1) * LatencyTimeline.bucketCount)]
        let total = row.reduce(0) { $0 + UInt64($1) }
        guard total > 0 else { return nil }
        var left = UInt64((Double(total) * share).rounded(.up))
        for (bucket, count) in row.enumerated() {
            if UInt64(count) >= left { return LatencyTimeline.upperMicroseconds(bucket) }
            left -= UInt64(count)
        }
        return nil
    }

    private static func bucket(_ ns: UInt64) -> Int {
        let quarters = max(4, ns / 250)
        let octave = 61 - quarters.leadingZeroBitCount
        return min(bucketCount - 1, octave * 4 + Int(quarters >> UInt64(octave)) - 4)
    }

    private static func upperMicroseconds(_ bucket: Int) -> Double { Double((5 + bucket % 4) << (bucket / 4)) / 4 }
}
