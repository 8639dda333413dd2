// What the rounds have brought: figures by case, program and round, and what follows from them. Plain values.

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
        let row: Row
        let contestant: Contestant
        let figure: String
        let values: [Double]
        /// The subject's figure by this program's, of each round in which both have one.
        let ratios: [Double]
    }

    private typealias Row = (name: String, figures: [String], contestants: [Contestant], subject: Contestant)

    /// Cases in their order, with the programs and figures that they have.
    private static var rows: [Row] {
        [("parse", ["fast", "fallback"], [.scanner, .onDemand, .onDemandValues, .feedd], .feedd)]
            + (ReferenceCase.all + [ReferenceCase.peers]).map { ($0.name, $0.figures, $0.contestants, $0.subject) }
    }

    /// - Parameter figures: of a case.
    private func lines(_ figures: (Row) -> [String]) -> [Line] {
        var lines: [Line] = []
        for row in ReferenceTable.rows {
            for figure in figures(row) {
                for contestant in row.contestants {
                    let values = rounds.all("\(row.name)/\(contestant.name)", figure)
                    guard !values.isEmpty else { continue }
                    lines.append(
                        Line(row: row, contestant: contestant, figure: figure, values: values, ratios: ratios(row, contestant, figure)))
                }
            }
        }
        return lines
    }

    private func ratios(_ row: Row, _ contestant: Contestant, _ figure: String) -> [Double] {
        // A difference may be nothing, or less: no ratio says anything of it.
        guard contestant.name != row.subject.name, figure != ReferenceCase.aboveWs else { return [] }
        let others = rounds.byRound("\(row.name)/\(contestant.name)", figure)
        return rounds.byRound("\(row.name)/\(row.subject.name)", figure).sorted { $0.key < $1.key }.compactMap { round, own in
            guard let other = others[round], other > 0 else { return nil }
            return own / other
        }
    }

    func measures() -> [Measure] {
        let measured = { (row: Row) in Set(row.contestants.flatMap { rounds.figures("\(row.name)/\($0.name)") }).sorted() }
        return lines(measured).flatMap { line in
            let (name, better) = (line.row.name, Figure.direction(line.figure))
            let own = Measure(
                "\(name)/\(line.contestant.name)/\(line.figure)", Figure.unit(line.figure), better: better, rounds: line.values)
            guard !line.ratios.isEmpty else { return [own] }
            let title = "\(name)/\(line.row.subject.name)-to-\(line.contestant.name)/\(line.figure)"
            return [own, Measure(title, "ratio", better: better, rounds: line.ratios)]
        }
    }

    func text() -> String {
        let head =
            "case".left(16) + "figure".left(16) + "program".left(26) + "median".right(11) + " " + "unit".left(13) + "feedd/it  rounds"
        return lines(\.figures).reduce(head) { text, line in
            let value = median(line.values)
            var next = line.row.name.left(16) + line.figure.left(16) + line.contestant.name.left(26) + shown(value).right(11) + " "
            next += Figure.unit(line.figure).left(13)
            var ratio: Double?
            if let least = line.ratios.min(), let most = line.ratios.max() {
                ratio = median(line.ratios)
                next += shown(ratio!).right(8) + "  " + shown(least) + " … " + shown(most)
            }
            let verdicts = ReferenceGoal.verdicts(
                line.row.name, line.figure, line.contestant, subject: line.row.subject, value: value, ratio: ratio)
            return text + "\n" + ([next] + verdicts).joined(separator: "  ")
        }
    }
}
