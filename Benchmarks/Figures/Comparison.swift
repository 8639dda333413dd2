// This run against an earlier one, figure by figure. A difference is marked only when it is larger than the noise that
// the two runs themselves show. Pure.

import FastFeed

enum Comparison {
    enum Mark: String, Codable {
        case same = "same"
        case better = "BETTER"
        case worse = "WORSE"
    }

    struct Line: Codable {
        let name, figure, unit: String
        let old, new, ratio: Double
        /// Differences up to this share are noise.
        let band: Double
        let mark: Mark
    }

    /// Figures of which a single slow moment decides are told and not marked.
    private static let unmarked = ["max", "min", "n", "p99.99"]
    /// The band of a figure of which there is but one round, and the least of any.
    private static let leastBand = 0.05

    static func lines(_ new: [Measure], against old: [Measure]) -> [Line] {
        var lines: [Line] = []
        for measure in new where measure.better != .neither {
            guard let before = old.first(where: { $0.name == measure.name && $0.unit == measure.unit }) else { continue }
            for figure in Measure.order where !unmarked.contains(figure) {
                guard let value = measure.values[figure], let oldValue = before.values[figure], oldValue > 0 else { continue }
                let band = max(Comparison.band(figure, measure), Comparison.band(figure, before))
                let ratio = value / oldValue
                let isMore = ratio > 1 + band
                let isLess = ratio < 1 / (1 + band)
                let mark: Mark = !isMore && !isLess ? .same : isMore == (measure.better == .higher) ? .better : .worse
                let unit = measure.unit
                lines.append(
                    Line(name: measure.name, figure: figure, unit: unit, old: oldValue, new: value, ratio: ratio, band: band, mark: mark))
            }
        }
        return lines
    }

    /// Half the distance between the best and the worst round, but never less than what is usual for the figure.
    private static func band(_ figure: String, _ measure: Measure) -> Double {
        let rounds = measure.samples["rounds"] ?? measure.samples[figure] ?? []
        let least =
            switch figure {
            case "p90": 0.10
            case "p99", "last": 0.25
            case "p99.9": 0.50
            default: leastBand
            }
        guard let low = rounds.min(), let high = rounds.max(), low > 0 else { return least }
        return max(least, (high - low) / (high + low))
    }

    /// What else differs between two runs and makes their figures incomparable.
    static func warnings(_ new: Document, _ old: Document) -> [String] {
        var warnings: [String] = []
        if new.machine.cpu != old.machine.cpu || new.machine.cores != old.machine.cores {
            warnings.append("another machine: \(old.machine.cores) x \(old.machine.cpu)")
        }
        if new.conditions.isQuick || old.conditions.isQuick { warnings.append("a --quick run is a smoke test, not a measurement") }
        for (document, name) in [(old, "old"), (new, "new")] where document.conditions.stealPercent > 1 {
            warnings.append("the host took \(shown(document.conditions.stealPercent)) % of the time of the \(name) run")
        }
        return warnings
    }
}
