// What Redis holds against what the exchange said: every closed candle that must be there is there, once and with the exact text
// of every field; nothing else is there; `latest:*` holds the newest state of each stream. What must be there is what went out to a
// client, or, of a service that heals its histories, all that the exchange has closed (`checkComplete`).
//
// A candle that came from REST says so (`source`) and may lack the trade ids, which REST does not tell. A corrected one says how often
// (`revision`): its values are judged like any other's.
//
// Redis is asked through a closure, so that any client will do. One thread owns a check; it holds one history at a time, and
// beside it one small value for each candle that is absent.

package import FastFeed

package struct TruthCheck: CustomStringConvertible {
    /// How one history stands, as far as its ends tell.
    package struct Kept {
        package let count: Int
        /// Open times of the first and the last entry; both `.min` when there is none.
        package let oldestMs, newestMs: Int64
    }

    /// An announced closed candle that Redis does not hold.
    package struct Absent {
        package enum Place: Sendable {
            /// Older than all that is stored of its series, among them, or newer than all of them.
            case before, between, after
        }
        package let series: Series
        package let openTimeMs: Int64
        package let isRequired: Bool
        /// It went out to a client: if not, the exchange itself never got rid of it.
        package let isDelivered: Bool
        package let place: Place
    }

    private(set) package var announced = 0
    /// Of these, candles that must be stored.
    private(set) package var required = 0
    /// Stored with the exact text of every field.
    private(set) package var same = 0
    /// Stored with another text in some field, or announced twice.
    private(set) package var wrong = 0
    /// Entries and fields that the exchange never announced, and keys that nobody of us makes.
    private(set) package var extra = 0
    /// Of `same`, candles that came from REST.
    private(set) package var healed = 0
    /// Entries with a `revision` other than 0, whatever their values: a correction is right only where something was to be corrected.
    private(set) package var revised = 0
    /// Entries behind one of a later open time.
    private(set) package var misplaced = 0
    /// Second entries, and fields that an entry has twice.
    private(set) package var twice = 0
    private(set) package var absent: [Absent] = []
    private(set) package var latestCompared = 0
    private(set) package var latestWrong = 0
    /// The first of what is not right, for people.
    private(set) package var samples: [String] = []

    /// Announced and stored, rightly or not.
    package var stored: Int { same + wrong }
    /// Required and not stored.
    package var missing: Int { absent.count(where: \.isRequired) }
    /// Nothing is missing, wrong, extra, twice or out of order. (Whether enough was compared is for the caller to say.)
    package var isWhole: Bool { missing + wrong + extra + twice + misplaced + latestWrong == 0 }
    /// Whole, and no candle was ever corrected.
    package var isFlawless: Bool { isWhole && revised == 0 }

    /// One line: the counts of what is not right, and the first sample.
    package var description: String {
        let delivered = absent.count { $0.isRequired && $0.isDelivered }
        return "\(missing) closed candles missing of \(required) (\(delivered) delivered), \(wrong) wrong, \(extra) extra, \(twice) twice, "
            + "\(misplaced) out of order, \(revised) corrected, \(latestWrong) latest states wrong"
            + (samples.first.map { ": \($0)" } ?? "")
    }

    private let schema: KeySchema
    private let ask: ([String]) throws -> RedisReply
    private var knownKeys: Set<String> = []
    private var newestStoredMs: [Series: Int64] = [:]
    private static let samplesMax = 20

    /// - Parameter ask: one command to Redis, and its reply.
    package init(_ schema: KeySchema = KeySchema(prefix: ""), ask: @escaping ([String]) throws -> RedisReply) {
        self.schema = schema
        self.ask = ask
    }

    // MARK: Histories

    /// What the exchange must find again: what went out to a client.
    package static func isDelivered(_ closed: ClosedCandle, _ kept: Kept) -> Bool { closed.delivered }

    /// That nothing is missing: all that the exchange has closed by an instant is there, whoever was told of it.
    /// - Parameters:
    ///   - exchange: from the first bar that must be there (`exchangeCandles`); later ones than `settledMs` may be there.
    ///   - settledMs: a bar that ended before must be there.
    ///   - historyMax: what a cap on the history has removed need not.
    package mutating func checkComplete(_ exchange: [ClosedCandle], settledMs: Int64, historyMax: Int = .max) throws {
        try checkHistories(exchange) { closed, kept in
            closed.candle.closeTimeMs < settledMs && (kept.count < historyMax || closed.candle.openTimeMs >= kept.oldestMs)
        }
    }

    /// Histories of all series that are named. (Bars of another time zone are nobody's history.)
    package mutating func checkHistories(_ closed: [ClosedCandle], isRequired: (ClosedCandle, Kept) -> Bool = isDelivered) throws {
        // Dictionaries are not walked in one order; samples are.
        let bySeries = Dictionary(grouping: closed.filter { $0.offsetMs == 0 }, by: \.series).sorted {
            $0.key.description < $1.key.description
        }
        for (series, list) in bySeries { try checkHistory(series, list, isRequired: isRequired) }
    }

    /// - Parameter closed: all that the exchange has announced of this series.
    package mutating func checkHistory(
        _ series: Series, _ closed: [ClosedCandle], isRequired: (ClosedCandle, Kept) -> Bool = isDelivered
    ) throws {
        var entries = try history(series)
        let kept = Kept(count: entries.count, oldestMs: entries.keys.min() ?? .min, newestMs: entries.keys.max() ?? .min)
        newestStoredMs[series] = kept.newestMs
        if kept.count > 0 { knownKeys.formUnion(TruthCheck.keys(of: series, schema)) }
        var times: Set<Int64> = []
        for candle in closed {
            let openMs = candle.candle.openTimeMs
            let isRequired = isRequired(candle, kept)
            announced += 1
            if isRequired { required += 1 }
            guard times.insert(openMs).inserted else {
                wrong += 1
                note("announced twice: \(series) \(openMs)")
                continue
            }
            guard let entry = entries.removeValue(forKey: openMs) else {
                let place: Absent.Place = kept.count == 0 || openMs > kept.newestMs ? .after : openMs < kept.oldestMs ? .before : .between
                absent.append(
                    Absent(series: series, openTimeMs: openMs, isRequired: isRequired, isDelivered: candle.delivered, place: place))
                if isRequired { note("missing: \(series) \(openMs), announced at \(candle.candle.eventTimeMs)") }
                continue
            }
            let expected = expectation(of: candle.candle, storedAs: entry)
            if entry == expected {
                same += 1
                if expected[CandleField.source.rawValue] == CandleSource.backfill.name { healed += 1 }
            } else {
                wrong += 1
                note("wrong: \(series) \(openMs): stored \(TruthCheck.difference(entry, expected))")
            }
        }
        extra += entries.count
        for openMs in entries.keys.sorted() { note("never announced: \(series) \(openMs)") }
    }

    /// The fields that a candle must have where it is stored from this source and with this revision.
    private mutating func expectation(of candle: CandleRecord, storedAs entry: [String: String]) -> [String: String] {
        var fields = TruthCheck.fields(candle)
        fields[CandleField.source.rawValue] = CandleSource.live.name
        if entry[CandleField.source.rawValue] == CandleSource.backfill.name {
            fields[CandleField.source.rawValue] = CandleSource.backfill.name
            let ids = [CandleField.firstTradeID, .lastTradeID].map(\.rawValue)
            if ids.allSatisfy({ entry[$0] == "-1" }) { for id in ids { fields[id] = "-1" } }
        }
        if let text = entry[CandleField.revision.rawValue], let revision = Int64(text), revision > 0, String(revision) == text {
            revised += 1
            fields[CandleField.revision.rawValue] = text
        }
        return fields
    }

    /// What a series may have besides its newest state: the history, what was changed in it, its holes.
    private static func keys(of series: Series, _ schema: KeySchema) -> [String] {
        let history = schema.historyKey(series)
        let rest = history.dropFirst(schema.prefix.count + "candles".count)
        return [history] + ["changes", "gaps"].map { schema.prefix + $0 + rest }
    }

    /// A history as Redis holds it: open time → fields.
    package mutating func history(_ series: Series) throws -> [Int64: [String: String]] {
        let reply = try ask(["XRANGE", schema.historyKey(series), "-", "+"])
        if case .error(let text) = reply { throw FeedError(.redis, "\(series): \(text)") }
        var result: [Int64: [String: String]] = [:]
        var newestMs = Int64.min
        for entry in reply.elements {
            let list = entry.elements.last?.strings ?? []
            guard let id = entry.elements.first?.text, let openMs = HistoryEntry(id: id, [])?.openTimeMs else {
                // Ids are unique in a stream, so that a second entry for a candle has another sequence than 0.
                twice += 1
                note("an entry that is not the first of its open time: \(series) \(entry)")
                continue
            }
            let fields = TruthCheck.pairs(list)
            if list.count != 2 * fields.count {
                twice += 1
                note("a field twice: \(series) \(entry)")
            }
            result[openMs] = fields
            if openMs < newestMs {
                misplaced += 1
                note("an entry behind a later one: \(series) \(openMs)")
            }
            newestMs = max(newestMs, openMs)
        }
        return result
    }

    /// A closed candle's fields in its history, as the exchange's truth has them.
    package static func fields(_ candle: CandleRecord) -> [String: String] { Dictionary(uniqueKeysWithValues: CandleField.texts(candle)) }

    // MARK: Newest states

    /// - Parameter mayBeEarlier: the exchange was stopped with frames still in its own buffers, so that its last states may never
    ///   have left it: a state may then be older than the last, if it is not behind the newest stored candle.
    package mutating func checkLatest(_ states: [LatestState], mayBeEarlier: Bool = false) throws {
        for (key, states) in Dictionary(grouping: states, by: { schema.latestKey($0.series.market, $0.series.interval) }) {
            knownKeys.insert(key)
            var held = TruthCheck.pairs(try ask(["HGETALL", key]).strings)
            for state in states {
                latestCompared += 1
                let text = held.removeValue(forKey: state.series.symbol.name)
                let stored = text.flatMap { try? JSONValue(parsing: Array($0.utf8)) }.flatMap(TruthCheck.members)
                let expected = TruthCheck.members(CandleRow.json(state.candle, state.series))!
                if stored == expected || mayBeEarlier && stored.map({ isEarlier($0, expected, state) }) ?? false { continue }
                if let stored, try isHealed(stored, state) { continue }
                latestWrong += 1
                note("\(key) \(state.series.symbol): stored \(stored.map { TruthCheck.difference($0, expected) } ?? text ?? "nothing")")
            }
            extra += held.count
            if let symbol = held.keys.min() { note("never announced: \(key) \(symbol)") }
        }
    }

    /// The newest candle of the history, which the exchange closed without being heard.
    private func isHealed(_ stored: [String: String], _ state: LatestState) throws -> Bool {
        guard let open = stored[CandleField.openTime].flatMap({ Int64($0) }), open == newestStoredMs[state.series],
            open >= state.candle.openTimeMs, stored[CandleField.source.rawValue] == JSONValue.string(CandleSource.backfill.name).text
        else { return false }
        let id = HistoryEntry.id(openTimeMs: open)
        let entry = try ask(["XRANGE", schema.historyKey(state.series), id, id]).elements.first?.elements.last?.pairs ?? []
        return !entry.isEmpty && entry.allSatisfy { stored[$0.0] == CandleField(rawValue: $0.0)?.json($0.1)?.text }
    }

    /// What was stored before the exchange's last words: older than they, and not older than the history.
    private func isEarlier(_ stored: [String: String], _ last: [String: String], _ state: LatestState) -> Bool {
        func time(_ name: String) -> Int64? { stored[name].flatMap { Int64($0) } }
        guard let open = time(CandleField.openTime), let event = time(CandleField.eventTime), Set(stored.keys) == Set(last.keys),
            [Field.symbol, Field.interval].allSatisfy({ stored[$0] == last[$0] })
        else { return false }
        return event < state.candle.eventTimeMs && open <= state.candle.openTimeMs && open >= newestStoredMs[state.series] ?? .min
    }

    /// The members of a JSON object, each value as JSON; nil for anything else, or a name that comes twice.
    private static func members(_ value: JSONValue) -> [String: String]? {
        guard case .object(let members) = value else { return nil }
        let names = Dictionary(members.map { ($0.key, $0.value.text) }) { first, _ in first }
        return names.count == members.count ? names : nil
    }

    // MARK: Keys

    /// That no other keys are there than those of the histories and states checked before, what passes away with the service, who has kept
    /// the registry, and the list of instruments. On one server: a cluster's node would tell its own keys alone.
    package mutating func checkKeys() throws {
        for key in try ask(["KEYS", "*"]).strings.sorted() where !knownKeys.contains(key) {
            if key == schema.keeperKey || schema.isListKey(key) { continue }
            // The service's word on how it is, its lease, its attempts to connect. -2: it has just expired; -1: it never will.
            let passesAway =
                [schema.serviceStatusKey, schema.leaseKey, schema.connectsKey].contains(key) || key.hasPrefix(schema.fluxStatusPrefix)
            if try passesAway && ask(["TTL", key]).integer != -1 { continue }
            extra += 1
            note("a key that should not be there: \(key)")
        }
    }

    private static func pairs(_ list: [String]) -> [String: String] {
        var pairs: [String: String] = [:]
        for index in stride(from: 0, to: list.count - 1, by: 2) { pairs[list[index]] = list[index + 1] }
        return pairs
    }

    /// The fields that are not what they should be, each with both values.
    private static func difference(_ stored: [String: String], _ expected: [String: String]) -> String {
        Set(stored.keys).union(expected.keys).sorted().filter { stored[$0] != expected[$0] }
            .map { "\($0) \(stored[$0] ?? "nothing"), announced \(expected[$0] ?? "nothing")" }.joined(separator: "; ")
    }

    private mutating func note(_ text: String) {
        if samples.count < TruthCheck.samplesMax { samples.append(text) }
    }
}
