// Klines as REST writes them: arrays of twelve. Pure.

enum KlineRows {
    /// No row is longer: twelve numbers of at most 40 bytes.
    private static let rowBytesMax = 640

    /// The whole body.
    /// - Parameter perMs: time units in a millisecond.
    static func text(of bars: [Bar], format: ValueFormat, perMs: Int64) -> [UInt8] {
        let capacity = bars.count * rowBytesMax + 2
        return unsafe [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
            var writer = unsafe TextWriter(at: buffer.baseAddress!)
            writer.byte(UInt8(ascii: "["))
            for (index, bar) in bars.enumerated() {
                if index > 0 { writer.byte(UInt8(ascii: ",")) }
                write(bar, format: format, perMs: perMs, to: &writer)
            }
            writer.byte(UInt8(ascii: "]"))
            count = unsafe writer.count(from: buffer.baseAddress!)
        }
    }

    private static func write(_ bar: Bar, format: ValueFormat, perMs: Int64, to writer: inout TextWriter) {
        let sum = bar.sum
        writer.literal("[")
        writer.integer(bar.openTimeMs * perMs)
        for price in [sum.open, sum.high, sum.low, sum.close] {
            writer.literal(",\"")
            writer.decimal(price, scale: format.priceScale, digits: format.priceDigits)
            writer.literal("\"")
        }
        writer.literal(",\"")
        writer.decimal(sum.volume, scale: format.quantityScale, digits: format.quantityDigits)
        writer.literal("\",")
        writer.integer(bar.nextOpenMs * perMs - 1)
        writer.literal(",\"")
        writer.decimal(sum.quoteVolume, scale: format.quoteScale, digits: format.quoteDigits)
        writer.literal("\",")
        writer.integer(sum.count)
        writer.literal(",\"")
        writer.decimal(sum.takerBuyVolume, scale: format.quantityScale, digits: format.quantityDigits)
        writer.literal("\",\"")
        writer.decimal(sum.takerBuyQuoteVolume, scale: format.quoteScale, digits: format.quoteDigits)
        writer.literal("\",\"0\"]")
    }
}
