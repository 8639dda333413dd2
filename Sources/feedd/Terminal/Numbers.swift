// Numbers as people read them, in a width that does not jump.

enum Numbers {
    /// `12 345 678`
    static func grouped(_ value: some BinaryInteger) -> String {
        let digits = Array(String(value.magnitude))
        var text = value < 0 ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0 && (digits.count - index) % 3 == 0 { text += " " }
            text.append(digit)
        }
        return text
    }

    /// `0.31`, `12.4`, `250`: three significant digits, of a value in ns as milliseconds. A dash for none.
    static func milliseconds(_ nanoseconds: UInt64?) -> String {
        guard let nanoseconds else { return "–" }
        let value = Double(nanoseconds) / 1e6
        return fixed(value, digits: value < 10 ? 2 : value < 100 ? 1 : 0)
    }

    static func mebibytes(_ bytes: UInt64) -> String { fixed(Double(bytes) / 1_048_576, digits: 1) }

    /// Plain decimal with a fixed number of digits behind the point.
    static func fixed(_ value: Double, digits: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "–" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let units = Int64((abs(value) * scale).rounded())
        let sign = value < 0 && units > 0 ? "-" : ""
        guard digits > 0 else { return sign + String(units) }
        let whole = units / Int64(scale)
        let rest = String(units % Int64(scale))
        return "\(sign)\(whole).\(String(repeating: "0", count: digits - rest.count))\(rest)"
    }

    /// `+0.12%`
    static func percent(_ value: Double) -> String {
        let text = fixed(value, digits: 2)
        return (text.hasPrefix("-") ? "" : "+") + text + "%"
    }

    /// `1.23M`: for volumes, where only the size matters.
    static func short(_ value: Double) -> String {
        for (bound, suffix) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] where abs(value) >= bound {
            let scaled = value / bound
            return fixed(scaled, digits: scaled < 10 ? 2 : scaled < 100 ? 1 : 0) + suffix
        }
        return fixed(value, digits: abs(value) < 10 ? 3 : abs(value) < 100 ? 2 : 1)
    }

    /// `1:02:03`
    static func duration(seconds: Int) -> String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let hours = seconds / 3_600
        return (hours > 0 ? "\(hours):\(two(seconds / 60 % 60))" : "\(seconds / 60)") + ":" + two(seconds % 60)
    }
}
