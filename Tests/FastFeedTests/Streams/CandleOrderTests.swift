// The order of candles: what readers of a history and its changes are told, from a table and against a model of a history that grows,
// is healed, corrected, cleaned and trimmed while it is read.

import FastFeed
import TestKit
import Testing

/// Bars by number: the first one of each interval is 0.
private struct Bars {
    let series: Series
    private var opens: [Int64]

    init(_ interval: Interval, count: Int = 600) {
        series = Series(symbol: Symbol("btcusdt")!, interval: interval)
        // 2026-09-21; three-day bars have a phase of their own.
        opens = [interval == .d3 ? 1_790_035_200_000 : interval.openTime(containing: 1_790_000_000_000)]
        while opens.count < count { opens.append(interval.nextOpenTime(after: opens.last!)) }
    }

    subscript(bar: Int) -> Int64 { opens[bar] }
    func bar(_ openMs: Int64) -> Int { opens.firstIndex(of: openMs) ?? -1 }

    func candle(_ bar: Int, revision: Int = 0) -> Candle { Bars.candle(opens[bar], series.interval, revision) }

    static func candle(_ openMs: Int64, _ interval: Interval, _ revision: Int = 0) -> Candle {
        var fields: [(String, String)] = CandleField.allCases.map { ($0.rawValue, "1") }
        func set(_ field: CandleField, _ text: String) { fields[CandleField.allCases.firstIndex(of: field)!].1 = text }
        set(.closeTime, "\(interval.closeTime(ofBarOpening: openMs))")
        set(.source, "live")
        set(.revision, "\(revision)")
        return try! Candle(StreamEntry(key: "candles:{btcusdt}:1m", id: StreamID(UInt64(openMs)), fields: StreamFields(fields)))
    }

    /// `12`, `gap 3..<5 missing`, `late 3`, `corrected 4 r1`.
    func text(_ event: CandleEvent) -> String {
        func revision(_ candle: Candle) -> String { candle.revision > 0 ? " r\(candle.revision)" : "" }
        switch event {
        case .candle(_, let candle): return "\(bar(candle.openTime))" + revision(candle)
        case .gap(let gap): return "gap \(bar(gap.from))..<\(bar(gap.until)) \(gap.cause)"
        case .late(_, let candle): return "late \(bar(candle.openTime))" + revision(candle)
        case .corrected(_, let candle): return "corrected \(bar(candle.openTime))" + revision(candle)
        }
    }
}

/// One reader of one series.
private struct Reader {
    let bars: Bars
    var order: CandleOrder

    init(_ interval: Interval = .m1, after instantMs: Int64? = nil, openGapsMax: Int = 100) {
        bars = Bars(interval)
        order = CandleOrder([bars.series], openGapsMax: openGapsMax)
        order.begin(0, after: instantMs)
    }

    mutating func read(_ bar: Int, revision: Int = 0, oldest: Int? = nil) -> [String] {
        var events: [CandleEvent] = []
        let isGood = order.read(bars.candle(bar, revision: revision), 0, oldestKeptMs: oldest.map { bars[$0] }, into: &events)
        return events.map(bars.text) + (isGood ? [] : ["bad"])
    }

    mutating func change(_ kind: String, _ bar: Int, _ revision: Int = 0, now: Int? = 0) -> [String] {
        let change = CandleChange(openTime: "\(bars[bar])", kind: kind, revision: "\(revision)")!
        var events: [CandleEvent] = []
        order.changed(change, now.map { bars.candle(bar, revision: $0) }, 0, into: &events)
        return events.map(bars.text)
    }

    var gaps: [String] { order.openGaps.map { bars.text(.gap($0)) } }
}

struct CandleOrderTests {
    @Test func neighbours() {
        for interval in Interval.allCases {
            var reader = Reader(interval)
            #expect((0..<5).map { reader.read($0) } == [["0"], ["1"], ["2"], ["3"], ["4"]], "\(interval)")
            #expect(reader.read(8) == ["gap 5..<8 missing", "8"] && reader.read(9) == ["9"], "\(interval)")
            #expect(reader.read(4) == [] && reader.read(8) == [], "read twice")
            #expect(reader.gaps == ["gap 5..<8 missing"])
        }
    }

    @Test func whereItBegins() {
        let bars = Bars(.m1)
        // Behind the candle that one has; its neighbour comes next.
        var reader = Reader(after: bars[3])
        #expect(reader.read(3) == [] && reader.read(4) == ["4"])
        reader = Reader(after: bars[3])
        #expect(reader.read(6, oldest: 0) == ["gap 4..<6 missing", "6"])
        reader = Reader(after: bars[3])
        #expect(reader.read(6, oldest: 6) == ["gap 4..<6 trimmed", "6"])
        reader = Reader(after: bars[3])
        #expect(reader.read(6, oldest: 3) == ["gap 4..<6 missing", "6"], "the place itself is kept")
        // A time in the middle of a bar.
        reader = Reader(after: bars[3] + 1)
        #expect(reader.read(4) == ["4"])
        reader = Reader(after: bars[3] - 1)
        #expect(reader.read(4) == ["gap 3..<4 missing", "4"])
        // Three-day bars have a phase that no place tells.
        let days = Bars(.d3)
        let aways: [Int64] = [1, 86_400_000, 86_400_001, 172_800_000]
        for away in aways {
            reader = Reader(.d3, after: days[3] + away)
            #expect(reader.read(4) == ["4"], "\(away)")
        }
        #expect(Reader(after: bars[3]).order.leaps(0, to: bars[5]) && !Reader(after: bars[3]).order.leaps(0, to: bars[4]))
        #expect(!Reader().order.leaps(0, to: bars[5]))
    }

    @Test func lateOnes() {
        var reader = Reader()
        _ = reader.read(0)
        _ = reader.read(6)
        #expect(reader.change("inserted", 3) == ["late 3"] && reader.gaps == ["gap 1..<3 missing", "gap 4..<6 missing"])
        #expect(reader.change("inserted", 3) == [], "told twice")
        #expect(reader.change("inserted", 1, now: 2) == ["late 1 r2"] && reader.change("corrected", 1, 2, now: 2) == [])
        #expect(reader.change("late", 5) == ["late 5"] && reader.change("inserted", 2) == ["late 2"])
        #expect(reader.gaps == ["gap 4..<5 missing"])
        #expect(reader.change("inserted", 4, now: nil) == [], "gone meanwhile")
        #expect(reader.read(4) == ["late 4"], "a history that was made anew is read from its beginning")
        #expect(reader.gaps == [])
        #expect(reader.change("inserted", 9) == [] && reader.read(7) == ["7"], "what lies ahead comes in its order")
        // Before the place where one began nobody knows what was told.
        let bars = Bars(.m1)
        reader = Reader(after: bars[10])
        #expect(reader.change("inserted", 4) == ["late 4"] && reader.change("corrected", 5, 1, now: 1) == ["corrected 5 r1"])
        #expect(reader.read(4) == [] && reader.read(5, revision: 3) == [])
    }

    @Test func corrections() {
        var reader = Reader()
        _ = reader.read(0)
        #expect(reader.read(1, revision: 2) == ["1 r2"])
        #expect(reader.change("corrected", 1, 1, now: 2) == [] && reader.change("corrected", 1, 2, now: 2) == [], "it was read like that")
        #expect(reader.change("corrected", 1, 3, now: 4) == ["corrected 1 r4"] && reader.change("corrected", 1, 4, now: 4) == [])
        #expect(reader.change("corrected", 0, 1, now: 0) == [], "made anew meanwhile")
        #expect(reader.change("corrected", 0, 1, now: nil) == [])
        #expect(reader.change("mended", 0, 0, now: 5) == ["corrected 0 r5"], "a word of a newer service")
        #expect(reader.change("corrected", 2, 1, now: 1) == [] && reader.read(2, revision: 1) == ["2 r1"])
    }

    @Test func removals() {
        var reader = Reader()
        for bar in 0..<4 { _ = reader.read(bar) }
        #expect(reader.change("removed", 2) == ["gap 2..<3 missing"] && reader.change("removed", 2) == [])
        #expect(reader.change("removed", 3) == ["gap 3..<4 missing"], "the newest, too")
        #expect(reader.change("removed", 5) == [])
        #expect(reader.read(3) == ["late 3"] && reader.read(4) == ["4"], "appended anew")
        #expect(reader.gaps == ["gap 2..<3 missing"])
    }

    @Test func whatIsNotACandle() {
        var reader = Reader()
        var events: [CandleEvent] = []
        let crooked = Bars.candle(reader.bars[0] + 30_000, .m1)
        #expect(!reader.order.read(crooked, 0, oldestKeptMs: nil, into: &events) && events.isEmpty)
        _ = reader.read(0)
        #expect(!reader.order.read(crooked, 0, oldestKeptMs: nil, into: &events) && reader.read(1) == ["1"])
        // Three-day bars of another phase.
        var days = Reader(.d3)
        _ = days.read(0)
        #expect(!days.order.read(Bars.candle(days.bars[0] + 86_400_000, .d3), 0, oldestKeptMs: nil, into: &events) && days.read(1) == ["1"])
        for (time, kind) in [("x", "inserted"), ("-1", "inserted"), ("99999999999999999", "inserted"), ("1", nil)] {
            #expect(CandleChange(openTime: time, kind: kind, revision: "0") == nil)
        }
        #expect(CandleChange(openTime: "60000", kind: "removed", revision: "")?.kind == .removed)
    }

    @Test func theGapsAreBounded() {
        var reader = Reader(openGapsMax: 3)
        for bar in stride(from: 0, through: 10, by: 2) { _ = reader.read(bar) }
        #expect(reader.gaps == ["gap 5..<6 missing", "gap 7..<8 missing", "gap 9..<10 missing"] && reader.order.gapsForgotten == 2)
        #expect(reader.change("inserted", 1) == ["late 1"] && reader.change("inserted", 7) == ["late 7"])
        // One in the middle makes two of one.
        _ = reader.read(15)
        _ = reader.change("inserted", 13)
        #expect(reader.gaps == ["gap 9..<10 missing", "gap 11..<13 missing", "gap 14..<15 missing"])
        #expect(reader.order.gapsForgotten == 3)
    }

    @Test func entries() throws {
        let good: [(String, String)] = CandleField.allCases.map { ($0.rawValue, $0 == .source ? "backfill" : "60") }
        let entry = StreamEntry(key: "candles:{btcusdt}:1m", id: StreamID(60_000), fields: StreamFields(good + [("more", "x")]))
        let candle = try Candle(entry)
        #expect(candle.openTime == 60_000 && candle.source == .backfill && candle.isClosed && candle.eventTime == nil)
        #expect(candle.close == DecimalText("60") && candle.count == 60 && candle.revision == 60)
        func isBad(_ id: StreamID, _ fields: [(String, String)]) -> Bool {
            do throws(StreamError) {
                _ = try Candle(StreamEntry(key: "k", id: id, fields: StreamFields(fields)))
                return false
            } catch {
                if case .badEntry(let what) = error { return what.contains("\(id)") }
                return false
            }
        }
        #expect(isBad(StreamID(60_000, 1), good) && isBad(.max, good))
        for place in good.indices {
            var fields = good
            fields.remove(at: place)
            #expect(isBad(StreamID(60_000), fields), "without \(good[place].0)")
            fields = good
            fields[place].1 = "one"
            // The name of a source may be one that this version does not know.
            #expect(isBad(StreamID(60_000), fields) == (good[place].0 != "source"), "\(good[place].0)")
        }
    }
}

/// A history and its changes, as the service writes them, and a reader who has as much of them as it wants.
private struct World {
    var random: SplitMix64
    let bars: Bars
    var order: CandleOrder
    /// Bar → revision, and the changes.
    var history: [Int: Int] = [:]
    var changes: [CandleChange] = []
    var (newest, place, changePlace) = (-1, -1, 0)
    /// What the reader was told.
    var told: [Int: Int] = [:]
    var (first, last) = (Int.max, -1)
    var complaints = Complaints()
    /// Forgotten gaps may tell a candle twice.
    let isStrict: Bool

    init(seed: UInt64, _ interval: Interval, openGapsMax: Int) {
        random = SplitMix64(seed: seed)
        bars = Bars(interval)
        isStrict = openGapsMax > 1_000
        order = CandleOrder([bars.series], openGapsMax: openGapsMax)
        order.begin(0, after: nil)
    }

    mutating func tell(_ kind: String, _ bar: Int, _ revision: Int) {
        changes.append(CandleChange(openTime: "\(bars[bar])", kind: kind, revision: "\(revision)")!)
    }

    mutating func write() {
        let old = random.below(max(1, newest + 1))
        switch random.below(10) {
        case 0..<4:
            newest = min(599, newest + 1 + (random.chance(25) ? random.below(4) : 0))
            if history[newest] == nil { history[newest] = 0 }
        case 4, 5:
            guard let oldest = history.keys.min(), old > oldest, history[old] == nil else { return }
            history[old] = 0
            tell("inserted", old, 0)
        case 6, 7:
            guard let revision = history[old] else { return }
            history[old] = revision + 1
            tell("corrected", old, revision + 1)
        case 8:
            guard old < newest, history.removeValue(forKey: old) != nil else { return }
            tell("removed", old, 0)
        default:
            guard random.chance(20) else { return }
            for bar in history.keys.sorted().prefix(random.below(5)) where bar < newest { history[bar] = nil }
        }
    }

    mutating func read(_ count: Int) {
        var events: [CandleEvent] = []
        for change in changes[changePlace...].prefix(count) {
            changePlace += 1
            let bar = bars.bar(change.openMs)
            let wanted = order.wants(change, 0)
            order.changed(change, wanted ? history[bar].map { bars.candle(bar, revision: $0) } : nil, 0, into: &events)
        }
        let oldest = history.keys.min().map { bars[$0] }
        for bar in history.keys.filter({ $0 > place }).sorted().prefix(count) {
            place = bar
            let isGood = order.read(bars.candle(bar, revision: history[bar]!), 0, oldestKeptMs: oldest, into: &events)
            complaints.check(isGood, "bar \(bar) is taken for bad")
        }
        for event in events { take(event) }
    }

    mutating func take(_ event: CandleEvent) {
        let text = bars.text(event)
        switch event {
        case .candle(_, let candle):
            let bar = bars.bar(candle.openTime)
            complaints.check(bar > last && told[bar] == nil, "\(text) behind \(last)")
            (first, last) = (min(first, bar), bar)
            told[bar] = Int(candle.revision)
        case .late(_, let candle):
            let bar = bars.bar(candle.openTime)
            complaints.check(bar <= last && (!isStrict || told[bar] == nil || bar < first), "\(text): told already")
            told[bar] = Int(candle.revision)
        case .corrected(_, let candle):
            let bar = bars.bar(candle.openTime)
            complaints.check(candle.revision > Int64(told[bar] ?? (isStrict ? .max : -1)), "\(text): \(told[bar] ?? -1) was told")
            told[bar] = Int(candle.revision)
        case .gap(let gap):
            for bar in bars.bar(gap.from)..<bars.bar(gap.until) { told[bar] = nil }
        }
    }

    mutating func compare() {
        for (bar, revision) in history { complaints.check(told[bar] == revision, "\(bar) r\(revision): told \(told[bar] ?? -1)") }
        guard isStrict, first <= last else { return }
        let missing = Set(order.openGaps.flatMap { Array(bars.bar($0.from)..<bars.bar($0.until)) })
        for bar in first...last { complaints.check((told[bar] != nil) != missing.contains(bar), "\(bar): told and missing, or neither") }
    }
}

struct CandleOrderModelTests {
    @Test(arguments: [Interval.m1, .d3, .w1, .month1])
    func againstAHistory(interval: Interval) {
        for openGapsMax in [10_000, 3] {
            for seed in UInt64(1)...150 {
                var world = World(seed: seed, interval, openGapsMax: openGapsMax)
                for step in 0..<250 {
                    world.write()
                    if world.random.chance(30) { world.read(1 + world.random.below(10)) }
                    if step % 50 == 49 {
                        world.read(1_000)
                        world.compare()
                    }
                    guard world.complaints.isEmpty else { break }
                }
                #expect(world.complaints.isEmpty, "\(interval) seed \(seed), gaps \(openGapsMax): \(world.complaints.summary)")
                guard world.complaints.isEmpty else { return }
            }
        }
    }
}
