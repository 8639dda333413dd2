// The simulator's 24 h tickers: the klines of the same time, added up; and what the exchange says to a wrong question.

import FastFeed
import Testing
import VenueSimulator

struct SimulatedDayTickerTests {
    private func units(_ text: String) -> Int128 { Int128(text.filter { $0 != "." }) ?? -1 }

    private func tickers(_ world: inout RestWorld, _ target: String) throws -> [JSONValue] {
        guard case .array(let rows) = try JSONValue(parsing: world.get(target).body) else { return [] }
        return rows
    }

    @Test(arguments: [Market.spot, .um]) func theyAreTheirKlines(market: Market) throws {
        var world = RestWorld(testConfiguration(market: market), historyMinutes: 3_000)
        let base = market == .um ? "/fapi/v1/" : "/api/v3/"
        // At the end of a minute, so that the window has whole bars; then in later ones, from sums that are kept.
        for minutes in [0, 1, 59, 61, 1_500] as [Int64] {
            world.nowMs = testStartMs / 60_000 * 60_000 + minutes * 60_000
            let rows = try tickers(&world, base + "ticker/24hr")
            #expect(rows.count == 16)
            for row in [rows[0], rows[5], rows[15]] {
                var bars: [[JSONValue]] = []
                let from = world.nowMs - 86_400_000
                for start in [from, from + 43_200_000] {
                    bars += try world.rows(
                        "\(base)klines?symbol=\(row["symbol"]!.text)&interval=1m&limit=720&startTime=\(start)&endTime=\(start + 43_199_999)"
                    )
                }
                #expect(bars.count == 1_440)
                let sum = bars.reduce(0) { $0 + units($1[7].text) }
                #expect(units(row["quoteVolume"]!.text) == sum && row["count"]!.int == bars.reduce(0) { $0 + $1[8].int })
                #expect(row["lastPrice"] == bars.last![4] && units(row["volume"]!.text) == bars.reduce(0) { $0 + units($1[5].text) })
                #expect(units(row["highPrice"]!.text) == bars.filter { $0[8].int > 0 }.map { units($0[2].text) }.max())
                #expect(row["openTime"]!.int == from && row["closeTime"]!.int == world.nowMs)
                let (open, last) = (Double(row["openPrice"]!.text)!, Double(row["lastPrice"]!.text)!)
                #expect(abs(Double(row["priceChangePercent"]!.text)! - (last / open - 1) * 100) < 0.000_6)
            }
        }
    }

    @Test func oneSomeOrAll() throws {
        var world = RestWorld(testConfiguration())
        let one = try JSONValue(parsing: world.get("/api/v3/ticker/24hr?symbol=ETHUSDT").body)
        #expect(one["symbol"] == .string("ETHUSDT") && one["priceChange"] != nil)
        let two = try tickers(&world, "/api/v3/ticker/24hr?symbols=%5B%22ETHUSDT%22,%22BTCUSDT%22%5D&type=MINI")
        #expect(two.map { $0["symbol"]!.text } == ["ETHUSDT", "BTCUSDT"] && two[0]["priceChange"] == nil)
        #expect(two[0]["quoteVolume"] == one["quoteVolume"])
        _ = world.get("/api/v3/ticker/24hr")
        let tally = world.rest.tally.dayTickers
        #expect(tally.calls == 3 && tally.weight == 2 + 2 + 80)
        #expect(code(of: world.get("/api/v3/ticker/24hr?symbol=NOPE")) == -1121)
        #expect(code(of: world.get("/api/v3/ticker/24hr?symbol=btcusdt")) == -1100)
        #expect(code(of: world.get("/api/v3/ticker/24hr?type=SMALL")) == -1130)
        #expect(code(of: world.get("/api/v3/ticker/24hr?foo=1")) == -1104)
        var futures = RestWorld(testConfiguration(market: .um))
        _ = futures.get("/fapi/v1/ticker/24hr")
        _ = futures.get("/fapi/v1/ticker/24hr?symbol=BTCUSDT")
        #expect(futures.rest.tally.dayTickers.weight == 41 && code(of: futures.get("/fapi/v1/ticker/24hr?type=MINI")) == -1104)
    }

    @Test func whatIsNotListedIsNotThere() throws {
        var world = RestWorld(testConfiguration())
        world.rest.states = Array(repeating: .trading, count: 16)
        (world.rest.states[1], world.rest.states[2]) = (.unlisted, .break)
        let names = try tickers(&world, "/api/v3/ticker/24hr").map { $0["symbol"]!.text }
        #expect(names.count == 15 && !names.contains("ETHUSDT") && names.contains("BNBUSDT"))
        #expect(code(of: world.get("/api/v3/ticker/24hr?symbol=ETHUSDT")) == -1121)
    }
}
