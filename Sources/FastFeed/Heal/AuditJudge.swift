// A stored history against the exchange's own. Pure. Bound: as many findings as entries and candles that are compared; of an entry that
// is not a candle's at most a few short texts are kept.

/// An entry of a history stream, whoever has written it.
package struct StoredEntry: Sendable {
    package let id: String
    /// Names and values in order; none when they are too many or too long for a candle's.
    package let fields: [(String, String)]

    private static let fieldsMax = 2 * CandleField.allCases.count
    private static let textBytesMax = 64

    package init(id: String, fields: [(String, String)]) { (self.id, self.fields) = (id, fields) }

    /// Nil when it is not an entry.
    package init?(_ reply: RedisReply) {
        let parts = reply.elements
        guard parts.count == 2, let id = parts[0].text else { return nil }
        let texts = parts[1].elements
        let isShort = texts.count <= 2 * StoredEntry.fieldsMax && texts.allSatisfy { $0.bytes?.count ?? .max <= StoredEntry.textBytesMax }
        self.init(id: id, fields: isShort ? parts[1].pairs : [])
    }

    /// The entries of a reply to `XRANGE`.
    package static func entries(_ reply: RedisReply) -> [StoredEntry] { reply.elements.compactMap { StoredEntry($0) } }

    /// The two numbers of the id.
    fileprivate var place: (ms: UInt64, sequence: UInt64)? {
        let parts = id.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let ms = UInt64(parts[0]), let sequence = UInt64(parts[1]) else { return nil }
        return (ms, sequence)
    }

    /// True when its values are those of a candle, of whichever.
    fileprivate func isCandle(_ series: Series) -> Bool {
        guard let row = HistoryEntry(id: id, fields)?.json(series) else { return false }
        return (try? Candle(row)) != nil
    }

    /// True when it says the same of the market as the exchange's candle, in the same words.
    fileprivate func agrees(with candle: CandleRecord) -> Bool {
        guard fields.count == CandleField.allCases.count else { return false }
        return CandleField.allCases.allSatisfy { field in
            guard let text = fields.first(where: { $0.0 == field.rawValue })?.1 else { return false }
            let theirs = field.text(of: candle)
            switch field {
            case .source, .revision: return true
            // The exchange's history does not tell them.
            case .firstTradeID, .lastTradeID: return text == theirs || Int64(text) != nil && (text == "-1" || theirs == "-1")
            default: return text == theirs
            }
        }
    }
}

package enum AuditJudge {
    /// What is wrong with a stored history, by id; with the exchange's candle where it has one.
    ///
    /// An entry is foreign when the exchange has no such bar and cannot have sent it: the sequence of its id is not 0, it is not a candle,
    /// it lies where no bar begins, or in the future. A candle that could have come live and that the exchange's history
    /// lacks is left alone, and nothing is said of it: what came over the stream is not to be deleted on the word of another interface.
    /// - Parameters:
    ///   - stored: all entries from `fromMs` up to `untilMs`, or up to the end.
    ///   - exchange: its closed candles of these open times, `untilMs` not among them.
    ///   - nowMs: by the exchange's clock; nil when it is not known, and then nothing lies in the future.
    package static func compare(
        stored: [StoredEntry], exchange: [CandleRecord], _ series: Series, fromMs: Int64, untilMs: Int64, nowMs: Int64? = nil
    ) -> [(entryID: String, finding: AuditReport.Finding, candle: CandleRecord?)] {
        var missing: [Int64: CandleRecord] = [:]
        for candle in exchange where candle.isClosed && fromMs <= candle.openTimeMs && candle.openTimeMs < untilMs {
            missing[candle.openTimeMs] = candle
        }
        let endMs = nowMs.map { series.interval.nextOpenTime(after: min($0, Limits.instantsMs.upperBound)) } ?? .max
        var found: [(place: (ms: UInt64, sequence: UInt64), entryID: String, finding: AuditReport.Finding, candle: CandleRecord?)] = []
        for entry in stored {
            guard let place = entry.place else { continue }
            let open = Int64(clamping: place.ms)
            guard open >= fromMs else { continue }
            if place.sequence == 0, let candle = missing.removeValue(forKey: open) {
                if !entry.agrees(with: candle) { found.append((place, entry.id, .different, candle)) }
                continue
            }
            let isImpossible = open < untilMs && (!series.interval.isOnGrid(open) || !entry.isCandle(series))
            if place.sequence != 0 || isImpossible || open > endMs { found.append((place, entry.id, .foreign, nil)) }
        }
        for (open, candle) in missing { found.append(((UInt64(clamping: open), 0), HistoryEntry.id(openTimeMs: open), .missing, candle)) }
        return found.sorted { $0.place < $1.place }.map { ($0.entryID, $0.finding, $0.candle) }
    }
}
