// How fluxes, series and the service are judged, when the sink is asked, and what is written when. The clock is passed in.

import FastFeed
import Testing

struct StandingTests {
    private static let nowNs: UInt64 = 1_000_000_000_000

    /// A series heard so many seconds ago; nil for never.
    private static func report(_ secondsAgo: UInt64?) -> SeriesReport {
        guard let secondsAgo else { return SeriesReport() }
        // The exchange's clock is an hour behind: ages are by ours.
        return SeriesReport(
            eventTimeMs: 1_000, receivedNs: nowNs - secondsAgo * 1_000_000_000, closedCount: 3, missingCount: 1)
    }

    /// Interval, ages of the newest records, refused series, the flux's age, what it is.
    static let cases: [(Interval, [UInt64?], Int, Int64, FluxState)] = [
        (.m1, [0, 70], 0, 100_000, .live), (.m1, [74, 74], 0, 100_000, .live), (.m1, [76, 76], 0, 100_000, .stale),
        (.s1, [15], 0, 100_000, .live), (.s1, [17], 0, 100_000, .stale), (.month1, [76], 0, 100_000, .stale),
        (.m1, [nil, nil], 0, 1_000, .starting), (.m1, [nil, nil], 0, 76_000, .stale), (.m1, [0, nil], 0, 1_000, .starting),
        (.m1, [0, nil], 1, 1_000, .live), (.m1, [0, nil], 0, 60_000, .live), (.m1, [nil], 1, 70_000, .starting),
    ]

    @Test(arguments: cases)
    func fluxes(interval: Interval, heard: [UInt64?], refused: Int, ageMs: Int64, state: FluxState) {
        let reports = heard.map(StandingTests.report)
        let standing = FluxStanding(
            interval, reports[...], refused: StandingTests.refused(.refused, refused), ageMs: ageMs, nowNs: StandingTests.nowNs,
            nowMs: 3_601_000)
        #expect(standing.state == state)
        let seen = UInt64(heard.count { $0 != nil })
        #expect(standing.candlesTotal == 3 * seen && standing.gapsOpen == seen)
        #expect(standing.seriesLive == heard.count { $0 ?? 1_000 <= (interval == .s1 ? 16 : 75) }, "those of which something came lately")
        #expect(standing.lastUpdateMs == (heard.compactMap { $0 }.min().map { 3_601_000 - 1_000 * Int64($0) } ?? 0))
    }

    /// Who lacks candles and receives others is healing; who receives nothing is what it was.
    @Test func healing() {
        func state(_ heard: [UInt64?], _ refused: [RefusedSymbol] = []) -> FluxState {
            let reports = heard.map(StandingTests.report)
            return FluxStanding(
                .m1, reports[...], refused: refused, isHealing: true, ageMs: 1_000, nowNs: StandingTests.nowNs, nowMs: 3_601_000
            ).state
        }
        #expect(state([5, 5]) == .healing && state([5, nil]) == .starting && state([76]) == .stale && state([nil]) == .starting)
        #expect(state([76], StandingTests.refused(.delisted, 1)) == .delisted)
    }

    /// Nobody trades it, as the exchange says: it is live though nothing comes.
    @Test func quiet() {
        func state(_ heard: [UInt64?], quiet: Int) -> (FluxState, Int) {
            var reports = heard.map(StandingTests.report)
            for place in 0..<quiet { reports[place].isQuiet = true }
            let standing = FluxStanding(
                .h1, reports[...], refused: [], ageMs: 100_000, nowNs: StandingTests.nowNs, nowMs: 3_601_000)
            return (standing.state, standing.seriesLive)
        }
        #expect(state([600], quiet: 1) == (.live, 1) && state([600], quiet: 0) == (.stale, 0))
        #expect(state([nil], quiet: 1) == (.live, 1) && state([600, 600], quiet: 2) == (.live, 2))
        #expect(state([5], quiet: 1) == (.live, 1) && state([600, 5], quiet: 1) == (.live, 2))
        #expect(state([600, 600], quiet: 1) == (.stale, 1), "one that is quiet explains no other")
    }

    private static func refused(_ reason: RefusedSymbol.Reason, _ count: Int) -> [RefusedSymbol] {
        (0..<count).map { RefusedSymbol(Symbol("s\($0)")!, reason) }
    }

    /// When nothing is to be expected of any of its symbols, a flux says so at once; as long as something comes, it is live.
    @Test func allSymbolsAreGone() {
        func state(_ heard: [UInt64?], _ refused: [RefusedSymbol]) -> FluxState {
            let reports = heard.map(StandingTests.report)
            return FluxStanding(.m1, reports[...], refused: refused, ageMs: 1_000, nowNs: StandingTests.nowNs, nowMs: 3_601_000).state
        }
        let (unknown, delisted) = (StandingTests.refused(.unknown, 1), StandingTests.refused(.delisted, 2))
        let halted = StandingTests.refused(.halted("BREAK"), 1)
        #expect(state([nil], unknown) == .delisted && state([nil, nil], delisted) == .delisted && state([nil], halted) == .halted)
        #expect(state([nil, nil], unknown + halted) == .halted && state([nil, nil], halted) == .starting)
        #expect(state([5], halted) == .live && state([76], halted) == .halted && state([76, 76], delisted) == .delisted)
        #expect(state([76, 76], halted) == .stale)
    }

    @Test(arguments: [
        (2, 2, 0, ServiceState.live), (3, 2, 0, .live), (0, 0, 0, .live), (1, 2, 59_999, .starting), (1, 2, 60_000, .degraded),
    ])
    func service(live: Int, wanted: Int, ageMs: Int64, state: ServiceState) {
        #expect(ServiceState(connectionsLive: live, connectionsWanted: wanted, ageMs: ageMs) == state)
    }
}

/// A desk, its book with two fluxes, `one` of two series and `two` of one, and its clock.
private struct StatusRig {
    let board = StandingsBoard()
    let gaps = GapBoard()
    var book: FluxBook
    var desk: StatusDesk
    let one: Flux
    let two: Flux
    var seconds: UInt64 = 100

    static func flux(_ names: [String], _ name: String) -> Flux {
        Flux(symbols: names.map { Symbol($0)! }, interval: .m1, name: name, history: 0, createdAtMs: 0, origin: .command)
    }

    init() throws {
        let schema = KeySchema(prefix: "")
        book = FluxBook(market: .spot, schema: schema, placement: Placement(readerCount: 1, streamsPerConnectionMax: 8), journal: Journal())
        desk = StatusDesk(schema: schema, board: board, healing: gaps, startedAtMs: 0)
        (one, two) = (StatusRig.flux(["btcusdt", "ethusdt"], "one"), StatusRig.flux(["btcusdt"], "two"))
        _ = try book.add(one)
        _ = try book.add(two)
    }

    var nowNs: UInt64 { seconds * 1_000_000_000 }
    var nowMs: Int64 { Int64(seconds) * 1_000 }

    static var figures: EngineHandles.Figures {
        let (counters, meter) = (CounterBank(), LatencyMeter())
        counters.set(.connectionsLive, 1)
        counters.set(.gapsOpen, 3)
        var rest = RestStatistics()
        (rest.weightSpent, rest.weightAllowed, rest.weightReported) = (20, 3_000, 25)
        return (CounterSnapshot([counters]), meter.total.snapshot(), meter.snapshot(), 42, rest)
    }

    mutating func ask() -> [UInt32]? { desk.question(book, nowNs: nowNs) }

    /// The sink's answer: all of them heard just now, so many closed candles each.
    mutating func take(count: Int, closed: UInt64, behindMs: Int64 = 0) {
        let report = SeriesReport(eventTimeMs: nowMs - behindMs, receivedNs: nowNs, closedCount: closed)
        desk.takeStandings(Array(repeating: report, count: count), book, StatusRig.figures, nowNs: nowNs, nowMs: nowMs)
    }

    /// The keys of the hashes that are written.
    mutating func written() -> [String] {
        desk.writes(book, StatusRig.figures, nowNs: nowNs, nowMs: nowMs).filter { $0[0] == "HSET" }.map { $0[1] }
    }
}

struct StatusDeskTests {
    @Test func clocksThatDifferAreSeen() throws {
        var rig = try StatusRig()
        #expect(rig.desk.clockDifferenceMs == nil)
        for behindMs in [0, 3_600_000, -3_600_000] as [Int64] {
            _ = rig.ask()
            rig.take(count: 3, closed: 1, behindMs: behindMs)
            rig.seconds += 10
            #expect(rig.desk.clockDifferenceMs == behindMs)
            let service = rig.desk.serviceStatus(rig.book, StatusRig.figures, nowMs: rig.nowMs)
            #expect(service[Field.clockDifference] == behindMs.magnitude)
        }
    }

    @Test func oneQuestionAtATime() throws {
        var rig = try StatusRig()
        #expect(rig.desk.dueNs == 0 && rig.ask() == [0, 1, 0])
        #expect(rig.desk.dueNs == .max, "the sink's answer wakes control")
        rig.seconds += 10
        #expect(rig.ask() == nil)
        rig.take(count: 3, closed: 1)
        #expect(rig.ask() != nil)
        rig.desk.askLater(rig.nowNs)
        #expect(rig.ask() == nil && rig.desk.dueNs > rig.nowNs && rig.desk.dueNs < rig.nowNs + 1_000_000_000)
        rig.seconds += 1
        #expect(rig.ask() != nil)
        rig.take(count: 3, closed: 1)
        #expect(rig.ask() == nil && rig.desk.dueNs == rig.nowNs + 2_000_000_000)
        rig.desk.markDue()
        #expect(rig.ask() != nil)
    }

    @Test func theBoardShowsFluxesAndSeries() throws {
        var rig = try StatusRig()
        #expect(rig.board.fluxes.isEmpty && rig.board.service.judgedNs == 0 && rig.board.service.state == .starting)
        _ = rig.ask()
        rig.take(count: 3, closed: 5)
        #expect(rig.board.service.state == .live && rig.board.service.judgedNs == rig.nowNs)
        #expect(rig.board.fluxes.map(\.flux) == [rig.one, rig.two])
        let shown = try #require(rig.board["one"])
        #expect(shown.standing.state == .live && shown.standing.candlesTotal == 10)
        #expect(shown.series.map(\.symbol.name) == ["btcusdt", "ethusdt"])
        #expect(shown.series.allSatisfy { $0.standing.state == .live && $0.standing.candlesTotal == 5 })
        #expect(try #require(rig.board["two"]).series.count == 1)
    }

    @Test func aSeriesThatNobodyTradesIsSeenAsSuch() throws {
        var rig = try StatusRig()
        var quiet = Set(rig.one.series(.spot).suffix(1))
        func look() {
            _ = rig.ask()
            rig.desk.takeStandings(
                Array(repeating: SeriesReport(receivedNs: 1, closedCount: 1), count: 3), rig.book, StatusRig.figures, quiet: quiet,
                nowNs: rig.nowNs, nowMs: rig.nowMs)
            rig.seconds += 2
        }
        look()
        #expect(rig.board["one"]?.standing.state == .stale && rig.board["one"]?.standing.seriesLive == 1)
        #expect(rig.board["one"]?.series.map(\.standing.state) == [.stale, .live] && rig.board["two"]?.standing.state == .stale)
        quiet = Set(rig.one.series(.spot))
        look()
        #expect(rig.board["one"]?.standing.state == .live && rig.board["two"]?.standing.state == .live, "both follow it")
    }

    /// A hole is seen in its flux and its series alone; older candles that somebody wants, and what the exchange lacks, are none.
    @Test func holesAreSeen() throws {
        var rig = try StatusRig()
        let (btc, eth) = (rig.one.series(.spot)[0], rig.one.series(.spot)[1])
        func states() -> [FluxState?] {
            _ = rig.ask()
            rig.take(count: 3, closed: 5)
            rig.seconds += 2
            return [rig.board["one"]?.standing.state, rig.board["two"]?.standing.state]
                + (rig.board["one"]?.series.map(\.standing.state) ?? [])
        }
        rig.gaps.add(Gap(series: btc, fromMs: 60_000, untilMs: 120_000, cause: .backfill))
        #expect(states() == [.live, .live, .live, .live])
        rig.gaps.add(Gap(series: eth, fromMs: 60_000, untilMs: 120_000, cause: .missed))
        #expect(states() == [.healing, .live, .live, .healing])
        rig.gaps.markAbsent(eth, fromMs: 60_000, untilMs: 120_000)
        #expect(states() == [.live, .live, .live, .live])
    }

    @Test func anAnswerFindsItsFluxes() throws {
        var rig = try StatusRig()
        _ = rig.ask()
        rig.take(count: 2, closed: 5)
        #expect(rig.board.fluxes.isEmpty, "it is not the answer to the question")
        rig.seconds += 2
        _ = rig.ask()
        _ = rig.book.remove(rig.one)
        let another = StatusRig.flux(["solusdt"], "one")
        _ = try rig.book.add(another)
        rig.take(count: 3, closed: 5)
        #expect(rig.board["one"] == nil, "the flux that was asked about has ended")
        #expect(rig.board["two"]?.standing.candlesTotal == 5)
        #expect(rig.desk.summary(another).state == .starting)
    }

    @Test func writtenOnChangeAndBeforeItExpires() throws {
        var rig = try StatusRig()
        let (service, fluxes) = ("status:service", ["status:flux:one", "status:flux:two"])
        _ = rig.ask()
        rig.take(count: 3, closed: 1)
        #expect(rig.written() == fluxes + [service])
        #expect(rig.written() == [service], "nothing has changed")
        rig.seconds += 3
        #expect(rig.written() == [service])
        rig.seconds += 1
        #expect(rig.written() == fluxes + [service], "or it would expire")
        _ = rig.ask()
        rig.take(count: 3, closed: 2)
        #expect(rig.written() == fluxes + [service])
        #expect(rig.written() == [service])
        rig.desk.forgetWritten()
        #expect(rig.written() == fluxes + [service] && rig.desk.dueNs == 0)
        let commands = rig.desk.writes(rig.book, StatusRig.figures, nowNs: rig.nowNs, nowMs: rig.nowMs)
        #expect(commands.count == 2 && commands[1] == ["EXPIRE", service, "10"])
    }

    @Test func theEndIsSaid() throws {
        var rig = try StatusRig()
        _ = rig.ask()
        rig.take(count: 3, closed: 1)
        #expect(rig.desk.end(rig.two) == [["HSET", "status:flux:two", "state", "stopped"], ["EXPIRE", "status:flux:two", "60"]])
        _ = rig.book.remove(rig.two)
        #expect(rig.board["two"] == nil && rig.written() == ["status:flux:one", "status:service"])
        let last = rig.desk.end(rig.book, nowNs: 7, nowMs: 8)
        #expect(last[0] == ["HSET", "status:service", "state", "stopped", "heartbeat_at", "8"] && last[1][2] == "60")
        #expect(last.count == 4 && last[2] == ["HSET", "status:flux:one", "state", "stopped"])
        #expect(rig.board.service.state == .stopped && rig.board.service.judgedNs == 7 && rig.board.fluxes.isEmpty)
    }

    /// Numbers are numbers and names are texts, whatever they look like.
    @Test func aFluxNamed42() throws {
        var rig = try StatusRig()
        let flux = StatusRig.flux(["btcusdt"], "42")
        _ = try rig.book.add(flux)
        let status = JSONValue.members(rig.desk.fluxStatus(flux, rig.book).members)
        #expect(status[Field.fluxID] == .string("42") && status[Field.series] == .integer(1) && status[Field.createdAt] == .integer(0))
        #expect(rig.desk.summary(flux).json[Field.fluxID] == .string("42"))
        let service = rig.desk.serviceStatus(rig.book, StatusRig.figures, nowMs: rig.nowMs)
        #expect(service.state == .live && service["fluxes"] == 3 && service["series"] == 2 && service["connections"] == 1)
        #expect(service["gaps_open"] == 3 && service["gap_candles_healed"] == 0 && service["trade_id_breaks"] == 0)
        #expect(service["rest_weight_used"] == 20 && service["rest_weight_allowed"] == 3_000 && service["rest_weight_of_address"] == 25)
        #expect(service["series_ids_in_use"] == 2 && service["resident_bytes"] == 42 && service["connections_live"] == 1)
    }
}
