// What a run of trades adds up to. A plain value; the only arithmetic of bars, live or from history.

/// One trade of the tape.
struct Trade: BitwiseCopyable, Equatable {
    let id: Int64
    let timeMs: Int64
    /// In the symbol's price and quantity units.
    let price: Int64
    let quantity: Int64
    let takerIsBuyer: Bool
}

/// Aggregate of consecutive trades. Sums form a monoid under `merge`, so a bar can be put together from
/// trades, seconds or minutes alike.
struct TradeSum: BitwiseCopyable, Equatable, Sendable {
    /// −1 when there is no trade. Ids are consecutive, so the two ids give the count.
    var firstID: Int64 = -1
    var lastID: Int64 = -1
    var open: Int64 = 0
    var high: Int64 = 0
    var low: Int64 = 0
    var close: Int64 = 0
    var volume: Int64 = 0
    var takerBuyVolume: Int64 = 0
    // A month of a busy symbol exceeds 64 bits at eight digits.
    var quoteVolume: Int128 = 0
    var takerBuyQuoteVolume: Int128 = 0

    var isEmpty: Bool { firstID < 0 }
    var count: Int64 { firstID < 0 ? 0 : lastID - firstID + 1 }

    /// No trade, at the price of the last one before.
    static func flat(at price: Int64) -> TradeSum {
        TradeSum(open: price, high: price, low: price, close: price)
    }

    @inline(__always)
    mutating func add(_ trade: Trade) {
        if firstID < 0 {
            (firstID, open, high, low) = (trade.id, trade.price, trade.price, trade.price)
        } else {
            high = max(high, trade.price)
            low = min(low, trade.price)
        }
        lastID = trade.id
        close = trade.price
        let quote = Int128(trade.price * trade.quantity)
        volume += trade.quantity
        quoteVolume += quote
        if trade.takerIsBuyer {
            takerBuyVolume += trade.quantity
            takerBuyQuoteVolume += quote
        }
    }

    /// Appends what came directly after.
    mutating func merge(_ later: TradeSum) {
        guard !later.isEmpty else { return }
        guard !isEmpty else {
            self = later
            return
        }
        high = max(high, later.high)
        low = min(low, later.low)
        lastID = later.lastID
        close = later.close
        volume += later.volume
        takerBuyVolume += later.takerBuyVolume
        quoteVolume += later.quoteVolume
        takerBuyQuoteVolume += later.takerBuyQuoteVolume
    }
}
