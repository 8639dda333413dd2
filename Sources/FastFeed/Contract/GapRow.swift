// A hole as a field of `gaps:{btcusdt}:1m`: named by the open time of its first candle, its value a JSON object. Pure, any thread.

package enum GapRow {
    /// Ours have less than 90. A longer one is somebody else's, and not read.
    private static let bytesMax = 256

    package static func name(_ gap: Gap) -> String { String(gap.fromMs) }

    package static func text(_ gap: Gap) -> String {
        let members: [(String, JSONValue)] = [
            (Field.until, .integer(gap.untilMs)), (Field.cause, .string(gap.cause.rawValue)), (Field.state, .string(gap.state.rawValue)),
            (Field.tries, .integer(Int64(gap.tries))),
        ]
        return JSONValue.members(members).text
    }

    /// Nil for what this version cannot read: somebody else's field, a word of a newer service, times that the calendar cannot carry.
    package static func gap(_ series: Series, name: String, text: String) -> Gap? {
        guard let from = Int64(name), name == String(from), text.utf8.count <= bytesMax,
            let row = try? JSONValue(parsing: Array(text.utf8)),
            let until = row[Field.until]?.integer, let cause = row[Field.cause]?.string.flatMap(Gap.Cause.init),
            let state = row[Field.state]?.string.flatMap(Gap.State.init), let tries = row[Field.tries]?.integer,
            Limits.instantsMs.contains(from), Limits.instantsMs.contains(until), from < until
        else { return nil }
        return Gap(series: series, fromMs: from, untilMs: until, cause: cause, state: state, tries: Int(min(max(tries, 0), 1 << 30)))
    }
}
