// What the scale's runs come to: a table, and what a series adds.

import FastFeed

/// All figures, and what they grow by.
struct ScaleTable {
    private var cases: [ScaleCase] = []
    private var values: [String: [String: [Double]]] = [:]

    private static let columns = ["connections", "frames", "written", "cpu", "cpu-share", "redis-cpu", "rss", "anonymous", "p50", "p99"]
    /// Goal 8.
    private static let residentAt300Max = 20.0
    private static let bytesPerSeriesMax = 1_600.0

    mutating func add(_ one: ScaleCase, _ figures: [String: Double]) {
        if values[one.name] == nil { cases.append(one) }
        for (figure, value) in figures { values[one.name, default: [:]][figure, default: []].append(value) }
    }

    private func typical(_ one: ScaleCase, _ figure: String) -> Double? { values[one.name]?[figure].map(median) }

    func measures() -> [Measure] {
        cases.flatMap { one in
            (values[one.name] ?? [:]).sorted { $0.key < $1.key }.map { figure, rounds in
                Measure(
                    "scale/\(one.name)/\(figure)", ScaleCase.units[figure] ?? "", better: ScaleCase.direction(figure), rounds: rounds)
            }
        }
            + growths().map { Measure("scale/\($0.name)", $0.unit, rounds: [$0.value], note: $0.note) }
    }

    private typealias Growth = (name: String, unit: String, value: Double, note: String?)

    /// Of each load and variant: what a series adds, as the slope of a line through the sizes; and what the cost of a frame
    /// has become from a hundred series to the most.
    private func growths() -> [Growth] {
        var list: [Growth] = []
        for (group, members) in Dictionary(grouping: cases.filter(\.isOfSizes), by: { "\($0.load.rawValue)/\($0.variant)" }).sorted(by: {
            $0.key < $1.key
        }) where members.count >= 3 {
            for (figure, name, scale, unit) in [
                ("rss", "rss-per-series", 1e6, "bytes"), ("anonymous", "anonymous-per-series", 1e6, "bytes"),
                ("cpu-share", "cpu-per-series", 1e4, "us/s"),
            ] where figure != "cpu-share" || members[0].load == .paced {
                let points = members.compactMap { one in typical(one, figure).map { (x: Double(one.series), y: $0 * scale) } }
                guard let slope = ScaleTable.slope(points) else { continue }
                let goal = figure == "rss" ? ScaleTable.goal(slope, ScaleTable.bytesPerSeriesMax) : nil
                list.append(("\(group)/\(name)", unit, slope, goal))
            }
            if let one = members.first(where: { $0.series == 300 }), let rss = typical(one, "rss") {
                list.append(("\(group)/rss-at-300", "MB", rss, ScaleTable.goal(rss, ScaleTable.residentAt300Max)))
            }
            if members[0].load == .saturated, let first = members.first(where: { $0.series == 100 }),
                let last = members.max(by: { $0.series < $1.series }), let from = typical(first, "cpu"), let to = typical(last, "cpu")
            {
                list.append(("\(group)/cpu-\(last.series)-to-100", "ratio", to / from, nil))
            }
        }
        return list
    }

    private static func goal(_ value: Double, _ limit: Double) -> String {
        "goal 8: ≤ \(shown(limit)), \(value <= limit ? "met" : "MISSED")"
    }

    /// Least squares.
    static func slope(_ points: [(x: Double, y: Double)]) -> Double? {
        guard points.count >= 2 else { return nil }
        let count = Double(points.count)
        let (meanX, meanY) = (points.reduce(0) { $0 + $1.x } / count, points.reduce(0) { $0 + $1.y } / count)
        let spread = points.reduce(0) { $0 + ($1.x - meanX) * ($1.x - meanX) }
        return spread > 0 ? points.reduce(0) { $0 + ($1.x - meanX) * ($1.y - meanY) } / spread : nil
    }

    func text() -> String {
        var lines = ["case".left(44) + ScaleTable.columns.map { $0.right(13) }.joined()]
        lines.append("".left(44) + ScaleTable.columns.map { (ScaleCase.units[$0] ?? "").right(13) }.joined())
        for one in cases {
            lines.append(one.name.left(44) + ScaleTable.columns.map { (typical(one, $0).map(shown) ?? "-").right(13) }.joined())
        }
        lines.append("")
        for growth in growths() {
            lines.append(
                growth.name.left(56) + shown(growth.value).right(10) + " " + growth.unit + (growth.note.map { "  (\($0))" } ?? ""))
        }
        return lines.joined(separator: "\n")
    }
}
