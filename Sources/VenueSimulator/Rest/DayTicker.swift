// The 24 h ticker: what was traded in the last 24 hours, from the tape, as the klines of that time add up. Pure.

import FastFeed

struct DayTicker {
    static let windowMs: Int64 = 86_400_000

    private let spec: SymbolSpec
    private let format: ValueFormat
    private let fromMs: Int64
    private let nowMs: Int64
    private let sum: TradeSum
    private let last: Int64
    /// Price of the trade before the window.
    private let before: Int64

    init(_ spec: SymbolSpec, market: Market, history: inout BarHistory, nowMs: Int64) {
        (self.spec, self.nowMs, fromMs) = (spec, nowMs, nowMs - DayTicker.windowMs)
        format = ValueFormat(spec, market: market)
        sum = history.hourlySum(fromMs: fromMs, untilMs: nowMs)
        before = history.lastPrice(beforeMs: fromMs)
        last = sum.isEmpty ? history.lastPrice(beforeMs: nowMs) : sum.close
    }

    /// - Parameters:
    ///   - isMini: without changes and the book (`type=MINI`).
    ///   - perMs: time units in a millisecond.
    func text(market: Market, isMini: Bool, perMs: Int64) -> String {
        let open = sum.isEmpty ? last : sum.open
        let change = Int128(last - open)
        var members = [("symbol", spec.symbol.upperCased)]
        if !isMini {
            // Thousandths of a percent, half away from zero.
            let (scaled, half) = (change.magnitude * 100_000, UInt128(open) / 2)
            let thousandths = Int128((scaled + half) / UInt128(open))
            members += [
                ("priceChange", price(last - open)), ("priceChangePercent", signed(change < 0 ? -thousandths : thousandths, 3, 3)),
                ("weightedAvgPrice", average),
            ]
            if market == .spot {
                let lots = quantity(spec.lotUnits * spec.typicalLots)
                members += [
                    ("prevClosePrice", price(before)), ("bidPrice", price(max(last - spec.tickUnits, spec.tickUnits))), ("bidQty", lots),
                    ("askPrice", price(last + spec.tickUnits)), ("askQty", lots),
                ]
            }
            members.append(("lastQty", quantity(sum.isEmpty ? 0 : spec.lotUnits * spec.typicalLots)))
        }
        members += [
            ("lastPrice", price(last)), ("openPrice", price(open)), ("highPrice", price(sum.isEmpty ? last : sum.high)),
            ("lowPrice", price(sum.isEmpty ? last : sum.low)), ("volume", quantity(sum.volume)),
            ("quoteVolume", signed(sum.quoteVolume, format.quoteScale, format.quoteDigits)),
        ]
        let numbers = [
            ("openTime", fromMs * perMs), ("closeTime", nowMs * perMs), ("firstId", sum.firstID), ("lastId", sum.lastID),
            ("count", sum.count),
        ]
        return "{" + (members.map { "\"\($0)\":\"\($1)\"" } + numbers.map { "\"\($0)\":\($1)" }).joined(separator: ",") + "}"
    }

    private var average: String {
        guard sum.volume > 0 else { return price(0) }
        var power = Int128(1)
        for _ in format.priceScale..<SymbolSpec.quoteDecimalsMax { power *= 10 }
        let text = signed(sum.quoteVolume * power / Int128(sum.volume), SymbolSpec.quoteDecimalsMax, SymbolSpec.quoteDecimalsMax)
        return String(text.dropLast(SymbolSpec.quoteDecimalsMax - format.priceDigits))
    }

    private func price(_ units: Int64) -> String { signed(Int128(units), format.priceScale, format.priceDigits) }
    private func quantity(_ units: Int64) -> String { signed(Int128(units), format.quantityScale, format.quantityDigits) }

    private func signed(_ value: Int128, _ scale: Int, _ digits: Int) -> String {
        (value < 0 ? "-" : "") + decimalText(Int128(value.magnitude), scale: scale, digits: digits)
    }
}
