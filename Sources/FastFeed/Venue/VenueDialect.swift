// What differs between exchanges, as the rest of the program sees it: names, messages, places, limits, costs. Budgets, pacing and transport
// are the same for all. Nothing of it is asked for a message: what reads those is a `MessageParser`. Plain values, any thread.

/// What a control message asks for.
package enum ControlMethod: Sendable { case subscribe, unsubscribe }

/// One market of an exchange.
package protocol VenueDialect: Sendable {
    // MARK: Streams

    /// Where the exchange's own streams are.
    var productionEndpoint: WebSocketEndpoint { get }
    /// Paths that the exchange's documents write behind that place. They name no stream, so that a user's may be left out.
    var barePaths: [String] { get }
    /// Control messages a connection may send per second.
    var controlMessagesPerSecond: UInt64 { get }
    /// Bytes of one control message.
    var controlBytesMax: Int { get }
    /// Bytes of a request target that carries stream names.
    var targetBytesMax: Int { get }
    /// Klines of a minute that do not come for this long are not to be expected any more.
    var klineSilenceMs: UInt64 { get }

    /// The stream of a series' klines.
    func streamName(_ series: Series) -> String
    /// The stream is one whose bars end each minute, or more often.
    func endsBarsEachMinute(_ stream: String) -> Bool
    /// Path and query of a connection that names no streams.
    func target(isCombined: Bool) -> String
    /// Path and query of a connection to these streams.
    func target(of streams: [String], isCombined: Bool) -> String
    /// A control message, but for its stream names: each of them is quoted, a comma is between two.
    func controlMessage(_ method: ControlMethod, id: Int64) -> (head: String, tail: String)
    /// What a message says that brings no data. Nil when the bytes are not JSON.
    func notice(_ message: PaddedBytes) -> VenueNotice?

    // MARK: REST

    /// Where the exchange's own REST interface is.
    var restEndpoint: RestEndpoint { get }
    /// The status says that too much was asked, or that we are banned for it.
    func isLimit(_ status: Int) -> Bool
    /// The code of a refusal that says so.
    var unknownSymbolCode: Int64 { get }
    /// Request weight one address may spend in a minute.
    var weightPerMinute: Int { get }
    /// The header of an answer that tells the weight this address has used in the minute, in any case of letters.
    var usedWeightHeader: String { get }
    /// Candles of one klines request.
    var klinesLimitMax: Int { get }
    /// What a request for so many costs.
    func klinesWeight(limit: Int) -> Int
    /// Its path and query.
    func klinesTarget(_ series: Series, _ page: KlinePages.Page) -> String
    /// Of the list of instruments, and of the figures of 24 hours of all of them: cost, path and query.
    var exchangeInfoWeight: Int { get }
    var exchangeInfoTarget: String { get }
    var dayTickersWeight: Int { get }
    var dayTickersTarget: String { get }
    /// Nil when the market has these klines.
    func refusal(of series: Series) -> String?

    /// Klines into closed and forming candles of a series, marked `backfill`. All or nothing.
    /// - Parameters:
    ///   - nowMs: the exchange's clock when it answered.
    ///   - limit: more rows are a fault.
    func klines(_ bytes: PaddedBytes, _ series: Series, limit: Int, nowMs: Int64) -> Result<[CandleRecord], RestFailure>
    /// The list of instruments, `Limits.instrumentsMax` at most.
    func exchangeInfo(_ bytes: PaddedBytes) -> Result<ExchangeInformation, RestFailure>
    /// The figures of 24 hours, `Limits.dayTickersMax` at most.
    func dayTickers(_ bytes: PaddedBytes) -> Result<DayTickers, RestFailure>
    /// The code and message of a refusal. Of another body (a page of a firewall, say) 0 and its beginning.
    func refusal(_ bytes: PaddedBytes) -> (code: Int64, message: String)
    /// When a ban ends that a refusal speaks of, in Unix milliseconds.
    func banEnd(in message: String) -> Int64?
}

extension Market {
    /// The one place that knows whose market it is.
    package var dialect: any VenueDialect { Binance(self) }
}
