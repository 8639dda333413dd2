// What the scale's runs come to: a table, and what a series adds. Plain values.

import FastFeed

/// All figures, and what they grow by.
struct ScaleTable {
    private var cases: [ScaleCase] = []
    private var rounds = Rounds()

    private static let columns = ["connections", "frames", "written", "cpu", "cpu-share", "redis-cpu", "rss", "anonymous", "p50", "p99"]
    /// Goal 8.
    private static let residentAt300Max = 20.0
    private static let bytesPerSeriesMax = 1_600.0

    mutating func add(_ one: ScaleCase, _ round: Int, _ figures: [String: Double]) {
        if rounds.figures(one.name).isEmpty { cases.append(one) }
        rounds.add(one.name, round, figures)
    }

    /// Memory by the million bytes here, as what a series adds is said in bytes.
    private static func unit(_ figure: String) -> String { figure == "rss" ? "MB" : Figure.unit(figure) }

    func measures() -> [Measure] {
        cases.flatMap { one in
            rounds.figures(one.name).map { figure in
                Measure(
                    "scale/\(one.name)/\(figure)", ScaleTable.unit(figure), better: Figure.direction(figure),
                    rounds: rounds.all(one.name, figure))
            }
        }
            + growths()
    }

    /// Of each load and variant: what a series adds, as the slope of a line through the sizes; and what the cost of a frame
    /// has become from a hundred series to the most.
    private func growths() -> [Measure] {
        Dictionary(grouping: cases.filter(\.isOfSizes)) { "scale/\($0.load.rawValue)/\($0.variant)" }
            .filter { $0.value.count >= 3 }.sorted { $0.key < $1.key }.flatMap(growths)
    }

    private func growths(_ group: String, _ members: [ScaleCase]) -> [Measure] {
        var list: [Measure] = []
        for (figure, name, scale, unit) in [
            ("rss", "rss-per-series", 1e6, "bytes"), ("anonymous", "anonymous-per-series", 1e6, "bytes"),
            ("cpu-share", "cpu-per-series", 1e4, "us/s"),
        ] where figure != "cpu-share" || members[0].load == .paced {
            let points = members.compactMap { one in rounds.typical(one.name, figure).map { (x: Double(one.series), y: $0 * scale) } }
            guard let slope = slope(points)?.slope else { continue }
            let goal = figure == "rss" ? ScaleTable.goal(slope, ScaleTable.bytesPerSeriesMax) : nil
            list.append(Measure("\(group)/\(name)", unit, rounds: [slope], note: goal))
        }
        /// Of the member of so many series.
        func typical(_ figure: String, at series: Int) -> Double? {
            members.first { $0.series == series }.flatMap { rounds.typical($0.name, figure) }
        }
        if let rss = typical("rss", at: 300) {
            list.append(Measure("\(group)/rss-at-300", "MB", rounds: [rss], note: ScaleTable.goal(rss, ScaleTable.residentAt300Max)))
        }
        let most = members.map(\.series).max()!
        if members[0].load == .saturated, let from = typical("cpu", at: 100), let to = typical("cpu", at: most) {
            list.append(Measure("\(group)/cpu-\(most)-to-100", "ratio", rounds: [to / from]))
        }
        return list
    }

    private static func goal(_ value: Double, _ limit: Double) -> String {
        "goal 8: ≤ \(shown(limit)), \(value <= limit ? "met" : "MISSED")"
    }

    func text() -> String {
        func row(_ name: String, _ cell: (String) -> String) -> String {
            name.left(44) + ScaleTable.columns.map { cell($0).right(13) }.joined()
        }
        let table =
            [row("case") { $0 }, row("", ScaleTable.unit)]
            + cases.map { one in row(one.name) { rounds.typical(one.name, $0).map(shown) ?? "-" } }
        return (table + [""] + growths().map(TextReport.lines)).joined(separator: "\n")
    }
}
