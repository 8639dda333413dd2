// Durations as whole milliseconds: public functions take a `Duration`, everything below counts milliseconds. Pure.

extension Duration {
    /// Rounded up, so that a wait is never shorter than asked for; negative ones are 0.
    package var wholeMilliseconds: Int {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let perMillisecond: Int64 = 1_000_000_000_000_000
        let (product, overflows) = seconds.multipliedReportingOverflow(by: 1_000)
        guard !overflows else { return .max }
        return Int(clamping: product.addingReportingOverflow((attoseconds + perMillisecond - 1) / perMillisecond).partialValue)
    }
}
