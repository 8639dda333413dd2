// How much of the exchange's request weight we may still spend, and when to ask again. Pure: time comes in.
// One thread; the caller's clock never goes back.
//
// The exchange counts weight by address, presumably in fixed clock minutes. Two rules hold at once. Our own
// spending per minute stays within our share of the limit; with a share of half, it does not matter how our minutes
// lie against the exchange's, nor whether its window slides: any minute overlaps two of ours. And the address's
// total, which the exchange reports with each answer (X-MBX-USED-WEIGHT-1M), others' spending included, stays under
// a ceiling of nine tenths.

package struct WeightBudget: Sendable, Equatable {
    package enum Admission: Sendable, Equatable {
        /// Spent; the answer must be reported with `onAnswer`.
        case granted
        case wait(untilMs: Int64)
        /// More than a whole minute's share: never.
        case never
    }

    /// Weight per minute and address, as the exchange has it.
    package private(set) var limit: Int
    private let percent: Int
    /// Processes that share the address and keep to their parts.
    package var sharerCount = 1
    /// However many they are, the dearest request must fit a share.
    package var shareMin = 0
    private var minute: Int64 = .min
    /// Weight that our requests have taken this minute.
    package private(set) var spent = 0
    /// The highest total reported this minute.
    package private(set) var reported = 0
    /// Granted and not yet answered.
    package private(set) var inFlight = 0
    /// After 429 and 418 nothing is asked before this.
    package private(set) var closedUntilMs: Int64 = .min
    /// Refusals in a row, each of a request sent after the pause for the one before.
    private var refusals = 0

    /// The pauses after a 429 and after a 418 that name none.
    private static let refusalPauseMs: Int64 = 60_000
    private static let banPauseMs: Int64 = 120_000
    private static let windowMs: Int64 = 60_000

    package init(limit: Int, percent: Int) {
        precondition(limit > 0 && (1...90).contains(percent), "a share is 1…90 percent of a limit")
        self.limit = limit
        self.percent = percent
    }

    /// Weight that this process may take per minute.
    package var share: Int { max(limit * percent / 100 / sharerCount, min(limit * percent / 100, shareMin)) }
    /// Until then `spent` and `reported` are so, Unix ms.
    package var minuteEndMs: Int64 { minute == .min ? .min : (minute + 1) * WeightBudget.windowMs }
    private var ceiling: Int { limit * 9 / 10 }

    /// Asks to spend.
    /// - Parameter givesWay: the last half of our share in this minute is for others.
    package mutating func take(_ weight: Int, givesWay: Bool = false, nowMs: Int64) -> Admission {
        let most = givesWay ? share / 2 : share
        guard weight <= most else { return .never }
        guard nowMs >= closedUntilMs else { return .wait(untilMs: closedUntilMs) }
        roll(nowMs)
        guard spent + weight <= most, max(reported + inFlight, spent) + weight <= ceiling else {
            return .wait(untilMs: (minute + 1) * WeightBudget.windowMs)
        }
        spent += weight
        inFlight += weight
        return .granted
    }

    /// A granted request has ended, with or without an answer.
    /// - Parameters:
    ///   - used: the total the exchange reported; nil: none. One for a request of another minute is of that minute.
    ///   - sentMs: when it was granted.
    package mutating func onAnswer(weight: Int, used: Int?, sentMs: Int64, nowMs: Int64) {
        roll(nowMs)
        inFlight = max(0, inFlight - weight)
        guard let used, WeightBudget.minute(sentMs) == minute else { return }
        reported = max(reported, used)
    }

    /// The exchange has served a request.
    package mutating func onServed() { refusals = 0 }

    /// 429 or 418: everything waits, each time it happens again twice as long at least.
    /// - Parameters:
    ///   - retryAfterSeconds: nil: not said.
    ///   - banMs: how long a ban was said to last; nil: not said.
    package mutating func onRefusal(isBan: Bool, retryAfterSeconds: Int?, banMs: Int64?, sentMs: Int64, nowMs: Int64) {
        let longestMs = Int64(Limits.retryAfterSecondsMax) * 1_000
        let usualMs = isBan ? WeightBudget.banPauseMs : WeightBudget.refusalPauseMs
        var saidMs = retryAfterSeconds.map { Int64($0) * 1_000 }
        if let banMs, banMs > 0 { saidMs = max(saidMs ?? 0, banMs) }
        if sentMs >= closedUntilMs { refusals += 1 }
        let leastMs: Int64 = 500 << Int64(min(refusals, 7))
        // What cannot be meant is not believed.
        let pauseMs = saidMs.map { (0...longestMs).contains($0) ? $0 : usualMs } ?? usualMs
        closedUntilMs = max(closedUntilMs, nowMs + max(pauseMs, leastMs))
    }

    /// The exchange publishes another limit.
    package mutating func onPublished(limit published: Int) {
        // A slip of the exchange must not open the gates.
        if (100...100_000).contains(published) { limit = published }
    }

    private mutating func roll(_ nowMs: Int64) {
        let current = WeightBudget.minute(nowMs)
        guard current != minute else { return }
        (minute, spent, reported) = (current, 0, 0)
    }

    private static func minute(_ ms: Int64) -> Int64 { ms / windowMs }
}
