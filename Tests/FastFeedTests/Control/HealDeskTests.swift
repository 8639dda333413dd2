// Commands about holes: which are listed, and whose audit an answer belongs to.

import FastFeed
import Testing

struct HealDeskTests {
    private let gaps = GapBoard()
    private let minute: Int64 = 60_000

    private func series(_ name: String, _ interval: Interval = .m1) -> Series { Series(symbol: Symbol(name)!, interval: interval) }

    private func add(_ series: Series, _ from: Int64, _ cause: Gap.Cause = .missed) {
        gaps.add(Gap(series: series, fromMs: from * minute, untilMs: (from + 1) * minute, cause: cause))
    }

    @Test func whichAreListed() throws {
        let desk = HealDesk(market: .spot, gaps: gaps)
        #expect(desk.list(symbol: nil, interval: nil, flux: nil).gaps.isEmpty)
        for (name, interval, from) in [("btcusdt", Interval.m1, 5), ("ethusdt", .m1, 1), ("btcusdt", .h1, 60), ("solusdt", .m1, 3)] {
            add(series(name, interval), Int64(from))
        }
        func names(_ symbol: String?, _ interval: Interval?, _ flux: Flux? = nil) -> [String] {
            desk.list(symbol: symbol.flatMap { Symbol($0) }, interval: interval, flux: flux).gaps.map {
                "\($0.symbol) \($0.interval.token)"
            }
        }
        #expect(names(nil, nil) == ["ethusdt 1m", "solusdt 1m", "btcusdt 1m", "btcusdt 1h"])
        #expect(names("btcusdt", nil) == ["btcusdt 1m", "btcusdt 1h"] && names("btcusdt", .h1) == ["btcusdt 1h"])
        #expect(names(nil, .h1) == ["btcusdt 1h"] && names("nobody", nil).isEmpty)
        let flux = Flux(
            symbols: ["ethusdt", "btcusdt"].map { Symbol($0)! }, interval: .m1, name: nil, history: 0, createdAtMs: 0, origin: .command)
        #expect(names(nil, nil, flux) == ["ethusdt 1m", "btcusdt 1m"] && names("ethusdt", nil, flux) == ["ethusdt 1m"])
        #expect(names(nil, .h1, flux).isEmpty)
    }

    @Test func auditsAreAnsweredOnce() throws {
        var desk = HealDesk(market: .spot, gaps: gaps)
        let (btc, eth) = (series("btcusdt"), series("ethusdt"))
        let (one, two) = (RequestKey(kind: .audit, id: "1"), RequestKey(kind: .audit, id: "2"))
        let tokens = (try desk.wait(one, btc), try desk.wait(two, eth))
        var report = AuditReport()
        (report.checked, report.findings) = (9, [("60000-0", .missing)])
        let first = desk.answer(tokens.1, .success(report))
        let again = desk.answer(tokens.1, .success(report))
        let answered = try #require(first)
        let audit = try HistoryAudit(JSONValue.members(answered.result.get()))
        #expect(answered.request == two && audit.symbol == eth.symbol && audit.checked == 9 && !audit.repaired)
        #expect(audit.findings.map(\.entryID) == ["60000-0"])
        #expect(again == nil, "nobody waits for it any more")
        let refused = desk.answer(tokens.0, .failure(.limited(waitMs: 5)))
        let failed = try #require(refused)
        guard case .failure(let error) = failed.result else {
            Issue.record("\(failed)")
            return
        }
        #expect(failed.request == one && error.code == .busy)
    }

    @Test func auditsHaveALimit() throws {
        var desk = HealDesk(market: .spot, gaps: gaps)
        let request = RequestKey(kind: .audit, id: "1")
        for _ in 0..<Limits.auditsWaitingMax { _ = try desk.wait(request, series("btcusdt")) }
        do {
            _ = try desk.wait(request, series("btcusdt"))
            Issue.record("taken")
        } catch {
            #expect(error.code == .busy)
        }
    }

    @Test func refusalsOfTheExchange() {
        for (failure, code) in [
            (RestFailure.unknownSymbol, CommandCode.unknownSymbol), (.busy, .busy), (.limited(waitMs: 1), .busy), (.stopped, .internal),
            (.unavailable("away"), .internal),
        ] {
            var desk = HealDesk(market: .spot, gaps: gaps)
            let token = try? desk.wait(RequestKey(kind: .audit, id: "1"), series("btcusdt"))
            guard case .failure(let error)? = desk.answer(token ?? 0, .failure(failure))?.result else {
                Issue.record("\(failure)")
                continue
            }
            #expect(error.code == code)
        }
    }
}
