// How long the service takes to answer: commands at even distances, each published whatever became of those before it,
// while the data path has next to nothing to do, and beside 20,000 frames/s. Main thread.

import FastFeed
import Foundation

enum CommandBenchmarks {
    static let all = [
        // A frame a second for each series is the least at which there are candles to ask for.
        commands("idle", Setup(.openLoop(300))),
        commands("20000", Setup(.openLoop(20_000))),
    ]

    private static let perSecond = 500

    /// In turns. The flux has series that are followed already: the exchange has no part in it.
    private static let questions: [(kind: CommandKind, fields: String)] = [
        (.createFlux, #""symbols":["btcusdt","ethusdt"],"interval":"1s","name":"asked""#), (.listFluxes, ""), (.getStatus, ""),
        (.getData, #""symbol":"btcusdt","interval":"1s""#), (.stopFlux, #""flux_id":"asked""#),
    ]

    private static func commands(_ load: String, _ setup: Setup) -> Benchmark {
        let name = "commands/\(load)"
        let sentence = load == "idle" ? "the service has little else to do" : "beside \(load) frames/s in an open loop"
        return Benchmark(name: name, sentence: "\(perSecond) commands/s, published to answered; \(sentence)") { effort, tell in
            var answers: [CommandKind: Latencies] = [:]
            for round in 1...effort.wholeRounds {
                tell("round \(round) of \(effort.wholeRounds)")
                let run = try WholeRun(setup.with { $0.takesCommands = true })
                let link = try CommandLink(run.rig.redisEndpoint)
                // There are some candles of each series to ask for; and the service has found its feet meanwhile.
                try Wait.until(30, "candles that close") { run.count(.closedWritten) >= UInt64(3 * setup.series) }
                for (kind, found) in try ask(link, seconds: effort.windowSeconds) { answers[kind, default: Latencies()].add(found) }
                try run.finish()
            }
            return questions.map { answers[$0.kind]!.measure("\(name)/\($0.kind.rawValue)", isPictured: $0.kind == .listFluxes) }
        }
    }

    /// One round: by kind how long each answer took from the instant of its PUBLISH.
    /// - Throws: unless each is answered once, and with `ok`.
    private static func ask(_ link: CommandLink, seconds: Double) throws -> [CommandKind: Latencies] {
        var latencies = Dictionary(uniqueKeysWithValues: questions.map { ($0.kind, Latencies()) })
        var waiting: [String: (kind: CommandKind, sentNs: UInt64)] = [:]
        func take(_ answer: CommandLink.Answer) throws {
            let arrivedNs = MonotonicClock.nowNs()
            guard let (kind, sentNs) = waiting.removeValue(forKey: answer.channel) else {
                throw FeedError(.redis, "an answer that nobody waits for: \(answer.channel)")
            }
            let text = String(decoding: answer.text.prefix(200), as: UTF8.self)
            guard text.contains(#""status":"ok""#) else { throw FeedError(.redis, "refused: \(text)") }
            latencies[kind]!.record(arrivedNs - sentNs)
        }
        // Whole turns: what is created is stopped.
        let count = max(1, Int(seconds * Double(perSecond)) / questions.count) * questions.count
        let startNs = MonotonicClock.nowNs()
        for number in 0..<count {
            let dueNs = startNs + UInt64(number) * 1_000_000_000 / UInt64(perSecond)
            while MonotonicClock.nowNs() < dueNs {
                if let answer = try link.next(timeoutMs: 1) { try take(answer) }
            }
            let (kind, fields) = questions[number % questions.count]
            let sentNs = MonotonicClock.nowNs()
            waiting[try link.send(kind, fields)] = (kind, sentNs)
        }
        try Wait.until(5, "answers to all commands", turn: { if let answer = try link.next(timeoutMs: 10) { try take(answer) } }) {
            waiting.isEmpty
        }
        for kind in latencies.keys { latencies[kind]!.endRound() }
        return latencies
    }
}
