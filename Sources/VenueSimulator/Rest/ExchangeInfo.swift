// What the exchange says of itself and its instruments. Pure.

import FastFeed

enum ExchangeInfo {
    static func text(of symbols: [(spec: SymbolSpec, state: SymbolState)], configuration: SimulatorConfiguration, nowMs: Int64) -> String {
        let rows = symbols.map { configuration.market == .um ? futures($0.spec, $0.state) : spot($0.spec, $0.state) }.joined(separator: ",")
        let weight = limit("REQUEST_WEIGHT", interval: "MINUTE", count: 1, of: configuration.weightMax)
        let raw = limit("RAW_REQUESTS", interval: "MINUTE", count: 5, of: 300_000)
        let limits = configuration.market == .um ? weight : "\(weight),\(raw)"
        let futuresPart = configuration.market == .um ? "\"futuresType\":\"U_MARGINED\",\"assets\":[]," : ""
        return "{\"timezone\":\"UTC\",\"serverTime\":\(nowMs),\(futuresPart)\"rateLimits\":[\(limits)],"
            + "\"exchangeFilters\":[],\"symbols\":[\(rows)]}"
    }

    private static func limit(_ type: String, interval: String, count: Int, of limit: Int) -> String {
        "{\"rateLimitType\":\"\(type)\",\"interval\":\"\(interval)\",\"intervalNum\":\(count),\"limit\":\(limit)}"
    }

    private static func spot(_ spec: SymbolSpec, _ state: SymbolState) -> String {
        "{\"symbol\":\"\(spec.symbol.upperCased)\",\"status\":\"\(state.status)\",\"baseAsset\":\"\(spec.baseAsset)\","
            + "\"baseAssetPrecision\":8,\"quoteAsset\":\"\(spec.quoteAsset)\",\"quotePrecision\":8,"
            + "\"quoteAssetPrecision\":8,\"isSpotTradingAllowed\":true,\"isMarginTradingAllowed\":true,"
            + "\"filters\":[\(filters(spec, digits: nil))],\"permissions\":[],\"permissionSets\":[[\"SPOT\",\"MARGIN\"]]}"
    }

    private static func futures(_ spec: SymbolSpec, _ state: SymbolState) -> String {
        let name = spec.symbol.upperCased
        return "{\"symbol\":\"\(name)\",\"pair\":\"\(name)\",\"contractType\":\"PERPETUAL\","
            + "\"deliveryDate\":4133404800000,\"onboardDate\":1569398400000,\"status\":\"\(state.status)\","
            + "\"baseAsset\":\"\(spec.baseAsset)\",\"quoteAsset\":\"\(spec.quoteAsset)\","
            + "\"pricePrecision\":\(spec.priceDecimals),\"quantityPrecision\":\(spec.quantityDecimals),"
            + "\"filters\":[\(filters(spec, digits: 0))]}"
    }

    /// - Parameter digits: nil: eight digits, as spot; otherwise the symbol's own.
    private static func filters(_ spec: SymbolSpec, digits: Int?) -> String {
        func text(_ units: Int64, _ decimals: Int) -> String {
            decimalText(Int128(units), scale: decimals, digits: digits == nil ? 8 : decimals)
        }
        let price = spec.priceDecimals, quantity = spec.quantityDecimals
        return "{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"\(text(spec.tickUnits, price))\","
            + "\"maxPrice\":\"\(text(spec.basePrice * 20, price))\",\"tickSize\":\"\(text(spec.tickUnits, price))\"},"
            + "{\"filterType\":\"LOT_SIZE\",\"minQty\":\"\(text(spec.lotUnits, quantity))\","
            + "\"maxQty\":\"\(text(spec.lotUnits * 9_000_000_000, quantity))\",\"stepSize\":\"\(text(spec.lotUnits, quantity))\"}"
    }
}

/// `value · 10^-scale` with a number of digits after the point: the plain way, for what is written rarely
/// (and, in tests, against the fast way).
package func decimalText(_ value: Int128, scale: Int, digits: Int) -> String {
    let all = String(value)
    let padded = String(repeating: "0", count: max(0, scale + 1 - all.utf8.count)) + all
    let whole = padded.dropLast(scale)
    guard digits > 0 else { return String(whole) }
    return whole + "." + padded.suffix(scale) + String(repeating: "0", count: max(0, digits - scale))
}
