// The instruments of the simulated exchange: names, precisions, prices and how often they trade.
// Plain values, any thread; a list is a pure function of (seed, market, count).

package import FastFeed

/// One instrument. Prices and quantities are integers in units of `10^-decimals`.
package struct SymbolSpec: Sendable {
    package let symbol: Symbol
    package let baseAsset: String
    package let quoteAsset: String
    /// Digits after the point of a price; a price unit is `10^-priceDecimals`.
    package let priceDecimals: Int
    /// Smallest price step, in price units.
    package let tickUnits: Int64
    package let quantityDecimals: Int
    /// Smallest quantity step, in quantity units.
    package let lotUnits: Int64
    /// Middle of the price path, in price units.
    package let basePrice: Int64
    /// Typical quantity of a trade, in lots.
    package let typicalLots: Int64
    /// Trades are drawn in blocks of this length; a symbol trades `tradesPerBlock` times in an average
    /// one and between 0 and twice that in any.
    package let blockMs: Int64
    package let tradesPerBlock: Int64
    /// The symbol's part of every hash.
    package let key: UInt64

    /// Quote amounts are price × quantity, so they have this many digits; at most 8, which makes the
    /// exchange's eight-digit texts exact.
    package var quoteDecimals: Int { priceDecimals + quantityDecimals }

    /// True when whole minutes pass without a trade.
    package var isIlliquid: Bool { blockMs > 60_000 }

    package var tape: TapeParameters {
        TapeParameters(
            key: key, blockMs: blockMs, tradesPerBlock: tradesPerBlock, basePrice: basePrice,
            tickUnits: tickUnits, lotUnits: lotUnits, typicalLots: typicalLots
        )
    }

    package static let quoteDecimalsMax = 8
    /// Keeps `basePrice × deviation` of the price path inside 64 bits.
    package static let basePriceMax: Int64 = 10_000_000_000
}

extension SymbolSpec {
    /// A well-known instrument: name, price decimals, quantity decimals, price, lots, trades a second.
    private struct Known {
        let base: String
        let priceDecimals: Int
        let quantityDecimals: Int
        let basePrice: Int64
        let typicalLots: Int64
        let tradesPerSecond: Int64
    }

    private static let known: [Known] = [
        Known(base: "btc", priceDecimals: 2, quantityDecimals: 5, basePrice: 7_001_230, typicalLots: 900, tradesPerSecond: 8),
        Known(base: "eth", priceDecimals: 2, quantityDecimals: 4, basePrice: 352_417, typicalLots: 1_500, tradesPerSecond: 6),
        Known(base: "bnb", priceDecimals: 2, quantityDecimals: 3, basePrice: 61_285, typicalLots: 700, tradesPerSecond: 3),
        Known(base: "sol", priceDecimals: 2, quantityDecimals: 3, basePrice: 17_342, typicalLots: 2_500, tradesPerSecond: 4),
        Known(base: "xrp", priceDecimals: 4, quantityDecimals: 1, basePrice: 6_123, typicalLots: 4_000, tradesPerSecond: 3),
        Known(base: "doge", priceDecimals: 5, quantityDecimals: 0, basePrice: 12_377, typicalLots: 1_800, tradesPerSecond: 3),
        Known(base: "ada", priceDecimals: 4, quantityDecimals: 1, basePrice: 4_518, typicalLots: 3_000, tradesPerSecond: 2),
        Known(base: "trx", priceDecimals: 4, quantityDecimals: 1, basePrice: 1_287, typicalLots: 6_000, tradesPerSecond: 2),
        Known(base: "link", priceDecimals: 2, quantityDecimals: 2, basePrice: 1_456, typicalLots: 900, tradesPerSecond: 2),
        Known(base: "ltc", priceDecimals: 2, quantityDecimals: 3, basePrice: 8_316, typicalLots: 1_300, tradesPerSecond: 2),
        Known(base: "avax", priceDecimals: 2, quantityDecimals: 2, basePrice: 2_809, typicalLots: 700, tradesPerSecond: 2),
        Known(base: "shib", priceDecimals: 8, quantityDecimals: 0, basePrice: 1_432, typicalLots: 9_000_000, tradesPerSecond: 2),
    ]

    /// The instruments of an exchange; every `illiquidEvery`-th generated one (and the last of the known
    /// ones) hardly trades. 0 makes none illiquid.
    package static func list(seed: UInt64, market: Market, count: Int, illiquidEvery: Int) -> [SymbolSpec] {
        (0..<count).map { index in
            let key = SplitMix64.mix(seed &* 0x2545_F491_4F6C_DD1D &+ UInt64(index) &+ (market == .um ? 1 << 40 : 0))
            if index < known.count { return fromKnown(known[index], key: key, market: market) }
            let illiquid = illiquidEvery > 0 && (index - known.count) % illiquidEvery == illiquidEvery - 1
            return generated(number: index - known.count + 1, key: key, illiquid: illiquid)
        }
    }

    /// What a further instrument's name may end with.
    private static let quotes = ["usdt", "usdc", "btc", "eth", "eur"]

    /// All instruments of a configuration.
    static func list(_ configuration: SimulatorConfiguration) -> [SymbolSpec] {
        let (market, count) = (configuration.market, configuration.symbolCount)
        let specs = list(seed: configuration.seed, market: market, count: count, illiquidEvery: configuration.illiquidEvery)
        return specs
            + configuration.extraSymbols.enumerated().map { index, symbol in
                let key = SplitMix64.mix(configuration.seed &* 0x2545_F491_4F6C_DD1D &+ UInt64(index) &+ 1 << 41)
                let quote = quotes.first { symbol.name.hasSuffix($0) && symbol.name != $0 }
                let base = String(symbol.upperCased.dropLast(quote?.count ?? 0))
                return generated(symbol, base: base, quote: quote ?? "usdt", key: key, illiquid: false)
            }
    }

    private static func fromKnown(_ known: Known, key: UInt64, market: Market) -> SymbolSpec {
        // Futures quote bitcoin in tenths and trade it in thousandths: precisions differ by market.
        let isFuturesBitcoin = market == .um && known.base == "btc"
        return SymbolSpec(
            symbol: Symbol(known.base + "usdt")!,
            baseAsset: known.base.uppercased(), quoteAsset: "USDT",
            priceDecimals: isFuturesBitcoin ? 1 : known.priceDecimals, tickUnits: 1,
            quantityDecimals: isFuturesBitcoin ? 3 : known.quantityDecimals, lotUnits: 1,
            basePrice: isFuturesBitcoin ? known.basePrice / 10 : known.basePrice,
            typicalLots: isFuturesBitcoin ? max(1, known.typicalLots / 100) : known.typicalLots,
            blockMs: 1_000, tradesPerBlock: known.tradesPerSecond, key: key
        )
    }

    private static func generated(number: Int, key: UInt64, illiquid: Bool) -> SymbolSpec {
        let digits = String(number)
        let base = "SIM" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        return generated(Symbol(base + "usdt")!, base: base, key: key, illiquid: illiquid)
    }

    private static func generated(
        _ symbol: Symbol, base: String, quote: String = "usdt", key: UInt64, illiquid: Bool
    ) -> SymbolSpec {
        let priceDecimals = 2 + Int(key & 3)
        return SymbolSpec(
            symbol: symbol,
            baseAsset: base, quoteAsset: quote.uppercased(),
            priceDecimals: priceDecimals, tickUnits: (key >> 2) & 7 == 0 ? 5 : 1,
            quantityDecimals: Int((key >> 5) % 3), lotUnits: 1,
            basePrice: 1_000 + Int64((key >> 8) % 90_000), typicalLots: 50 + Int64((key >> 28) % 2_000),
            // One or two trades a second, or about one in four minutes.
            blockMs: illiquid ? 600_000 : 1_000,
            tradesPerBlock: illiquid ? 2 + Int64((key >> 44) & 1) : 1 + Int64((key >> 44) & 1), key: key
        )
    }
}
