// The exchange's REST interface as other code sees it: ask from any thread, be called back on the client's.

/// Market data over HTTP: klines, the list of instruments and their 24 h figures, within the exchange's weight limits.
///
/// One thread of its own. Completions run on it, so they should be short; each call is completed exactly once. A call
/// that cannot be taken (`.busy`, `.badRequest`, after `stop`) is completed at once, on the caller's thread.
package final class RestClient: Sendable {
    private let inbox: RestInbox
    private let thread: Lock<PinnedThread?>
    private let dialect: any VenueDialect
    private let settings: RestSettings
    private let clock = SteadyClock()

    /// - Parameters:
    ///   - authorityFile: PEM file of the authority to trust instead of the system's store.
    ///   - troubles: where it says why the interface does not serve.
    /// - Throws: plain http to another machine, an unreadable file, no thread.
    package init(
        base: RestEndpoint, market: Market, authorityFile: String? = nil, settings: RestSettings = RestSettings(),
        troubles: TroubleBoard = TroubleBoard()
    ) throws(FeedError) {
        guard base.isSecure || base.authority.isLoopback || settings.allowsPlainRemote else {
            throw FeedError(.configuration, "\(base): plain http is for this machine only")
        }
        dialect = market.dialect
        self.settings = settings
        let transport = try RestTransport(
            base, settings, usedWeightHeader: dialect.usedWeightHeader, authorityFile: authorityFile)
        inbox = RestInbox(transport, settings.waitingMax)
        do {
            let started = try PinnedThread.start(name: "rest") { [inbox, clock, dialect] in
                var worker = RestWorker(inbox, clock, base: base, dialect: dialect, settings: settings, troubles: troubles)
                worker.run()
            }
            thread = Lock(started)
        } catch {
            throw FeedError(.system, "\(error)")
        }
    }

    deinit { stop() }

    /// Klines of a series, oldest first, each open time once, the forming one last.
    ///
    /// With `startMs`: the first `limit` whose open time lies in `startMs...endMs`; without it: the last `limit` up to
    /// `endMs`, or to now. Larger limits than the exchange's are asked for in pages.
    /// - Parameters:
    ///   - limit: 1…`candleCountMax`.
    ///   - patienceMs: how long all of it may take; nil: the settings'.
    package func klines(
        _ series: Series, startMs: Int64?, endMs: Int64?, limit: Int, patienceMs: Int64? = nil,
        completion: @escaping @Sendable (Result<[CandleRecord], RestFailure>) -> Void
    ) {
        if let reason = dialect.refusal(of: series) { return completion(.failure(.badRequest(reason))) }
        guard (1...settings.candleCountMax).contains(limit) else {
            return completion(.failure(.badRequest("limit must be 1...\(settings.candleCountMax), not \(limit)")))
        }
        for time in [startMs, endMs] where time.map({ !(0..<RestClient.instantMsMax).contains($0) }) ?? false {
            return completion(.failure(.badRequest("\(time!) is not a time in Unix milliseconds")))
        }
        let pages = KlinePages(
            interval: series.interval, startMs: startMs, endMs: endMs, limit: limit, pageLimit: dialect.klinesLimitMax)
        if pages.isComplete { return completion(.success([])) }
        offer(.klines(series, pages, completion), patienceMs)
    }

    /// Times from here on the exchange would read as microseconds.
    private static let instantMsMax: Int64 = 100_000_000_000_000

    /// All instruments of the market.
    package func exchangeInfo(
        patienceMs: Int64? = nil, completion: @escaping @Sendable (Result<ExchangeInformation, RestFailure>) -> Void
    ) {
        offer(.exchangeInfo(completion), patienceMs)
    }

    /// What was traded of every symbol in the last 24 hours. It gives way: to all other calls, and at more than half of what we may spend
    /// in a minute it waits for the next one.
    package func dayTickers(
        patienceMs: Int64? = nil, completion: @escaping @Sendable (Result<DayTickers, RestFailure>) -> Void
    ) {
        offer(.dayTickers(completion), patienceMs)
    }

    private func offer(_ question: RestQuestion, _ patienceMs: Int64?) {
        let patience = min(max(patienceMs ?? settings.patienceMs, 0), 4 * 86_400_000)
        if let refusal = inbox.offer(RestCall(question: question, deadlineMs: clock.nowMs() + patience)) { question.fail(refusal) }
    }

    /// So many processes share the address, this one among them: each may spend its part.
    package func setShare(_ count: Int) { inbox.setShare(count) }

    package var statistics: RestStatistics {
        var statistics = inbox.statistics
        // The thread sleeps while nobody asks.
        if clock.nowMs() >= statistics.weightUntilMs { (statistics.weightSpent, statistics.weightReported) = (0, 0) }
        return statistics
    }

    /// Breaks off everything: what is under way or waiting completes with `.stopped`, then the thread ends. Calls
    /// from a completion return before it has.
    package func stop() {
        inbox.stop()
        guard let thread = thread.withLock({ $0.take() }) else { return }
        if thread.isCurrent { thread.detach() } else { thread.join() }
    }
}

/// What the client has done so far, and its weight in this minute.
package struct RestStatistics: Sendable, Equatable {
    package var sent = 0
    package var served = 0
    /// Answers 429 and 418.
    package var limited = 0
    /// Sent once more after 5xx, time-outs and lost connections.
    package var repeated = 0
    package var failed = 0
    /// Weight of our requests this minute, and what we allow ourselves.
    package var weightSpent = 0
    package var weightAllowed = 0
    /// The whole address's, as the exchange counts it.
    package var weightReported = 0
    /// The exchange has refused (429, 418): nothing is asked before this, Unix ms.
    package var blockedUntilMs: Int64 = .min
    /// The end of that minute, Unix ms.
    var weightUntilMs: Int64 = .min

    package init() {}
}

/// What was asked, and who wants to know.
enum RestQuestion: Sendable {
    case klines(Series, KlinePages, @Sendable (Result<[CandleRecord], RestFailure>) -> Void)
    case exchangeInfo(@Sendable (Result<ExchangeInformation, RestFailure>) -> Void)
    case dayTickers(@Sendable (Result<DayTickers, RestFailure>) -> Void)

    /// What nobody waits for gives way.
    var givesWay: Bool { if case .dayTickers = self { true } else { false } }

    func fail(_ reason: RestFailure) {
        switch self {
        case .klines(_, _, let completion): completion(.failure(reason))
        case .exchangeInfo(let completion): completion(.failure(reason))
        case .dayTickers(let completion): completion(.failure(reason))
        }
    }
}

/// A question on its way.
struct RestCall: Sendable {
    var question: RestQuestion
    let deadlineMs: Int64
    /// Attempts for the present page.
    var attempts = 0
    /// When the last one was sent, and why it failed.
    var sentMs: Int64 = 0
    var lastReason = ""
}

/// Unix milliseconds that never go back: the wall clock of the start, and what has passed since. Any thread.
struct SteadyClock: Sendable {
    private let epochMs = WallClock.nowMs()
    private let startNs = MonotonicClock.nowNs()

    func nowMs() -> Int64 { epochMs + Int64((MonotonicClock.nowNs() - startNs) / 1_000_000) }
}

/// Where calls wait for the client's thread. Any thread.
final class RestInbox: Sendable {
    private struct State {
        var calls: [RestCall] = []
        /// Taken and not completed.
        var openCount = 0
        var isStopped = false
        var statistics = RestStatistics()
        /// Processes that share the address.
        var sharerCount = 1
    }

    private let state = Lock(State())
    let transport: RestTransport
    private let waitingMax: Int

    init(_ transport: RestTransport, _ waitingMax: Int) { (self.transport, self.waitingMax) = (transport, waitingMax) }

    /// Why the call was not taken.
    func offer(_ call: RestCall) -> RestFailure? {
        state.withLock { state in
            if state.isStopped { return .stopped }
            guard state.openCount < waitingMax else { return .busy }
            state.openCount += 1
            state.calls.append(call)
            // Under the lock: the thread closes the transport only after it has seen `isStopped`.
            transport.wake()
            return nil
        }
    }

    func stop() {
        state.withLock { state in
            guard !state.isStopped else { return }
            state.isStopped = true
            transport.wake()
        }
    }

    var statistics: RestStatistics { state.withLock { $0.statistics } }
    var sharerCount: Int { state.withLock { $0.sharerCount } }

    func setShare(_ count: Int) {
        state.withLock { state in
            guard !state.isStopped else { return }
            state.sharerCount = max(1, count)
            transport.wake()
        }
    }

    /// For the client's thread: what has been offered, and whether it is time to end. `statistics` is what others are to see.
    func take(_ statistics: RestStatistics, completed: Int) -> (calls: [RestCall], isStopped: Bool) {
        state.withLock { state in
            state.statistics = statistics
            state.openCount -= completed
            defer { state.calls.removeAll(keepingCapacity: true) }
            return (state.calls, state.isStopped)
        }
    }
}
