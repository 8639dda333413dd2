// Places in streams and spans of time as people type them. Pure; times are UTC.

/// Where in a stream: `start`, `end`, an id, Unix ms, `2026-11-28T03:00Z`, or an age such as `10m`.
package enum StreamPlace: Sendable, Equatable {
    case start, end
    case id(StreamID)
    /// A moment, Unix ms.
    case instant(UInt64)

    package static let forms = "start, end, an id, Unix ms, a time such as 2026-11-28T03:00Z, or an age such as 10m or 24h"

    /// - Parameter nowMs: what ages are counted from.
    package init?(_ text: String, nowMs: Int64) {
        switch text {
        case "start": self = .start
        case "end": self = .end
        default:
            if let number = UInt64(text), text.utf8.allSatisfy(Ascii.isDigit) {
                self = .instant(number)
            } else if let id = StreamID(text) {
                self = .id(id)
            } else if let age = StreamSpan.milliseconds(text) {
                self = .instant(UInt64(max(0, nowMs - age)))
            } else if let instantMs = CivilTime.unixMs(text) {
                self = .instant(instantMs)
            } else {
                return nil
            }
        }
    }

    /// The first id that is meant. Of `end`, the largest there can be.
    package var from: StreamID {
        switch self {
        case .start: .min
        case .end: .max
        case .id(let id): id
        case .instant(let ms): StreamID(ms)
        }
    }

    /// The last id that is meant: a moment is a whole millisecond.
    package var through: StreamID {
        switch self {
        case .start: .min
        case .end: .max
        case .id(let id): id
        case .instant(let ms): .last(in: ms)
        }
    }

    /// Where a reader goes on: behind an id, and with the first entry of a moment.
    package var position: StreamPosition {
        switch self {
        case .start: .start
        case .end: .end
        case .id(let id): .after(id)
        case .instant(let ms): ms == 0 ? .start : .after(.last(in: ms - 1))
        }
    }
}

/// Spans such as `500ms`, `60s`, `10m`, `24h`, `7d`, `2w`.
package enum StreamSpan {
    package static let forms = "a span such as 500ms, 60s, 10m, 24h, 7d or 2w"

    private static let units: [(String, Int64)] = [
        ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000),
    ]
    /// A hundred years.
    private static let millisecondsMax: Int64 = 36_525 * 86_400_000

    /// Nil for everything else, and for more than a hundred years.
    package static func milliseconds(_ text: String) -> Int64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard digits.count <= 15, let count = Int64(digits), let unit = units.first(where: { $0.0 == text.dropFirst(digits.count) }) else {
            return nil
        }
        let (product, isOver) = count.multipliedReportingOverflow(by: unit.1)
        return isOver || product > millisecondsMax ? nil : product
    }
}

/// `2026-11-28`, `2026-11-28T03:00`, `2026-11-28T03:00:05.250Z`.
package enum CivilTime {
    /// Unix ms; nil for what is not such a time from 1970 on.
    package static func unixMs(_ text: String) -> UInt64? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 10, bytes.count <= 24, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
            let year = number(bytes[0..<4]), let month = number(bytes[5..<7]), let day = number(bytes[8..<10]),
            year >= 1970, (1...12).contains(month), day >= 1, day <= daysOf(month, year)
        else { return nil }
        guard let clockMs = clock(bytes[10...]) else { return nil }
        return UInt64(days(year, month, day) * 86_400_000 + clockMs)
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard digits.allSatisfy(Ascii.isDigit) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    /// `T03:00Z`, `T03:00:05.250`, nothing.
    private static func clock(_ text: ArraySlice<UInt8>) -> Int? {
        var rest = text.last == UInt8(ascii: "Z") ? text.dropLast() : text
        if rest.isEmpty { return 0 }
        func take(_ mark: Unicode.Scalar, _ count: ClosedRange<Int>) -> (number: Int, digits: Int)? {
            guard rest.first == UInt8(ascii: mark) else { return nil }
            let digits = rest.dropFirst().prefix { Ascii.isDigit($0) }
            guard count.contains(digits.count), let number = number(digits) else { return nil }
            rest = rest.dropFirst(1 + digits.count)
            return (number, digits.count)
        }
        guard let hour = take("T", 2...2)?.number, hour < 24, let minute = take(":", 2...2)?.number, minute < 60 else { return nil }
        var ms = (hour * 60 + minute) * 60_000
        if let second = take(":", 2...2)?.number {
            guard second < 60 else { return nil }
            ms += second * 1_000
            if let (fraction, digits) = take(".", 1...3) { ms += fraction * [100, 10, 1][digits - 1] }
        }
        return rest.isEmpty ? ms : nil
    }

    private static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    private static func daysOf(_ month: Int, _ year: Int) -> Int {
        [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
    }

    /// Days since 1970-01-01.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let before = year - 1
        let leaps = before / 4 - before / 100 + before / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400)
        return (year - 1970) * 365 + leaps + (1..<month).reduce(0) { $0 + daysOf($1, year) } + day - 1
    }
}
