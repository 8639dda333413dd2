// The goals: ratios of FastFeed's figures to those of other programs in the same run, and where no other program has the
// like, the figures themselves. Plain values.

struct ReferenceGoal {
    let number: Int
    let name: String
    let figure: String
    /// Nil: the limit is of FastFeed's own figure, in its unit, and not of a ratio.
    var against: Contestant?
    let limit: Double
    var isAtLeast = false

    static let all = [
        ReferenceGoal(number: 1, name: "parse", figure: "fast", against: .scanner, limit: 1.1),
        ReferenceGoal(number: 1, name: "parse", figure: "fallback", against: .onDemandValues, limit: 1.1),
        ReferenceGoal(number: 2, name: "saturated", figure: "cpu", against: .scanner, limit: 1.2),
        ReferenceGoal(number: 2, name: "saturated", figure: "cpu", against: .onDemand, limit: 1),
        ReferenceGoal(number: 2, name: "bound", figure: "cpu", against: .scanner, limit: 1.2),
        ReferenceGoal(number: 2, name: "bound", figure: "cpu", against: .onDemand, limit: 1),
        ReferenceGoal(number: 2, name: "bound", figure: "frames-per-core", limit: 2_000_000, isAtLeast: true),
        ReferenceGoal(number: 3, name: "every-update", figure: "states", against: .scanner, limit: 0.95, isAtLeast: true),
        ReferenceGoal(number: 3, name: "every-update", figure: "cpu", against: .scanner, limit: 1.2),
        ReferenceGoal(number: 4, name: "latency-2000", figure: "p50", against: .scanner, limit: 1.1),
        ReferenceGoal(number: 4, name: "latency-2000", figure: "p99", against: .scanner, limit: 1.25),
        ReferenceGoal(number: 4, name: "spin-2000", figure: "p50", against: .feedd, limit: 0.7),
        ReferenceGoal(number: 5, name: "burst-300", figure: "p99", against: .scanner, limit: 1.2),
        ReferenceGoal(number: 6, name: "latency-20000", figure: "cpu", against: .scanner, limit: 1.1),
        ReferenceGoal(number: 6, name: "pause-20000", figure: "cpu", limit: 8),
        ReferenceGoal(number: 6, name: "pause-20000", figure: "p50", limit: 600),
        ReferenceGoal(number: 8, name: "saturated", figure: "rss", limit: 20e6 / 1_048_576),
        ReferenceGoal(number: 9, name: "wss", figure: ReferenceCase.aboveWs, limit: 0.15),
        ReferenceGoal(number: 10, name: "peers", figure: "frames", against: .cryptofeed, limit: 120, isAtLeast: true),
        ReferenceGoal(number: 10, name: "peers", figure: "cpu", against: .cryptofeed, limit: 1.0 / 200),
        ReferenceGoal(number: 10, name: "peers", figure: "frames", against: .nio, limit: 30, isAtLeast: true),
    ]

    private func isMet(_ value: Double) -> Bool { isAtLeast ? value >= limit : value <= limit }

    private func text(_ value: Double) -> String {
        let unit = against == nil ? " \(Figure.unit(figure))" : ""
        return "(goal \(number): \(isAtLeast ? "≥" : "≤") \(shown(limit))\(unit), \(isMet(value) ? "met" : "MISSED"))"
    }

    /// What is to be said behind a program's line of the table.
    /// - Parameter ratio: of the case's subject to this program.
    static func verdicts(_ one: ReferenceCase, _ figure: String, _ contestant: Contestant, value: Double, ratio: Double?) -> [String] {
        all.filter { $0.name == one.name && $0.figure == figure && ($0.against ?? one.subject).name == contestant.name }.compactMap {
            goal in
            (goal.against == nil ? value : ratio).map(goal.text)
        }
    }
}
