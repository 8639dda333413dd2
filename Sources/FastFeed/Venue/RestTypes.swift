// What one says to the REST client and what it says back. Plain values, any thread.

/// Why a request brought nothing.
package enum RestFailure: Error, Sendable, Equatable {
    /// Too many requests are waiting; this one was not taken.
    case busy
    /// The client was stopped before the answer came.
    case stopped
    /// Never sent: the sentence says what is wrong with it.
    case badRequest(String)
    /// The exchange does not know the symbol (−1121).
    case unknownSymbol
    /// The weight budget or the exchange (429, 418) allows it only after more time than the request has.
    case limited(waitMs: Int64)
    /// The exchange's final no. `code` and `message` are the body's; 0 and its beginning when it is not the exchange's JSON.
    case refused(status: Int, code: Int64, message: String)
    /// Not reached, cut off, too slow or 5xx, each time it was tried; the last time as a sentence.
    case unavailable(String)
    /// An answer that is not to be believed, or larger than its limit; nothing of it is used.
    case malformed(String)
}

extension RestFailure: CustomStringConvertible {
    /// A sentence for people. Foreign text in it is printable and bounded where it was read.
    package var description: String {
        switch self {
        case .busy: "too many requests wait for the exchange"
        case .stopped: "the exchange is not asked any more"
        case .badRequest(let why): why
        case .unknownSymbol: "the exchange does not know the symbol"
        case .limited(.max): "the exchange's limits never allow this request"
        case .limited(let waitMs): "the exchange's limits allow no request for \(max(1, waitMs / 1_000)) s"
        case .refused(let status, let code, let message):
            "the exchange answered \(status)" + (message.isEmpty ? "" : ": \(message)") + (code == 0 ? "" : " (\(code))")
        case .unavailable(let sentence): sentence
        case .malformed(let what): "the exchange's answer cannot be used: \(what)"
        }
    }
}

/// Bounds and habits of a REST client; the defaults suit the exchange.
package struct RestSettings: Sendable {
    package var userAgent = "FastFeed/\(FastFeedVersion.text)"
    package var connectTimeoutMs = 5_000
    /// From sending one request to the last byte of its answer.
    package var totalTimeoutMs = 20_000
    /// How long a call may take altogether, all its pages, pauses and repetitions included.
    package var patienceMs: Int64 = 180_000
    /// Requests on the wire at once, and connections.
    package var concurrencyMax = 4
    /// Calls waiting. Full: `.busy`.
    package var waitingMax = 1_024
    /// Times one request is sent before its call fails; 429 and 418 do not count.
    package var attemptsMax = 4
    /// The first pause and the longest after 5xx and lost connections; they hold for all requests, and end with the first success.
    package var backoffMs: ClosedRange<UInt64> = 500...15_000
    /// Our part of the address's weight, in percent of the exchange's limit.
    package var weightPercent = 50
    /// Candles of one call, all pages together.
    package var candleCountMax = 50_000
    /// Decompressed bytes of an answer with klines: the longest (1500 rows of 12 fields) stays below 600 KB.
    package var klinesBytesMax = 1 << 20
    /// Decompressed bytes of an exchangeInfo, which has several megabytes, and of the tickers of all symbols, which have two.
    package var exchangeInfoBytesMax = 48 << 20
    package var dayTickersBytesMax = 8 << 20
    /// All headers of an answer together. Beyond: the request fails.
    package var headerBytesMax = 64 << 10
    /// Allow `http://` to a host that is not this machine.
    package var allowsPlainRemote = false
    /// The proxy on the way to the exchange; nil: there is none.
    package var proxy: ProxyEndpoint?

    package init() {}
}

/// An instrument as the exchange lists it.
package struct Instrument: Sendable, Equatable {
    package let symbol: Symbol
    /// `TRADING`, `BREAK`, `HALT` and others; new ones may come. Letters, digits and `_`; `UNKNOWN` for another text.
    package let status: String
    /// The assets, `BTC` and `USDT`: each has the form of a symbol, in upper case. Empty for another text, or none.
    package let base, quote: String

    package init(symbol: Symbol, status: String, base: String = "", quote: String = "") {
        (self.symbol, self.status, self.base, self.quote) = (symbol, status, base, quote)
    }
}

/// What was traded of a symbol in the last 24 hours, in the exchange's own text.
package struct DayFigures: Sendable, Equatable {
    package let lastPrice, priceChangePercent, quoteVolume: DecimalText
    package let tradeCount: Int64

    package init(lastPrice: DecimalText, priceChangePercent: DecimalText, quoteVolume: DecimalText, tradeCount: Int64) {
        (self.lastPrice, self.priceChangePercent) = (lastPrice, priceChangePercent)
        (self.quoteVolume, self.tradeCount) = (quoteVolume, tradeCount)
    }
}

/// The 24 h tickers of all symbols, `Limits.dayTickersMax` at most.
package struct DayTickers: Sendable, Equatable {
    package let figures: [Symbol: DayFigures]
    /// Rows left out: something is missing or not what it should be, or the symbol came before.
    package let skipped: Int

    package init(figures: [Symbol: DayFigures], skipped: Int) { (self.figures, self.skipped) = (figures, skipped) }
}

package struct ExchangeInformation: Sendable, Equatable {
    /// In the exchange's order, each symbol once.
    package let instruments: [Instrument]
    /// Entries left out: what is not a `Symbol` in upper case, or came before.
    package let skipped: Int
    package let serverTimeMs: Int64?
    /// The weight limit it publishes, per minute and address.
    package let weightPerMinute: Int?
}
