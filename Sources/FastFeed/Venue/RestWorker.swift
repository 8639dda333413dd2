// The REST client's thread: sends what may be sent, judges what comes back. Bounded by the inbox (calls), the
// transport (connections, bytes) and the budget (weight); pauses hold for all calls at once.

struct RestWorker: ~Copyable {
    private typealias Request = (target: String, weight: Int, bytesMax: Int)

    private let inbox: RestInbox
    private let clock: SteadyClock
    private let base: RestEndpoint
    private let dialect: any VenueDialect
    private let settings: RestSettings
    private let troubles: TroubleBoard

    private var budget: WeightBudget
    private var backoff: Backoff
    /// After failures nothing is sent before this.
    private var pausedUntilMs: Int64 = .min
    private var waiting: [RestCall] = []
    /// Sent and not answered, by token.
    private var flying: [UInt64: RestCall] = [:]
    private var nextToken: UInt64 = 1
    private var statistics = RestStatistics()
    /// Completions that are due, in order: called once what led to them can be seen (`statistics`, free places).
    private var finished: [() -> Void] = []

    init(
        _ inbox: RestInbox, _ clock: SteadyClock, base: RestEndpoint, dialect: any VenueDialect, settings: RestSettings,
        troubles: TroubleBoard
    ) {
        (self.inbox, self.clock, self.base, self.dialect, self.settings) = (inbox, clock, base, dialect, settings)
        self.troubles = troubles
        budget = WeightBudget(limit: dialect.weightPerMinute, percent: min(max(settings.weightPercent, 1), 90))
        // What gives way has half of a share.
        budget.shareMin = max(dialect.klinesWeight(limit: Limits.healPageBars), dialect.exchangeInfoWeight, 2 * dialect.dayTickersWeight)
        statistics.weightAllowed = budget.share
        backoff = Backoff(settings.backoffMs, seed: SystemRandom.word())
    }

    mutating func run() {
        let transport = inbox.transport
        while true {
            let (arrived, isStopped) = inbox.take(statistics, completed: finished.count)
            waiting += arrived
            budget.sharerCount = inbox.sharerCount
            if isStopped { break }
            callBack()
            let wakeMs = startWhatMay()
            transport.turn(timeoutMs: finished.isEmpty ? Int32(clamping: max(0, min(wakeMs - clock.nowMs(), 60_000))) : 0)
            while let answer = transport.take() { settle(answer) }
            (statistics.weightSpent, statistics.weightReported) = (budget.spent, budget.reported)
            (statistics.weightAllowed, statistics.weightUntilMs) = (budget.share, budget.minuteEndMs)
            statistics.blockedUntilMs = budget.closedUntilMs
        }
        transport.close()
        callBack()
        for call in waiting + flying.values { call.question.fail(.stopped) }
    }

    private mutating func callBack() {
        let due = finished
        finished = []
        for completion in due { completion() }
    }

    // MARK: Sending

    /// Sends in order as far as places, pauses and weight allow; first what does not give way. When to look again.
    private mutating func startWhatMay() -> Int64 {
        let now = clock.nowMs()
        expire(now)
        var wakeMs = waiting.map(\.deadlineMs).min() ?? .max
        while let next = waiting.firstIndex(where: { !$0.question.givesWay }) ?? waiting.indices.first,
            flying.count < settings.concurrencyMax
        {
            guard now >= pausedUntilMs else { return min(wakeMs, pausedUntilMs) }
            let call = waiting[next]
            let request = request(for: call.question)
            switch budget.take(request.weight, givesWay: call.question.givesWay, nowMs: now) {
            case .granted: send(waiting.remove(at: next), request, now)
            case .wait(let untilMs):
                wakeMs = min(wakeMs, untilMs)
                // A call whose deadline is before that instant fails now.
                guard call.deadlineMs < untilMs else { return wakeMs }
                complete(waiting.remove(at: next), .limited(waitMs: untilMs - now))
            case .never: complete(waiting.remove(at: next), .limited(waitMs: .max))
            }
        }
        return wakeMs
    }

    /// Lets go of whoever has no time left.
    private mutating func expire(_ now: Int64) {
        let openMs = budget.closedUntilMs
        let isLate = { (call: RestCall) in call.deadlineMs <= now || call.deadlineMs < openMs }
        let late = waiting.filter(isLate)
        waiting.removeAll(where: isLate)
        for call in late {
            let isLimited = openMs > now || call.lastReason.isEmpty
            complete(call, isLimited ? .limited(waitMs: max(openMs, now) - now) : .unavailable(call.lastReason))
        }
    }

    private func request(for question: RestQuestion) -> Request {
        switch question {
        case .klines(let series, let pages, _):
            let page = pages.nextPage
            return (dialect.klinesTarget(series, page), dialect.klinesWeight(limit: page.limit), settings.klinesBytesMax)
        case .exchangeInfo: return (dialect.exchangeInfoTarget, dialect.exchangeInfoWeight, settings.exchangeInfoBytesMax)
        case .dayTickers: return (dialect.dayTickersTarget, dialect.dayTickersWeight, settings.dayTickersBytesMax)
        }
    }

    private mutating func send(_ next: RestCall, _ request: Request, _ now: Int64) {
        var call = next
        call.sentMs = now
        let token = nextToken
        nextToken += 1
        let leftMs = min(Int64(settings.totalTimeoutMs), max(1, call.deadlineMs - now))
        guard inbox.transport.get("\(base)\(request.target)", token: token, bytesMax: request.bytesMax, timeoutMs: Int(leftMs)) else {
            budget.onAnswer(weight: request.weight, used: nil, sentMs: now, nowMs: now)
            return complete(call, .unavailable("the exchange cannot be asked: libcurl cannot start a request"))
        }
        statistics.sent += 1
        flying[token] = call
    }

    // MARK: Answers

    private mutating func settle(_ answer: borrowing RestAnswer) {
        guard let call = flying.removeValue(forKey: answer.token) else { return }
        let now = clock.nowMs()
        budget.onAnswer(weight: request(for: call.question).weight, used: answer.usedWeight, sentMs: call.sentMs, nowMs: now)
        switch answer.failure {
        case .unavailable(let reason): return again(call, reason, nil, now)
        case let failure?: return complete(call, failure)
        case nil: break
        }
        switch answer.status {
        case 200: served(call, answer)
        case let status where dialect.isLimit(status): limited(call, answer, now)
        case 408, 500...: again(call, "\(refusal(answer))", answer.retryAfterSeconds, now)
        default:
            let refusal = refusal(answer)
            if case .refused(_, dialect.unknownSymbolCode, _) = refusal { complete(call, .unknownSymbol) } else { complete(call, refusal) }
        }
    }

    /// A refusal with the exchange's own code and words.
    private func refusal(_ answer: borrowing RestAnswer) -> RestFailure {
        let (code, message) = answer.withBody { dialect.refusal($0) }
        return .refused(status: answer.status, code: code, message: message)
    }

    private mutating func served(_ call: RestCall, _ answer: borrowing RestAnswer) {
        budget.onServed()
        troubles.clear(.rest)
        backoff.succeeded()
        statistics.served += 1
        switch call.question {
        case .klines(let series, var pages, let completion):
            // Their clock, cut to whole seconds, calls a bar closed rather too late than too early.
            let theirMs = answer.dateMs ?? WallClock.nowMs()
            switch answer.withBody({ dialect.klines($0, series, limit: pages.nextPage.limit, nowMs: theirMs) }) {
            case .failure(let reason): return complete(call, reason)
            case .success(let rows):
                guard pages.accept(rows, nowMs: theirMs) else {
                    return complete(call, .malformed("klines: pages that lead nowhere"))
                }
                guard pages.isComplete else {
                    // Its next page comes before other calls: fewer half-finished ones.
                    return waiting.insert(RestCall(question: .klines(series, pages, completion), deadlineMs: call.deadlineMs), at: 0)
                }
                finished.append { completion(.success(pages.candles)) }
            }
        case .exchangeInfo(let completion):
            let result = answer.withBody { dialect.exchangeInfo($0) }
            if case .failure(let reason) = result { return complete(call, reason) }
            if case .success(let information) = result, let limit = information.weightPerMinute { budget.onPublished(limit: limit) }
            finished.append { completion(result) }
        case .dayTickers(let completion):
            let result = answer.withBody { dialect.dayTickers($0) }
            if case .failure(let reason) = result { return complete(call, reason) }
            finished.append { completion(result) }
        }
    }

    private mutating func limited(_ call: RestCall, _ answer: borrowing RestAnswer, _ now: Int64) {
        statistics.limited += 1
        let message = answer.withBody { dialect.refusal($0).message }
        let theirMs = answer.dateMs ?? WallClock.nowMs()
        budget.onRefusal(
            isBan: answer.status == 418, retryAfterSeconds: answer.retryAfterSeconds,
            banMs: dialect.banEnd(in: message).map { $0 - theirMs }, sentMs: call.sentMs, nowMs: now)
        troubles.note(.rest, "\(refusal(answer))")
        waiting.insert(call, at: 0)
    }

    /// Something that may pass: all wait, then this call is tried once more.
    private mutating func again(_ failed: RestCall, _ reason: String, _ retryAfterSeconds: Int?, _ now: Int64) {
        var call = failed
        call.attempts += 1
        call.lastReason = reason
        troubles.note(.rest, reason)
        let pauseMs = Int64(backoff.nextDelayNs(atLeastSeconds: retryAfterSeconds ?? 0) / 1_000_000)
        pausedUntilMs = max(pausedUntilMs, now + pauseMs)
        guard call.attempts < settings.attemptsMax else { return complete(call, .unavailable(reason)) }
        statistics.repeated += 1
        waiting.insert(call, at: 0)
    }

    private mutating func complete(_ call: RestCall, _ failure: RestFailure) {
        statistics.failed += 1
        switch failure {
        case .refused, .malformed: troubles.note(.rest, "\(failure)")
        case .busy, .stopped, .badRequest, .unknownSymbol, .limited, .unavailable: break
        }
        finished.append { call.question.fail(failure) }
    }
}
