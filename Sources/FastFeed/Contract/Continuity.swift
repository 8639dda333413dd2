// What answers say of continuity: holes, and what an audit has found. Plain values, any thread. Members that are not known are passed
// over; a member that is missing or of the wrong type makes the whole message malformed.

/// A hole in the closed candles of a series, as `gaps` tells it.
public struct GapSummary: Sendable, Equatable {
    /// The series' symbol.
    public let symbol: Symbol
    /// The series' interval.
    public let interval: Interval
    /// Open time of the first candle that is missing, Unix ms.
    public let from: Int64
    /// Open time of the first candle that is there again, Unix ms.
    public let until: Int64
    /// Closed candles that are missing.
    public let candles: Int64
    /// Nil for a cause that this version does not know.
    public let cause: Gap.Cause?
    /// Nil for a state that this version does not know.
    public let state: Gap.State?
    /// Times the exchange was asked for it.
    public let tries: Int64
}

extension GapSummary {
    package init(_ gap: Gap) {
        self.init(
            symbol: gap.series.symbol, interval: gap.series.interval, from: gap.fromMs, until: gap.untilMs,
            candles: Int64(gap.candleCount), cause: gap.cause, state: gap.state, tries: Int64(gap.tries))
    }

    package init(_ value: JSONValue) throws(Malformed) {
        self.init(
            symbol: try value.symbol(Field.symbol), interval: try value.interval(Field.interval), from: try value.number(Field.from),
            until: try value.number(Field.until), candles: try value.number(Field.candles),
            cause: Gap.Cause(rawValue: try value.text(Field.cause)), state: Gap.State(rawValue: try value.text(Field.state)),
            tries: try value.number(Field.tries))
    }

    package var members: [(String, JSONValue)] {
        [
            (Field.symbol, .string(symbol.name)), (Field.interval, .string(interval.token)), (Field.from, .integer(from)),
            (Field.until, .integer(until)), (Field.candles, .integer(candles)), (Field.cause, .string(cause?.rawValue ?? "")),
            (Field.state, .string(state?.rawValue ?? "")), (Field.tries, .integer(tries)),
        ]
    }
}

/// The answer to `gaps`.
public struct GapList: Sendable, Equatable {
    /// Those that may still be filled first, then those that the exchange lacks (`absent`); each by open time.
    public let gaps: [GapSummary]
    /// Further ones, which the answer had no room for.
    public let more: Int64

    /// None may still be filled.
    public var isComplete: Bool { gaps.allSatisfy { $0.state == .absent } }
}

extension GapList {
    /// - Parameter found: by open time.
    package init(of found: [Gap]) {
        let ordered = found.filter { $0.state != .absent } + found.filter { $0.state == .absent }
        let listed = ordered.prefix(Limits.gapsListedMax)
        self.init(gaps: listed.map { GapSummary($0) }, more: Int64(ordered.count - listed.count))
    }

    package init(_ value: JSONValue) throws(Malformed) {
        self.init(gaps: try value.list(Field.gaps, of: GapSummary.init), more: try value.number(Field.more))
    }

    package var members: [(String, JSONValue)] { [(Field.gaps, .array(gaps.map { .members($0.members) })), (Field.more, .integer(more))] }
}

/// The answer to `audit`: the stored candles of a series against the exchange's own history.
public struct HistoryAudit: Sendable, Equatable {
    /// A bar, or an entry, that is not as the exchange has it.
    public struct Finding: Sendable, Equatable {
        /// What is wrong with it.
        public enum Kind: String, Sendable, CaseIterable {
            /// The exchange has the bar, Redis has not.
            case missing
            /// Other values than the exchange's.
            case different
            /// An entry that is not a bar of the exchange's.
            case foreign
        }

        /// Id of the entry in the history, `<open time>-0`.
        public let entryID: String
        /// Nil for a finding that this version does not know.
        public let kind: Kind?
    }

    /// The series' symbol.
    public let symbol: Symbol
    /// The series' interval.
    public let interval: Interval
    /// Bars of the exchange that were compared.
    public let checked: Int64
    /// What differs, oldest first.
    public let findings: [Finding]
    /// Further ones, which the answer had no room for.
    public let more: Int64
    /// They were handed on to be put right: that takes a moment.
    public let repaired: Bool
}

extension HistoryAudit {
    /// - Parameter found: entry ids and what is wrong with them, in order.
    package init(_ series: Series, checked: Int, found: [(entryID: String, finding: Finding.Kind)], repaired: Bool) {
        let listed = found.prefix(Limits.findingsListedMax)
        self.init(
            symbol: series.symbol, interval: series.interval, checked: Int64(checked),
            findings: listed.map { Finding(entryID: $0.entryID, kind: $0.finding) }, more: Int64(found.count - listed.count),
            repaired: repaired)
    }

    package init(_ value: JSONValue) throws(Malformed) {
        self.init(
            symbol: try value.symbol(Field.symbol), interval: try value.interval(Field.interval),
            checked: try value.number(Field.checked),
            findings: try value.list(Field.findings) { finding throws(Malformed) in
                Finding(entryID: try finding.text(Field.id), kind: Finding.Kind(rawValue: try finding.text(Field.finding)))
            },
            more: try value.number(Field.more), repaired: try value.truth(Field.repaired))
    }

    package var members: [(String, JSONValue)] {
        let findings = findings.map {
            JSONValue.members([(Field.id, .string($0.entryID)), (Field.finding, .string($0.kind?.rawValue ?? ""))])
        }
        return [
            (Field.symbol, .string(symbol.name)), (Field.interval, .string(interval.token)), (Field.checked, .integer(checked)),
            (Field.findings, .array(findings)), (Field.more, .integer(more)), (Field.repaired, .bool(repaired)),
        ]
    }
}
