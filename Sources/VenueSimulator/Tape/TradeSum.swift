// What a run of trades adds up to. A plain value; the only arithmetic of bars, live or from history.

/// One trade of the tape.
package struct Trade: BitwiseCopyable, Equatable {
    package let id: Int64
    package let timeMs: Int64
    /// In the symbol's price and quantity units.
    package let price: Int64
    package let quantity: Int64
    package let takerIsBuyer: Bool
}

/// Aggregate of consecutive trades. Sums form a monoid under `merge`, so a bar can be put together from
/// trades, seconds or minutes alike.
package struct TradeSum: BitwiseCopyable, Equatable, Sendable {
    /// −1 when there is no trade. Ids are consecutive, so the two ids give the count.
    package var firstID: Int64 = -1
    package var lastID: Int64 = -1
    package var open: Int64 = 0
    package var high: Int64 = 0
    package var low: Int64 = 0
    package var close: Int64 = 0
    package var volume: Int64 = 0
    package var takerBuyVolume: Int64 = 0
    // A month of a busy symbol exceeds 64 bits at eight digits.
    package var quoteVolume: Int128 = 0
    package var takerBuyQuoteVolume: Int128 = 0

    package init() {}

    package init(
        firstID: Int64, lastID: Int64, open: Int64, high: Int64, low: Int64, close: Int64, volume: Int64,
        takerBuyVolume: Int64, quoteVolume: Int128, takerBuyQuoteVolume: Int128
    ) {
        (self.firstID, self.lastID) = (firstID, lastID)
        (self.open, self.high, self.low, self.close) = (open, high, low, close)
        (self.volume, self.takerBuyVolume) = (volume, takerBuyVolume)
        (self.quoteVolume, self.takerBuyQuoteVolume) = (quoteVolume, takerBuyQuoteVolume)
    }

    package var isEmpty: Bool { firstID < 0 }
    package var count: Int64 {
        @inline(__always) get { firstID < 0 ? 0 : lastID - firstID + 1 }
    }

    /// No trade, at the price of the last one before.
    package static func flat(at price: Int64) -> TradeSum {
        var sum = TradeSum()
        (sum.open, sum.high, sum.low, sum.close) = (price, price, price, price)
        return sum
    }

    @inline(__always)
    package mutating func add(_ trade: Trade) {
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

    /// The same trades with lower ids.
    func withIDs(loweredBy count: Int64) -> TradeSum {
        guard !isEmpty else { return self }
        var sum = self
        sum.firstID -= count
        sum.lastID -= count
        return sum
    }

    /// Appends what came directly after.
    package mutating func merge(_ later: TradeSum) {
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
