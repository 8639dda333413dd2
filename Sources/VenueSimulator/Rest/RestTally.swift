// What was asked of REST and what it cost: with it a test says "nobody asked", or "within the budget". Plain values, any thread.

/// Requests of the known endpoints, since the start.
package struct RestTally: Sendable, Equatable {
    package struct Spent: Sendable, Equatable {
        /// All requests, also those that were refused.
        package var calls = 0
        package var weight = 0
    }

    package var ping = Spent()
    package var time = Spent()
    package var exchangeInfo = Spent()
    /// `/klines` and `/uiKlines` together.
    package var klines = Spent()
    package var dayTickers = Spent()
    /// Answers 429 and 418, for the limit or for a fault.
    package var limited = 0
    package var banned = 0
    /// Requests that came before the Retry-After of an earlier answer was over.
    package var early = 0
    /// The most weight that one client address has used in one minute.
    package var weightPeak = 0

    package init() {}

    package var calls: Int { ping.calls + time.calls + exchangeInfo.calls + klines.calls + dayTickers.calls }
    package var weight: Int { ping.weight + time.weight + exchangeInfo.weight + klines.weight + dayTickers.weight }
}
