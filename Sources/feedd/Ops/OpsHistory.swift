// The last ten minutes, a point a second, and the latencies of the last minute. The ops thread's alone.

import FastFeed

struct OpsHistory {
    struct Point {
        var atMs: Int64
        var messages, candles, closed: Double
        /// Of that second, ns; nil when nothing was written.
        var p50, p99: UInt64?
        var pending, gapsOpen: UInt64
        var isRedisUp: Bool
    }

    private(set) var points: [Point] = []
    private var last: EngineSnapshot?
    /// Readings of the latency meters, one each ten seconds.
    private var readings: [(atNs: UInt64, latency: HistogramSnapshot, stages: StageSnapshots)] = []

    mutating func add(_ facts: OpsFacts) {
        let now = facts.snapshot
        if readings.last.map({ facts.nowNs &- $0.atNs >= 10_000_000_000 }) ?? true {
            readings.append((facts.nowNs, now.latency, now.stages))
            if readings.count > 7 { readings.removeFirst() }
        }
        defer { last = now }
        guard let last, now.uptimeNs > last.uptimeNs else { return }
        let seconds = Double(now.uptimeNs - last.uptimeNs) / 1e9
        func rate(_ id: CounterID) -> Double { Double(now.counters[id] &- last.counters[id]) / seconds }
        let latency = now.latency - last.latency
        points.append(
            Point(
                atMs: facts.nowMs, messages: rate(.messagesReceived), candles: rate(.candlesWritten), closed: rate(.closedWritten),
                p50: latency.quantile(0.5), p99: latency.quantile(0.99), pending: now.counters[.closedPending],
                gapsOpen: UInt64(facts.gaps.open), isRedisUp: now.isRedisConnected))
        if points.count > OpsLimits.pointsMax { points.removeFirst() }
    }

    /// Of the last minute; nothing where nothing was written in it.
    func minute(_ facts: OpsFacts) -> (latency: HistogramSnapshot, stages: StageSnapshots) {
        guard let first = readings.first else { return (facts.snapshot.latency, facts.snapshot.stages) }
        return (facts.snapshot.latency - first.latency, facts.snapshot.stages - first.stages)
    }
}

/// The newest warnings and errors of the log, for the page. Any thread.
final class WarningBoard: Sendable {
    struct Line: Sendable {
        let atMs: Int64
        let level: String
        let message: String
        let fields: [(String, String)]
    }

    private let state = Lock<(lines: [Line], dropped: UInt64)>(([], 0))

    func note(_ line: Line) {
        state.withLock { state in
            state.lines.append(line)
            if state.lines.count > OpsLimits.warningsMax { state.lines.removeFirst() }
        }
    }

    func noteDropped(_ count: Int) { state.withLock { $0.dropped += UInt64(max(0, count)) } }

    /// Newest first.
    var lines: [Line] { state.withLock { $0.lines.reversed() } }
    /// Log lines that were lost.
    var dropped: UInt64 { state.withLock { $0.dropped } }
}
