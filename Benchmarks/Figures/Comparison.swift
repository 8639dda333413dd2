// This run against an earlier one, figure by figure. A difference is marked only when it is larger than the noise that
// the two runs themselves show. Pure.

import FastFeed

enum Comparison {
    enum Mark: String, Codable {
        case same
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

    static func lines(_ new: [Measure], against old: [Measure]) -> [Line] {
        new.filter { $0.better != .neither }.flatMap { measure -> [Line] in
            guard let before = old.first(where: { $0.name == measure.name && $0.unit == measure.unit }) else { return [] }
            return Measure.order.filter { !unmarked.contains($0) }.compactMap { figure in
                guard let new = measure.values[figure], let old = before.values[figure], old > 0 else { return nil }
                let (ratio, band) = (new / old, max(band(figure, measure), band(figure, before)))
                let isSame = max(ratio, 1 / ratio) <= 1 + band
                let mark: Mark = isSame ? .same : (ratio > 1) == (measure.better == .higher) ? .better : .worse
                return Line(
                    name: measure.name, figure: figure, unit: measure.unit, old: old, new: new, ratio: ratio, band: band, mark: mark)
            }
        }
    }

    /// Half the distance between the best and the worst round, but never less than what is usual for the figure.
    private static func band(_ figure: String, _ measure: Measure) -> Double {
        let rounds = measure.samples["rounds"] ?? measure.samples[figure] ?? []
        let least = ["p90": 0.10, "p99": 0.25, "last": 0.25, "p99.9": 0.50][figure] ?? 0.05
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
