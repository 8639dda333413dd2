// What the rounds have brought: figures by case, program and round, and what follows from them.

/// All figures: by case, program and round.
struct ReferenceTable {
    private var values: [String: [String: [Int: [String: Double]]]] = [:]

    mutating func add(_ name: String, _ contestant: String, _ round: Int, _ figures: [String: Double]) {
        values[name, default: [:]][contestant, default: [:]][round] = figures
        addCostOfTLS(contestant, round)
    }

    /// Both runs of a round are needed, whichever came first.
    private mutating func addCostOfTLS(_ contestant: String, _ round: Int) {
        guard let plain = values["saturated"]?[contestant]?[round]?["cpu"], let secure = values["wss"]?[contestant]?[round]?["cpu"] else {
            return
        }
        values["wss"]![contestant]![round]![ReferenceCase.aboveWs] = secure - plain
    }

    private func rounds(_ name: String, _ contestant: Contestant, _ figure: String) -> [Double] {
        (values[name]?[contestant.name] ?? [:]).sorted { $0.key < $1.key }.compactMap { $0.value[figure] }
    }

    /// The subject's figure by another program's, of each round in which both have one.
    private func ratios(_ row: Row, _ contestant: Contestant, _ figure: String) -> [Double] {
        // A difference may be nothing, or less: no ratio says anything of it.
        guard contestant.name != row.subject.name, figure != ReferenceCase.aboveWs else { return [] }
        return (values[row.name]?[row.subject.name] ?? [:]).sorted { $0.key < $1.key }.compactMap { round, own in
            guard let one = own[figure], let other = values[row.name]?[contestant.name]?[round]?[figure], other > 0 else { return nil }
            return one / other
        }
    }

    private typealias Row = (name: String, figures: [String], contestants: [Contestant], subject: Contestant)

    /// Cases in their order, with the programs and figures that they have.
    private static var rows: [Row] {
        [("parse", ["fast", "fallback"], [.scanner, .onDemand, .onDemandValues, .feedd], .feedd)]
            + (ReferenceCase.all + [ReferenceCase.peers]).map { ($0.name, $0.figures, $0.contestants, $0.subject) }
    }

    func measures() -> [Measure] {
        var list: [Measure] = []
        for row in ReferenceTable.rows {
            let figures = Set((values[row.name] ?? [:]).values.flatMap { $0.values.flatMap(\.keys) }).sorted()
            for figure in figures {
                let direction = ReferenceCase.direction(figure)
                for contestant in row.contestants {
                    let all = rounds(row.name, contestant, figure)
                    guard !all.isEmpty else { continue }
                    list.append(
                        Measure(
                            "\(row.name)/\(contestant.name)/\(figure)", ReferenceCase.units[figure] ?? "", better: direction, rounds: all))
                    let ratios = ratios(row, contestant, figure)
                    guard !ratios.isEmpty else { continue }
                    list.append(
                        Measure(
                            "\(row.name)/\(row.subject.name)-to-\(contestant.name)/\(figure)", "ratio", better: direction, rounds: ratios))
                }
            }
        }
        return list
    }

    func text() -> String {
        var lines = [
            "case".left(16) + "figure".left(16) + "program".left(26) + "median".right(11) + " " + "unit".left(13) + "feedd/it  rounds"
        ]
        for row in ReferenceTable.rows {
            for figure in row.figures {
                for contestant in row.contestants {
                    let all = rounds(row.name, contestant, figure)
                    guard !all.isEmpty else { continue }
                    var line = row.name.left(16) + figure.left(16) + contestant.name.left(26) + shown(median(all)).right(11) + " "
                    line += (ReferenceCase.units[figure] ?? "").left(13)
                    let ratios = ratios(row, contestant, figure)
                    if !ratios.isEmpty {
                        line += shown(median(ratios)).right(8) + "  " + shown(ratios.min()!) + " … " + shown(ratios.max()!)
                    }
                    let verdicts = ReferenceGoal.verdicts(
                        row.name, figure, contestant, subject: row.subject, value: median(all), ratio: ratios.isEmpty ? nil : median(ratios)
                    )
                    lines.append(([line] + verdicts).joined(separator: "  "))
                }
            }
        }
        return lines.joined(separator: "\n")
    }
}
