// Latencies in fixed memory: log-linear buckets, 64 per power of two (values kept to 1.6 %), one writing
// thread, any reader, nothing allocated after the start. (HdrHistogram, which the benchmarks use, grows and
// is not readable while it is written.)

import Synchronization

@safe package final class LatencyHistogram: @unchecked Sendable {
    private static let subBucketBits: UInt64 = 6
    private static let subBuckets: UInt64 = 64
    /// Values above 2^40 ns (18 minutes) count as that.
    private static let valueBitsMax: UInt64 = 40
    static let bucketCount = Int((valueBitsMax - subBucketBits + 1) * subBuckets)

    private let cells: UnsafeMutablePointer<Atomic<UInt64>>

    package init() {
        unsafe cells = .allocate(capacity: LatencyHistogram.bucketCount)
        for index in 0..<LatencyHistogram.bucketCount { unsafe (cells + index).initialize(to: Atomic(0)) }
    }

    deinit { unsafe cells.deallocate() }

    @inline(__always)
    static func bucket(of valueNs: UInt64) -> Int {
        let value = min(valueNs, (1 &<< valueBitsMax) &- 1)
        if value < subBuckets { return Int(value) }
        let exponent = UInt64(63 &- value.leadingZeroBitCount)
        let sub = (value &>> (exponent &- subBucketBits)) & (subBuckets &- 1)
        return Int((exponent &- subBucketBits &+ 1) &* subBuckets &+ sub)
    }

    /// The largest value that falls into a bucket.
    static func upperBound(of bucket: Int) -> UInt64 {
        let index = UInt64(bucket)
        if index < subBuckets { return index }
        let exponent = index / subBuckets + subBucketBits - 1
        let sub = index % subBuckets
        let width: UInt64 = 1 << (exponent - subBucketBits)
        return (subBuckets + sub) * width + width - 1
    }

    /// Counts a span so often. Owner thread only.
    @inline(__always)
    package func record(_ valueNs: UInt64, count: UInt64 = 1) {
        let cell = unsafe cells + LatencyHistogram.bucket(of: valueNs)
        unsafe cell.pointee.store(cell.pointee.load(ordering: .relaxed) &+ count, ordering: .relaxed)
    }

    package func snapshot() -> HistogramSnapshot {
        let isUsed = { (bucket: Int) in unsafe self.cells[bucket].load(ordering: .relaxed) > 0 }
        let all = 0..<LatencyHistogram.bucketCount
        guard let first = all.first(where: isUsed), let last = all.last(where: isUsed) else {
            return HistogramSnapshot(first: 0, counts: [])
        }
        return HistogramSnapshot(first: first, counts: (first...last).map { unsafe cells[$0].load(ordering: .relaxed) })
    }
}

/// A copy of a histogram; the difference of two is the time between them.
public struct HistogramSnapshot: Sendable {
    /// From the first bucket that holds something to the last one: a third of all, as a rule. Who looks back keeps many of these.
    private let first: Int
    private let counts: [UInt64]

    fileprivate init(first: Int, counts: [UInt64]) { (self.first, self.counts) = (first, counts) }

    /// How many values were recorded.
    public var count: UInt64 { counts.reduce(0, &+) }

    /// The value in ns that a share of all values (0…1) does not exceed; nil when there is none.
    public func quantile(_ share: Double) -> UInt64? {
        let total = count
        guard total > 0 else { return nil }
        let rank = max(1, UInt64((share * Double(total)).rounded(.up)))
        var seen: UInt64 = 0
        for (index, bucketCount) in counts.enumerated() {
            seen += bucketCount
            if seen >= rank { return LatencyHistogram.upperBound(of: first + index) }
        }
        return nil
    }

    /// The buckets that hold something, smallest values first: the largest value of each, and how many there are.
    public var buckets: [(upperBoundNs: UInt64, count: UInt64)] {
        counts.indices.compactMap { counts[$0] == 0 ? nil : (LatencyHistogram.upperBound(of: first + $0), counts[$0]) }
    }

    /// - Parameter earlier: of the same histogram, so that it holds nothing where `later` does not.
    package static func - (later: HistogramSnapshot, earlier: HistogramSnapshot) -> HistogramSnapshot {
        let offset = later.first - earlier.first
        let counts = later.counts.indices.map { index in
            let other = index + offset
            return later.counts[index] &- (earlier.counts.indices.contains(other) ? earlier.counts[other] : 0)
        }
        return HistogramSnapshot(first: later.first, counts: counts)
    }
}

extension HistogramSnapshot {
    /// How many values were at most each of these; a value counts by the largest of its cell, so that it errs to the slow side by 1.6 %.
    /// - Parameter edgesNs: ascending.
    package func cumulative(_ edgesNs: [UInt64]) -> [UInt64] {
        var (cells, sum) = (buckets[...], UInt64(0))
        return edgesNs.map { edge in
            while let cell = cells.first, cell.upperBoundNs <= edge {
                sum += cell.count
                cells.removeFirst()
            }
            return sum
        }
    }

    /// All values together, from the middles of their cells: within 0.8 %.
    package var sumNs: Double {
        buckets.reduce(0) { sum, cell in
            let exponent = 63 - cell.upperBoundNs.leadingZeroBitCount
            let width = exponent > 6 ? Double(1 << (exponent - 6)) : 1
            return sum + (Double(cell.upperBoundNs) - (width - 1) / 2) * Double(cell.count)
        }
    }
}
