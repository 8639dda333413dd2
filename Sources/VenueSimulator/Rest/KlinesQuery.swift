// The parameters of a klines request, read and judged by the exchange's rules. Pure.

package import FastFeed

/// A refusal with the exchange's code; HTTP status 400.
package struct RestError: Error, Equatable {
    package let code: Int
    package let message: String

    package static func illegal(_ name: String, range: String) -> RestError {
        RestError(code: -1100, message: "Illegal characters found in parameter '\(name)'; legal range is '\(range)'.")
    }
    package static func mandatory(_ name: String) -> RestError {
        RestError(code: -1102, message: "Mandatory parameter '\(name)' was not sent, was empty/null, or malformed.")
    }
    package static func notValid(_ name: String) -> RestError {
        RestError(code: -1130, message: "Data sent for parameter '\(name)' is not valid.")
    }
    package static func unread(read: Int, sent: Int) -> RestError {
        RestError(
            code: -1104,
            message: "Not all sent parameters were read; read '\(read)' parameter(s) but was sent '\(sent)'.")
    }
    package static let duplicate = RestError(
        code: -1101, message: "Duplicate values for a parameter detected.")
    package static let badInterval = RestError(code: -1120, message: "Invalid interval.")
    package static let badSymbol = RestError(code: -1121, message: "Invalid symbol.")
}

package struct KlinesQuery: Equatable {
    package let symbolIndex: Int
    package let interval: Interval
    package let offsetMs: Int64
    /// Milliseconds, whatever unit was sent.
    package let startMs: Int64?
    package let endMs: Int64?
    package let limit: Int

    package static let defaultLimit = 500

    package static func limitMax(_ market: Market) -> Int { market == .um ? 1_500 : 1_000 }

    /// - Parameter symbolIndexes: by lower-case name.
    package init(
        _ query: [(key: String, value: String)], market: Market, symbolIndexes: [String: Int]
    ) throws(RestError) {
        var known = ["symbol", "interval", "startTime", "endTime", "limit"]
        if market == .spot { known.append("timeZone") }
        try KlinesQuery.requireKnown(query, known)
        func value(_ key: String) -> String? { query.first { $0.key == key }?.value }
        symbolIndex = try KlinesQuery.symbol(value("symbol"), in: symbolIndexes)
        guard let token = value("interval"), !token.isEmpty else { throw .mandatory("interval") }
        guard let interval = Interval(token: token), market == .spot || interval != .s1 else { throw .badInterval }
        self.interval = interval
        offsetMs = try KlinesQuery.timeZone(value("timeZone"))
        startMs = try KlinesQuery.integer("startTime", value("startTime")).map(KlinesQuery.milliseconds)
        endMs = try KlinesQuery.integer("endTime", value("endTime")).map(KlinesQuery.milliseconds)
        let asked = try KlinesQuery.integer("limit", value("limit")) ?? Int64(KlinesQuery.defaultLimit)
        guard asked > 0 else { throw .notValid("limit") }
        limit = Int(min(asked, Int64(KlinesQuery.limitMax(market))))
    }

    /// Every parameter must be known and come once.
    package static func requireKnown(_ query: [(key: String, value: String)], _ known: [String]) throws(RestError) {
        let read = Set(query.map(\.key)).intersection(known).count
        if read < Set(query.map(\.key)).count { throw .unread(read: read, sent: query.count) }
        if read < query.count { throw .duplicate }
    }

    package static func symbol(_ text: String?, in indexes: [String: Int]) throws(RestError) -> Int {
        guard let text, !text.isEmpty else { throw .mandatory("symbol") }
        let isLegal =
            text.unicodeScalars.count <= 20
            && text.utf8.allSatisfy { byte in
                switch byte {
                // Symbols beyond ASCII are traded; what the range is called since then is not known.
                case 0x80...: true
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
                    UInt8(ascii: "_"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
        guard isLegal else { throw .illegal("symbol", range: "^[A-Z0-9-_.]{1,20}$") }
        guard let index = indexes[text.lowercased()] else { throw .badSymbol }
        return index
    }

    private static func integer(_ name: String, _ text: String?) throws(RestError) -> Int64? {
        guard let text else { return nil }
        guard !text.isEmpty else { throw RestError(code: -1105, message: "Parameter '\(name)' was empty.") }
        guard text.utf8.count <= 20, text.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else {
            throw .illegal(name, range: "^[0-9]{1,20}$")
        }
        guard let value = Int64(text) else { throw RestError(code: -1108, message: "Parameter '\(name)' overflowed.") }
        return value
    }

    /// Times of 16 digits are microseconds.
    private static func milliseconds(_ value: Int64) -> Int64 { value >= 100_000_000_000_000 ? value / 1_000 : value }

    /// `8`, `-1:00`, `05:45`: hours and perhaps minutes east of Greenwich, −12:00 … 14:00.
    package static func timeZone(_ text: String?) throws(RestError) -> Int64 {
        guard let text else { return 0 }
        var digits = text[...]
        let isWest = digits.hasPrefix("-")
        if isWest || digits.hasPrefix("+") { digits.removeFirst() }
        let parts = digits.split(separator: ":", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), (1...2).contains(parts[0].utf8.count),
            parts.allSatisfy({ $0.utf8.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") } }),
            let hours = Int64(parts[0]), let minutes = parts.count == 2 ? Int64(parts[1]) : 0,
            parts.count == 1 || parts[1].utf8.count == 2, minutes < 60
        else { throw .notValid("timeZone") }
        let offset = (hours * 60 + minutes) * (isWest ? -1 : 1)
        guard (-720...840).contains(offset) else { throw .notValid("timeZone") }
        return offset * 60_000
    }
}
