// The REST client's thread: sends what may be sent, judges what comes back. Bounded by the inbox (calls), the
// transport (connections, bytes) and the budget (weight); pauses hold for all calls at once.

struct RestWorker: ~Copyable {
    private struct Flight {
        var call: RestCall
        let weight: Int
        let sentMs: Int64
        /// Rows asked for, of klines.
        let limit: Int
    }

    private let inbox: RestInbox
    private let transport: RestTransport
    private let base: RestEndpoint
    private let profile: VenueProfile
    private let settings: RestSettings
    /// Unix milliseconds that never go back: the wall clock of the start, and what has passed since.
    private let epochMs: Int64
    private let startNs: UInt64

    private var budget: WeightBudget
    private var backoff: Backoff
    /// After failures nothing is sent before this.
    private var pausedUntilMs: Int64 = .min
    private var waiting: [RestCall] = []
    private var flights: [UInt64: Flight] = [:]
    private var nextToken: UInt64 = 1
    private var statistics = RestStatistics()
    /// Completions that are due, in order: called once what led to them can be seen (`statistics`, free places).
    private var finished: [() -> Void] = []

    init(
        _ inbox: RestInbox, _ transport: RestTransport, base: RestEndpoint, profile: VenueProfile, settings: RestSettings, seed: UInt64
    ) {
        self.inbox = inbox
        self.transport = transport
        self.base = base
        self.profile = profile
        self.settings = settings
        epochMs = WallClock.nowMs()
        startNs = MonotonicClock.nowNs()
        budget = WeightBudget(limit: profile.weightPerMinute, percent: min(max(settings.weightPercent, 1), 90))
        backoff = Backoff(settings.backoffMs, seed: seed)
    }

    private func nowMs() -> Int64 { steadyMs(MonotonicClock.nowNs()) }

    private func steadyMs(_ ns: UInt64) -> Int64 {
        ns >= startNs ? epochMs + Int64(clamping: (ns - startNs) / 1_000_000) : epochMs
    }

    mutating func run() {
        inbox.adopt()
        while let arrived = inbox.take(statistics, completed: finished.count) {
            callBack()
            waiting += arrived
            let wakeMs = startWhatMay()
            transport.turn(timeoutMs: finished.isEmpty ? Int32(clamping: max(0, min(wakeMs - nowMs(), 60_000))) : 0)
            while let answer = transport.take() { settle(answer) }
            (statistics.weightSpent, statistics.weightReported) = (budget.spent, budget.reported)
        }
        transport.close()
        callBack()
        for call in waiting + flights.values.map(\.call) + inbox.takeRest() { call.question.fail(.stopped) }
    }

    private mutating func callBack() {
        let due = finished
        finished = []
        for completion in due { completion() }
    }

    // MARK: Sending

    /// Sends in order as far as places, pauses and weight allow. When to look again.
    private mutating func startWhatMay() -> Int64 {
        let now = nowMs()
        expire(now)
        var wakeMs = waiting.map { steadyMs($0.deadlineNs) }.min() ?? .max
        while let call = waiting.first, flights.count < settings.concurrencyMax {
            guard now >= pausedUntilMs else { return min(wakeMs, pausedUntilMs) }
            let request = request(for: call.question)
            switch budget.take(request.weight, nowMs: now) {
            case .granted:
                waiting.removeFirst()
                send(call, request, now)
            case .wait(let untilMs):
                wakeMs = min(wakeMs, untilMs)
                // A call whose deadline is before that instant fails now.
                guard steadyMs(call.deadlineNs) < untilMs else { return wakeMs }
                complete(waiting.removeFirst(), .limited(waitMs: untilMs - now))
            case .never: complete(waiting.removeFirst(), .limited(waitMs: .max))
            }
        }
        return wakeMs
    }

    /// Lets go of whoever has no time left.
    private mutating func expire(_ now: Int64) {
        let (openMs, calls) = (budget.closedUntilMs, waiting)
        waiting = []
        for call in calls {
            let deadlineMs = steadyMs(call.deadlineNs)
            if deadlineMs > now && deadlineMs >= openMs {
                waiting.append(call)
            } else if openMs > now || call.lastReason.isEmpty {
                complete(call, .limited(waitMs: max(0, openMs - now)))
            } else {
                complete(call, .unavailable(call.lastReason))
            }
        }
    }

    private func request(for question: RestQuestion) -> (target: String, weight: Int, limit: Int, bytesMax: Int) {
        switch question {
        case .klines(let series, let pages, _):
            let page = pages.nextPage
            return (profile.klinesTarget(series, page), profile.klinesWeight(limit: page.limit), page.limit, settings.klinesBytesMax)
        case .exchangeInfo: return (profile.exchangeInfoTarget, profile.exchangeInfoWeight, 0, settings.exchangeInfoBytesMax)
        }
    }

    private mutating func send(_ call: RestCall, _ request: (target: String, weight: Int, limit: Int, bytesMax: Int), _ now: Int64) {
        let token = nextToken
        nextToken += 1
        let leftMs = min(Int64(settings.totalTimeoutMs), max(1, steadyMs(call.deadlineNs) - now))
        guard transport.get("\(base)\(request.target)", token: token, bytesMax: request.bytesMax, timeoutMs: Int(leftMs)) else {
            budget.onAnswer(weight: request.weight, used: nil, sentMs: now, nowMs: now)
            return complete(call, .unavailable("libcurl cannot start a request"))
        }
        statistics.sent += 1
        flights[token] = Flight(call: call, weight: request.weight, sentMs: now, limit: request.limit)
    }

    // MARK: Answers

    private mutating func settle(_ answer: borrowing RestAnswer) {
        guard let flight = flights.removeValue(forKey: answer.token) else { return }
        let now = nowMs()
        budget.onAnswer(weight: flight.weight, used: answer.usedWeight, sentMs: flight.sentMs, nowMs: now)
        switch answer.failure {
        case .transport: return again(flight.call, answer.reason, nil, now)
        case .tooLarge, .refused: return complete(flight.call, .malformed(answer.reason))
        case nil: break
        }
        switch answer.status {
        case 200: served(flight, answer)
        case 418, 429: limited(flight, answer, now)
        case 408, 500...: again(flight.call, "status \(answer.status)", answer.retryAfterSeconds, now)
        default:
            let (code, message) = unsafe answer.withBody { unsafe RestParser.refusal($0) }
            complete(flight.call, code == -1121 ? .unknownSymbol : .refused(status: answer.status, code: code, message: message))
        }
    }

    private mutating func served(_ flight: Flight, _ answer: borrowing RestAnswer) {
        budget.onServed()
        backoff.succeeded()
        statistics.served += 1
        switch flight.call.question {
        case .klines(let series, var pages, let completion):
            // Their clock, cut to whole seconds, calls a bar closed rather too late than too early.
            let theirMs = answer.dateMs ?? WallClock.nowMs()
            switch unsafe answer.withBody({ unsafe RestParser.klines($0, series, limit: flight.limit, nowMs: theirMs) }) {
            case .failure(let reason): return complete(flight.call, reason)
            case .success(let rows):
                guard pages.accept(rows, nowMs: theirMs) else {
                    return complete(flight.call, .malformed("klines: pages that lead nowhere"))
                }
                guard pages.isComplete else {
                    // Its next page comes before other calls: fewer half-finished ones.
                    return waiting.insert(
                        RestCall(question: .klines(series, pages, completion), deadlineNs: flight.call.deadlineNs), at: 0)
                }
                finished.append { completion(.success(pages.candles)) }
            }
        case .exchangeInfo(let completion):
            let result = unsafe answer.withBody { unsafe RestParser.exchangeInfo($0) }
            if case .failure(let reason) = result { return complete(flight.call, reason) }
            if case .success(let information) = result, let limit = information.weightPerMinute { budget.onPublished(limit: limit) }
            finished.append { completion(result) }
        }
    }

    private mutating func limited(_ flight: Flight, _ answer: borrowing RestAnswer, _ now: Int64) {
        statistics.limited += 1
        let message = unsafe answer.withBody { unsafe RestParser.refusal($0).message }
        let theirMs = answer.dateMs ?? WallClock.nowMs()
        budget.onRefusal(
            isBan: answer.status == 418, retryAfterSeconds: answer.retryAfterSeconds,
            banMs: RestParser.banEnd(in: message).map { $0 - theirMs }, sentMs: flight.sentMs, nowMs: now)
        waiting.insert(flight.call, at: 0)
    }

    /// Something that may pass: all wait, then this call is tried once more.
    private mutating func again(_ failed: RestCall, _ reason: String, _ retryAfterSeconds: Int?, _ now: Int64) {
        var call = failed
        call.attempts += 1
        call.lastReason = reason
        let pauseMs = Int64(backoff.nextDelayNs(atLeastSeconds: retryAfterSeconds ?? 0) / 1_000_000)
        pausedUntilMs = max(pausedUntilMs, now + pauseMs)
        guard call.attempts < settings.attemptsMax else { return complete(call, .unavailable(reason)) }
        statistics.repeated += 1
        waiting.insert(call, at: 0)
    }

    private mutating func complete(_ call: RestCall, _ failure: RestFailure) {
        statistics.failed += 1
        finished.append { call.question.fail(failure) }
    }
}
