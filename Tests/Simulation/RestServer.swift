// The exchange's REST interface in a simulated world, and the client that one life of the process has for it: what `RestClient` would
// answer, in virtual time. The client's budget of weight is the product's own.

import FastFeed

final class RestServer {
    unowned let exchange: Exchange
    let healing: HealScenario
    var random: SplitMix64
    /// Weight of everybody on the address in a minute.
    private var used: (minute: Int64, weight: Int) = (0, 0)
    private var unavailableUntilMs: Int64 = 0
    private var isBannedUntilMs: Int64 = 0
    private var slowUntilMs: Int64 = 0
    /// Requests answered with rows.
    private(set) var servedCount = 0

    init(_ exchange: Exchange, _ healing: HealScenario) {
        (self.exchange, self.healing) = (exchange, healing)
        random = SplitMix64(seed: exchange.scenario.seed ^ 0xF)
    }

    enum Answer {
        case rows([CandleRecord], used: Int)
        /// 429, or 418 with the time of the ban.
        case refused(isBan: Bool, retryAfterSeconds: Int)
        case broken(RestFailure)
    }

    var latencyNs: UInt64 {
        let milliseconds = random.number(healing.restLatencyMs) * (exchange.nowMs < slowUntilMs ? 10 : 1)
        return UInt64(milliseconds) * 1_000_000
    }

    /// One request that has reached it.
    func answer(_ index: Int, startMs: Int64?, endMs: Int64?, limit: Int) -> Answer {
        let nowMs = exchange.nowMs
        if nowMs < isBannedUntilMs { return .refused(isBan: true, retryAfterSeconds: Int((isBannedUntilMs - nowMs) / 1_000) + 1) }
        if used.minute != nowMs / 60_000 { used = (nowMs / 60_000, 0) }
        guard used.weight + 2 <= healing.weightLimit else {
            return .refused(isBan: false, retryAfterSeconds: Int(60 - nowMs / 1_000 % 60))
        }
        used.weight += 2
        if nowMs < unavailableUntilMs {
            return .broken(random.pick([.unavailable("503"), .unavailable("cut off"), .unavailable("too slow"), .malformed("cut")]))
        }
        servedCount += 1
        return .rows(rows(index, startMs: startMs, endMs: endMs, limit: limit), used: used.weight)
    }

    /// As the exchange does it: from a start forwards, else backwards from the end; both ends count.
    private func rows(_ index: Int, startMs: Int64?, endMs: Int64?, limit: Int) -> [CandleRecord] {
        let (tape, series, dateMs) = (exchange.tapes[index], exchange.scenario.series[index], exchange.dateMs)
        // The machine that answers is behind by so much.
        let seenMs = dateMs - Int64(random.number(healing.restLagMs))
        var states = tape.history.filter { $0.closeMs < seenMs && !tape.unlisted.contains($0.openMs) }
        if let forming = tape.forming, forming.openMs > states.last?.openMs ?? .min, forming.openMs <= dateMs,
            forming.closeMs + Limits.restTrustMs > dateMs
        {
            states.append(forming)
        }
        let inside = states.filter { startMs ?? .min <= $0.openMs && $0.openMs <= endMs ?? .max }
        let page = startMs == nil ? inside.suffix(limit) : inside.prefix(limit)
        return page.map { $0.record(series, dateMs: dateMs) }
    }

    // MARK: Trouble

    func misbehave() {
        let kind = random.number(0...2)
        let untilMs = exchange.nowMs + Int64(random.number(10...10_000))
        exchange.kernel.note(UInt64(kind) << 8 | 8)
        exchange.kernel.tell? { "rest: fault \(kind) until \(untilMs)" }
        switch kind {
        case 0: unavailableUntilMs = untilMs
        case 1: isBannedUntilMs = untilMs
        default: slowUntilMs = untilMs
        }
    }

    func heal() { (unavailableUntilMs, isBannedUntilMs, slowUntilMs) = (0, 0, 0) }
}

/// One life's way to it.
final class SimulatedRest: KlineSource, @unchecked Sendable {
    // One thread runs the world.
    private unowned let server: RestServer
    private let fault: PlantedFault?
    private var budget: WeightBudget
    private var openCount = 0
    /// Weight sent in a minute, as it should not be above the budget's.
    private var sent: (minute: Int64, weight: Int) = (0, 0)
    private(set) var requestCount = 0
    private let complain: (String) -> Void
    /// The process is gone: nobody is told anything.
    var isDead = false

    init(_ server: RestServer, fault: PlantedFault?, complain: @escaping (String) -> Void) {
        (self.server, self.fault, self.complain) = (server, fault, complain)
        budget = WeightBudget(limit: server.healing.weightLimit, percent: RestSettings().weightPercent)
    }

    private var kernel: SimulatedKernel { server.exchange.kernel }
    private var nowMs: Int64 { server.exchange.nowMs }

    func klines(
        _ series: Series, startMs: Int64?, endMs: Int64?, limit: Int, patienceMs: Int64?,
        completion: @escaping @Sendable (Result<[CandleRecord], RestFailure>) -> Void
    ) {
        kernel.note(9)
        kernel.tell? { "rest: asked for \(series) \(startMs ?? -1)…\(endMs ?? -1), \(limit)" }
        guard let index = server.exchange.scenario.series.firstIndex(of: series) else { return completion(.failure(.unknownSymbol)) }
        guard (1...Limits.healPageBars).contains(limit) else {
            complain("a request for \(limit) bars")
            return completion(.failure(.badRequest("limit")))
        }
        if let startMs, let endMs, startMs > endMs { return completion(.success([])) }
        requestCount += 1
        openCount += 1
        if openCount > Limits.healRequestsMax { complain("\(openCount) requests at a time") }
        let deadlineMs = nowMs + (patienceMs ?? RestSettings().patienceMs)
        attempt(index, startMs, endMs, limit, deadlineMs) { [unowned self] result in
            openCount -= 1
            kernel.tell? { "rest: \(series) \(SimulatedRest.words(result))" }
            completion(result)
        }
    }

    private typealias Completion = (Result<[CandleRecord], RestFailure>) -> Void

    private func later(_ afterNs: UInt64, _ action: @escaping () -> Void) {
        kernel.plan(afterNs: afterNs) { [self] in if !isDead { action() } }
    }

    private func attempt(
        _ index: Int, _ startMs: Int64?, _ endMs: Int64?, _ limit: Int, _ deadlineMs: Int64, _ completion: @escaping Completion
    ) {
        func waitUntil(_ untilMs: Int64) {
            guard untilMs < deadlineMs else {
                return later(10_000) { completion(.failure(.limited(waitMs: untilMs == .max ? .max : untilMs - self.nowMs))) }
            }
            later(UInt64(max(1, untilMs - nowMs)) * 1_000_000) { self.attempt(index, startMs, endMs, limit, deadlineMs, completion) }
        }
        if fault != .budgetIgnored {
            switch budget.take(2, nowMs: nowMs) {
            case .granted: break
            case .wait(let untilMs): return waitUntil(untilMs)
            case .never: return waitUntil(.max)
            }
        }
        count()
        let sentMs = nowMs
        later(server.latencyNs) { [self] in
            let answer = server.answer(index, startMs: startMs, endMs: endMs, limit: limit)
            later(server.latencyNs / 2) { [self] in
                switch answer {
                case .rows(let rows, let used):
                    budget.onAnswer(weight: 2, used: used, sentMs: sentMs, nowMs: nowMs)
                    budget.onServed()
                    completion(.success(spoilt(rows)))
                case .refused(let isBan, let seconds):
                    budget.onAnswer(weight: 2, used: nil, sentMs: sentMs, nowMs: nowMs)
                    budget.onRefusal(isBan: isBan, retryAfterSeconds: seconds, banMs: nil, sentMs: sentMs, nowMs: nowMs)
                    waitUntil(max(budget.closedUntilMs, nowMs + 1))
                case .broken(let failure):
                    budget.onAnswer(weight: 2, used: nil, sentMs: sentMs, nowMs: nowMs)
                    completion(.failure(failure))
                }
            }
        }
    }

    /// The weight of one request: our part of a minute must do.
    private func count() {
        if sent.minute != nowMs / 60_000 { sent = (nowMs / 60_000, 0) }
        sent.weight += 2
        if sent.weight > budget.share { complain("weight \(sent.weight) in a minute, \(budget.share) is ours") }
    }

    private func spoilt(_ rows: [CandleRecord]) -> [CandleRecord] {
        switch fault {
        case .unfinishedBelieved:
            rows.map { row in
                var row = row
                row.eventTimeMs = max(row.eventTimeMs, row.closeTimeMs + 5_000)
                row.isClosed = true
                return row
            }
        case .absentTooEarly: rows.enumerated().filter { $0.offset % 4 != 1 || $0.offset == rows.count - 1 }.map(\.element)
        default: rows
        }
    }

    private static func words(_ result: Result<[CandleRecord], RestFailure>) -> String {
        switch result {
        case .success(let rows): "\(rows.count) rows, the last \(rows.last.map { "\($0.openTimeMs) closed \($0.isClosed)" } ?? "")"
        case .failure(let failure): "\(failure)"
        }
    }
}
