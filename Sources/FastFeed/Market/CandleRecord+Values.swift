// What a candle says of the market, compared. Pure, any thread.

extension CandleRecord {
    func isOfSameBar(as other: CandleRecord) -> Bool {
        seriesID == other.seriesID && generation == other.generation && openTimeMs == other.openTimeMs
    }

    /// True when both say the same of the market, whoever said it and when.
    package func hasSameValues(as other: CandleRecord) -> Bool {
        openTimeMs == other.openTimeMs && closeTimeMs == other.closeTimeMs
            && firstTradeID == other.firstTradeID && lastTradeID == other.lastTradeID
            && tradeCount == other.tradeCount && open == other.open && high == other.high
            && low == other.low && close == other.close && volume == other.volume
            && quoteVolume == other.quoteVolume && takerBuyVolume == other.takerBuyVolume
            && takerBuyQuoteVolume == other.takerBuyQuoteVolume
    }
}
