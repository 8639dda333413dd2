// Log lines from agents to whoever prints them. Any thread (a lock). An agent never waits and never floods: a line that repeats
// (same key) is let through at the first sight and then at growing distances, with the count between.

/// How much a line matters; the program's logger has levels of these names.
public enum JournalLevel: Int, Sendable, Comparable {
    /// For whoever looks for something.
    case debug
    /// All is as usual.
    case info
    /// Worth knowing, and nothing is wrong.
    case notice
    /// Something is wrong; the engine gets on.
    case warning
    /// Something is lost.
    case error
    /// True when the first matters less.
    public static func < (a: JournalLevel, b: JournalLevel) -> Bool { a.rawValue < b.rawValue }
}

/// One line: what happened, and its particulars in order. Foreign text in it is already printable (`Ascii.printable`).
public struct JournalLine: Sendable {
    /// How much it matters.
    public let level: JournalLevel
    /// What happened, without particulars.
    public let message: String
    /// Names and values, in the order in which they are shown.
    public let fields: [(String, String)]
    /// How many lines with the same key were held back since the last one that was let through.
    public let suppressed: Int
}

package final class Journal: Sendable {
    private struct Repeat {
        var lastNs: UInt64
        var pauseNs: UInt64
        var held: Int
    }

    private struct State {
        var lines: [JournalLine] = []
        var repeats: [String: Repeat] = [:]
        var dropped = 0
    }

    private static let firstPauseNs: UInt64 = 5_000_000_000
    private static let longestPauseNs: UInt64 = 300_000_000_000
    private static let distinctKeysMax = 1_024

    private let state = Lock(State())

    package init() {}

    /// - Parameter key: what makes two lines "the same"; nil for lines that are always let through.
    package func note(
        _ level: JournalLevel, _ message: String, key: String? = nil, _ fields: (String, String)...
    ) { note(level, message, key: key, fields: fields) }

    package func note(_ level: JournalLevel, _ message: String, key: String? = nil, fields: [(String, String)]) {
        let nowNs = MonotonicClock.nowNs()
        state.withLock { state in
            var suppressed = 0
            if let key {
                guard let held = Journal.admit(key, nowNs, &state.repeats) else { return }
                suppressed = held
            }
            if state.lines.count == Limits.journalLineCountMax {
                state.lines.removeFirst()
                state.dropped += 1
            }
            state.lines.append(JournalLine(level: level, message: message, fields: fields, suppressed: suppressed))
        }
    }

    /// How many were held back since the last line of this key, or nil when this one is held back too.
    private static func admit(_ key: String, _ nowNs: UInt64, _ repeats: inout [String: Repeat]) -> Int? {
        guard let entry = repeats[key] else {
            if repeats.count == distinctKeysMax { repeats.removeAll(keepingCapacity: true) }
            repeats[key] = Repeat(lastNs: nowNs, pauseNs: firstPauseNs, held: 0)
            return 0
        }
        let quietNs = nowNs &- entry.lastNs
        guard quietNs >= entry.pauseNs else {
            repeats[key]?.held += 1
            return nil
        }
        // A long silence starts the key afresh.
        let pauseNs = quietNs > 4 * entry.pauseNs ? firstPauseNs : min(entry.pauseNs * 2, longestPauseNs)
        repeats[key] = Repeat(lastNs: nowNs, pauseNs: pauseNs, held: 0)
        return entry.held
    }

    /// Takes what has come since the last call, and how many lines had to be dropped.
    package func drain() -> (lines: [JournalLine], dropped: Int) {
        state.withLock { state in
            defer { (state.lines, state.dropped) = ([], 0) }
            return (state.lines, state.dropped)
        }
    }
}
