// Writes numbers and pre-rendered text into raw memory. The innermost layer of the encoder: no bounds
// checks; the caller owns a buffer with room for the largest frame (`KlineEncoder.frameBytesMax`), which
// includes the eight bytes a number may be written past its end.

/// A moving write position. Lives for one frame, on one thread.
@safe package struct TextWriter {
    private var position: UnsafeMutablePointer<UInt8>

    package init(at start: UnsafeMutablePointer<UInt8>) { unsafe position = start }

    /// Bytes written since a start.
    @inline(__always)
    package func count(from start: UnsafeMutablePointer<UInt8>) -> Int { unsafe position - start }

    @inline(__always)
    package mutating func byte(_ value: UInt8) {
        unsafe position.pointee = value
        unsafe position += 1
    }

    @inline(__always)
    package mutating func copy(_ source: UnsafePointer<UInt8>, count: Int) {
        unsafe position.update(from: source, count: count)
        unsafe position += count
    }

    /// A short literal, unrolled at compile time.
    @inline(__always)
    package mutating func literal(_ text: StaticString) {
        unsafe copy(text.utf8Start, count: text.utf8CodeUnitCount)
    }

    /// One of two, each of them known when this is compiled.
    @inline(__always)
    package mutating func literal(_ dense: StaticString, _ spaced: StaticString, _ isSpaced: Bool) {
        if isSpaced { literal(spaced) } else { literal(dense) }
    }

    @inline(__always)
    package mutating func integer(_ value: Int64) {
        if value < 0 { byte(UInt8(ascii: "-")) }
        unsigned(value.magnitude)
    }

    @inline(__always)
    package mutating func unsigned(_ value: UInt64) {
        if value < 100_000_000 {
            leading(value)
        } else if value < 10_000_000_000_000_000 {
            let high = value / 100_000_000
            leading(high)
            eightDigits(value &- high &* 100_000_000)
        } else {
            let high = value / 10_000_000_000_000_000
            let rest = value &- high &* 10_000_000_000_000_000
            let middle = rest / 100_000_000
            leading(high)
            eightDigits(middle)
            eightDigits(rest &- middle &* 100_000_000)
        }
    }

    /// `value · 10^-scale` with `digits` digits after the point; `scale ≤ digits ≤ 8` or the digits
    /// beyond `scale` are zero anyway.
    @inline(__always)
    package mutating func decimal(_ value: Int64, scale: Int, digits: Int) {
        let (eighths, overflow) = value.multipliedReportingOverflow(by: TextWriter.power(8 &- scale))
        if overflow { return wideDecimal(Int128(value), scale: scale, digits: digits) }
        eightDecimals(UInt64(bitPattern: eighths), digits: digits)
    }

    @inline(__always)
    package mutating func decimal(_ value: Int128, scale: Int, digits: Int) {
        if let narrow = Int64(exactly: value) { return decimal(narrow, scale: scale, digits: digits) }
        wideDecimal(value, scale: scale, digits: digits)
    }

    /// The same beyond 64 bits: 128-bit division, rare.
    @inline(never)
    private mutating func wideDecimal(_ value: Int128, scale: Int, digits: Int) {
        let unit = Int128(TextWriter.power(scale))
        let whole = value / unit
        let fraction = UInt64(value - whole * unit) * UInt64(TextWriter.power(8 - scale))
        if whole > Int128(UInt64.max) {
            let high = whole / 10_000_000_000_000_000
            unsigned(UInt64(high))
            let low = UInt64(whole - high * 10_000_000_000_000_000)
            eightDigits(low / 100_000_000)
            eightDigits(low % 100_000_000)
        } else {
            unsigned(UInt64(whole))
        }
        fractionDigits(fraction, digits: digits)
    }

    /// A value in units of 10⁻⁸.
    @inline(__always)
    private mutating func eightDecimals(_ value: UInt64, digits: Int) {
        let whole = value / 100_000_000
        unsigned(whole)
        fractionDigits(value &- whole &* 100_000_000, digits: digits)
    }

    @inline(__always)
    private mutating func fractionDigits(_ fraction: UInt64, digits: Int) {
        guard digits > 0 else { return }
        byte(UInt8(ascii: "."))
        store(TextWriter.digits(fraction))
        unsafe position += digits
    }

    /// Below 10⁸, without leading zeros; zero is one digit.
    @inline(__always)
    private mutating func leading(_ value: UInt64) {
        let digits = TextWriter.digits(value)
        let zeros = min((digits ^ 0x3030_3030_3030_3030).trailingZeroBitCount &>> 3, 7)
        store(digits &>> UInt64(zeros &* 8))
        unsafe position += 8 &- zeros
    }

    @inline(__always)
    private mutating func eightDigits(_ value: UInt64) {
        store(TextWriter.digits(value))
        unsafe position += 8
    }

    @inline(__always)
    private func store(_ word: UInt64) {
        unsafe UnsafeMutableRawPointer(position).storeBytes(of: word.littleEndian, as: UInt64.self)
    }

    /// Eight ASCII digits of a number below 10⁸, first digit in the lowest byte. Divides all digits at
    /// once: into fours, twos and ones, each step in parallel lanes (the multipliers are exact for the
    /// lanes' ranges: x·10486 >> 20 = x/100 below 10⁴, x·103 >> 10 = x/10 below 10²).
    @inline(__always)
    package static func digits(_ value: UInt64) -> UInt64 {
        let high = value / 10_000
        let fours = high | (value &- high &* 10_000) &<< 32
        let hundreds = ((fours &* 10_486) &>> 20) & 0x0000_007F_0000_007F
        let twos = (fours &- hundreds &* 100) &<< 16 | hundreds
        let tens = ((twos &* 103) &>> 10) & 0x000F_000F_000F_000F
        let ones = (twos &- tens &* 10) &<< 8 | tens
        return ones | 0x3030_3030_3030_3030
    }

    @inline(__always)
    package static func power(_ exponent: Int) -> Int64 {
        switch exponent {
        case 0: 1
        case 1: 10
        case 2: 100
        case 3: 1_000
        case 4: 10_000
        case 5: 100_000
        case 6: 1_000_000
        case 7: 10_000_000
        default: 100_000_000
        }
    }
}
