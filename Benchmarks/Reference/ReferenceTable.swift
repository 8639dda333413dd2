// What the rounds have brought: figures by case, program and round, and what follows from them: ratios, and goals. Plain values.

struct ReferenceTable {
    /// By `CASE/PROGRAM`.
    private var rounds = Rounds()

    mutating func add(_ name: String, _ contestant: String, _ round: Int, _ figures: [String: Double]) {
        rounds.add("\(name)/\(contestant)", round, figures)
        // What TLS costs. Both runs of a round are needed, whichever came first.
        guard let plain = rounds.byRound("saturated/\(contestant)", "cpu")[round],
            let secure = rounds.byRound("wss/\(contestant)", "cpu")[round]
        else { return }
        rounds.add("wss/\(contestant)", round, [ReferenceCase.aboveWs: secure - plain])
    }

    /// A figure of a program in a case.
    private struct Line {
        let one: ReferenceCase
        let contestant: Contestant
        let figure: String
        let values: [Double]
        /// The subject's figure by this program's, of each round in which both have one.
        let ratios: [Double]
    }

    /// Cases in their order, with the programs that they have.
    private func lines(_ figures: (ReferenceCase) -> [String]) -> [Line] {
        (ReferenceCase.all + [ReferenceCase.peers]).flatMap { one in
            figures(one).flatMap { figure in
                one.contestants.compactMap { contestant in
                    let values = rounds.all("\(one.name)/\(contestant.name)", figure)
                    let ratios = ratios(one, contestant, figure)
                    return values.isEmpty ? nil : Line(one: one, contestant: contestant, figure: figure, values: values, ratios: ratios)
                }
            }
        }
    }

    private func ratios(_ one: ReferenceCase, _ contestant: Contestant, _ figure: String) -> [Double] {
        // A difference may be nothing, or less: no ratio says anything of it.
        guard contestant.name != one.subject.name, figure != ReferenceCase.aboveWs else { return [] }
        let others = rounds.byRound("\(one.name)/\(contestant.name)", figure)
        return rounds.byRound("\(one.name)/\(one.subject.name)", figure).sorted { $0.key < $1.key }.compactMap { round, own in
            others[round].flatMap { $0 > 0 ? own / $0 : nil }
        }
    }

    func measures() -> [Measure] {
        lines { one in Set(one.contestants.flatMap { rounds.figures("\(one.name)/\($0.name)") }).sorted() }.flatMap { line in
            let (name, better) = (line.one.name, Figure.direction(line.figure))
            let own = Measure(
                "\(name)/\(line.contestant.name)/\(line.figure)", Figure.unit(line.figure), better: better, rounds: line.values)
            guard !line.ratios.isEmpty else { return [own] }
            let title = "\(name)/\(line.one.subject.name)-to-\(line.contestant.name)/\(line.figure)"
            return [own, Measure(title, "ratio", better: better, rounds: line.ratios)]
        }
    }

    func text() -> String {
        let head =
            "case".left(16) + "figure".left(16) + "program".left(26) + "median".right(11) + " " + "unit".left(13) + "feedd/it  rounds"
        return lines(\.figures).reduce(head) { text, line in
            let value = median(line.values)
            var next = line.one.name.left(16) + line.figure.left(16) + line.contestant.name.left(26) + shown(value).right(11) + " "
            next += Figure.unit(line.figure).left(13)
            var ratio: Double?
            if let least = line.ratios.min(), let most = line.ratios.max() {
                ratio = median(line.ratios)
                next += shown(ratio!).right(8) + "  " + shown(least) + " … " + shown(most)
            }
            let verdicts = ReferenceGoal.verdicts(line.one, line.figure, line.contestant, value: value, ratio: ratio)
            return text + "\n" + ([next] + verdicts).joined(separator: "  ")
        }
    }
}

/// The goals: ratios of FastFeed's figures to those of other programs in the same run, and where no other program has the like, the
/// figures themselves.
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
        ReferenceGoal(number: 1, name: "parse", figure: "um", against: .scanner, limit: 1.1),
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
