// The books of latency: every state written counts once in each stage of its way, and the stages add up to the whole, as exactly as
// buckets are: a value is kept as at most a part in 64 more than it is. Pure.

package import FastFeed

package enum StageBooks {
    /// What does not hold; empty when all does.
    package static func complaints(_ whole: HistogramSnapshot, _ stages: StageSnapshots, written: UInt64) -> [String] {
        func sum(_ histogram: HistogramSnapshot) -> UInt64 { histogram.buckets.reduce(0) { $0 + $1.upperBoundNs * $1.count } }
        let named = [("the whole", whole)] + LatencyStage.allCases.map { ($0.name, stages[$0]) }
        var complaints = named.filter { $0.1.count != written }.map { "\($0.0) has \($0.1.count) states, \(written) were written" }
        let (total, parts) = (sum(whole), LatencyStage.allCases.reduce(0) { $0 + sum(stages[$1]) })
        if max(total, parts) - min(total, parts) > min(total, parts) / 64 {
            complaints.append("the stages come to \(parts) ns, the whole to \(total) ns")
        }
        return complaints
    }
}
