// The report: what came, what was written, what went wrong, how fast. Main thread only.

import FastFeed
import Logging

/// What has happened since the start, and at which pace since the report before.
struct ReportFigures {
    let messages, written, closedWritten, coalesced: UInt64
    let rejected, duplicates, gaps, reconnects: UInt64
    /// Only the reasons that occurred.
    let rejections: [(name: String, count: UInt64)]
    let framesPerSecond, candlesPerSecond: Double
    /// Socket to acknowledgement, ns; of the interval.
    let p50, p99, p999: UInt64?
    private let stages: StageSnapshots
    let residentBytes: UInt64
    private let heapAllocatedBytes: UInt64?
    private let counters: CounterSnapshot

    init(_ now: EngineSnapshot, since before: EngineSnapshot?) {
        let counters = now.counters
        self.counters = counters
        messages = counters[.messagesReceived]
        written = counters[.candlesWritten]
        closedWritten = counters[.closedWritten]
        coalesced = counters[.coalesced]
        rejected = counters.rejected
        duplicates = counters[.duplicates]
        gaps = counters[.gapsSeen]
        reconnects = counters[.reconnects]
        rejections = CounterID.allCases.filter { $0.isRejection && counters[$0] > 0 }.map { ($0.name, counters[$0]) }
        let seconds = Double(now.uptimeNs - (before?.uptimeNs ?? 0)) / 1e9
        func rate(_ id: CounterID) -> Double {
            seconds > 0 ? Double(counters[id] &- (before?.counters[id] ?? 0)) / seconds : 0
        }
        framesPerSecond = rate(.messagesReceived)
        candlesPerSecond = rate(.candlesWritten)
        let latency = before.map { now.latency - $0.latency } ?? now.latency
        p50 = latency.quantile(0.5)
        p99 = latency.quantile(0.99)
        p999 = latency.quantile(0.999)
        stages = before.map { now.stages - $0.stages } ?? now.stages
        residentBytes = now.residentBytes
        heapAllocatedBytes = now.heapAllocatedBytes
    }

    /// One line in columns. Trouble stands at the end, where the eye finds it.
    var line: String {
        var line = Numbers.grouped(Int(framesPerSecond.rounded())).right(7) + " frames/s "
        line += Numbers.grouped(messages).right(11) + " messages " + Numbers.grouped(written).right(11) + " written "
        line += Numbers.grouped(closedWritten).right(8) + " closed " + Numbers.grouped(coalesced).right(9) + " coalesced  "
        line += "p50/99/99.9 " + [p50, p99, p999].map { Numbers.milliseconds($0).right(4) }.joined(separator: " ") + " ms "
        line += Numbers.mebibytes(residentBytes).right(6) + " MiB  rejected \(Numbers.grouped(rejected))"
        let reasons = rejections.map { "\($0.name.dropFirst("rejected_".count)) \($0.count)" }
        if !reasons.isEmpty { line += " (" + reasons.joined(separator: ", ") + ")" }
        if counters.closedLost > 0 { line += "  lost \(Numbers.grouped(counters.closedLost))" }
        return line + "  duplicates \(Numbers.grouped(duplicates))  gaps \(gaps)  reconnects \(reconnects)"
    }

    /// All counters under their names, so that whoever reads the log can balance the books; sums and paces beside them.
    var fields: Logger.Metadata {
        var fields: Logger.Metadata = [
            "messages": .stringConvertible(messages), "rejected": .stringConvertible(rejected), "gaps": .stringConvertible(gaps),
            "frames_per_second": .stringConvertible((framesPerSecond * 10).rounded() / 10),
            "candles_per_second": .stringConvertible((candlesPerSecond * 10).rounded() / 10),
            Field.residentBytes: .stringConvertible(residentBytes), Field.closedLost: .stringConvertible(counters.closedLost),
        ]
        if let heapAllocatedBytes { fields["heap_allocated_bytes"] = .stringConvertible(heapAllocatedBytes) }
        for id in CounterID.allCases { fields[id.name] = .stringConvertible(counters[id]) }
        for (quantile, value) in [("p50", p50), ("p99", p99), ("p999", p999)] {
            if let value { fields[Field.latency(quantile)] = .stringConvertible(value / 1_000) }
        }
        for stage in LatencyStage.allCases {
            for (figure, share) in [("p50", 0.5), ("p99", 0.99)] {
                guard let value = stages[stage].quantile(share) else { continue }
                fields[Field.latency(figure, stage: stage.name)] = .stringConvertible(value / 1_000)
            }
        }
        return fields
    }
}

struct Reporter {
    private let format: LogFormat
    private var before: EngineSnapshot?

    init(format: LogFormat) { self.format = format }

    /// - Parameter isFinal: the last report looks at the whole run.
    mutating func report(_ snapshot: EngineSnapshot, to logger: Logger, isFinal: Bool = false) {
        let figures = ReportFigures(snapshot, since: isFinal ? nil : before)
        before = snapshot
        switch format {
        case .text: logger.info("\((isFinal ? "total" : "report").left(6))\(figures.line)")
        case .json: logger.info(isFinal ? "total" : "report", metadata: figures.fields)
        }
    }
}
