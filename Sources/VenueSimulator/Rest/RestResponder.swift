// The exchange's REST market data: a request in, a response out. No sockets, no clock; one thread.

import FastFeed

package struct RestResponder {
    private let configuration: SimulatorConfiguration
    private let symbols: [SymbolSpec]
    private let symbolIndexes: [String: Int]
    private var ledger: WeightLedger
    private var spent = RestTally()
    /// By symbol index; empty: all trade.
    package var states: [SymbolState] = []
    /// Maintenance: everything is answered with 503.
    package var isClosed = false

    package init(configuration: SimulatorConfiguration, symbols: [SymbolSpec]) {
        self.configuration = configuration
        self.symbols = symbols
        symbolIndexes = Dictionary(uniqueKeysWithValues: symbols.enumerated().map { ($1.symbol.name, $0) })
        ledger = WeightLedger(weightMax: configuration.weightMax, firstBanSeconds: configuration.banSeconds)
    }

    private enum Endpoint {
        case ping, time, exchangeInfo, klines, dayTickers

        var tally: WritableKeyPath<RestTally, RestTally.Spent> {
            switch self {
            case .ping: \.ping
            case .time: \.time
            case .exchangeInfo: \.exchangeInfo
            case .klines: \.klines
            case .dayTickers: \.dayTickers
            }
        }
    }

    package var tally: RestTally {
        var tally = spent
        (tally.early, tally.weightPeak) = (ledger.early, ledger.weightPeak)
        return tally
    }

    /// - Parameters:
    ///   - address: whose weight is charged.
    ///   - nowMs: virtual time, the exchange's.
    ///   - wallMs: wall time, for weights and bans, which a fast clock must not shorten.
    package mutating func respond(
        to head: RequestHead, from address: String, nowMs: Int64, wallMs: Int64, histories: inout [BarHistory]
    ) -> HTTPResponse {
        let response = answer(to: head, from: address, nowMs: nowMs, wallMs: wallMs, histories: &histories)
        return RestResponder.dated(response, nowMs)
    }

    /// What a fault answers instead. Who is told to wait has to.
    package mutating func refuse(_ fault: Fault, _ address: String, nowMs: Int64, wallMs: Int64) -> HTTPResponse {
        if fault.value == 429 || fault.value == 418 {
            ledger.refuse(address, seconds: fault.retrySeconds, isBan: fault.value == 418, nowMs: wallMs)
            if fault.value == 418 { spent.banned += 1 } else { spent.limited += 1 }
        }
        return RestResponder.dated(.refusal(fault.value, retryAfterSeconds: fault.retrySeconds), nowMs)
    }

    private static func dated(_ response: HTTPResponse, _ nowMs: Int64) -> HTTPResponse {
        var response = response
        response.headers.append(("date", HTTPDate.text(nowMs)))
        return response
    }

    private mutating func answer(
        to head: RequestHead, from address: String, nowMs: Int64, wallMs: Int64, histories: inout [BarHistory]
    ) -> HTTPResponse {
        let market = configuration.market
        let prefix = market == .um ? "/fapi/v1/" : "/api/v3/"
        guard let target = RequestTarget(head.target) else { return .refusal(400) }
        guard target.path.hasPrefix(prefix), let endpoint = endpoint(target.path.dropFirst(prefix.count)) else {
            let wantsPage = head.headers["accept"]?.contains("text/html") == true
            return wantsPage
                ? HTTPResponse(404, contentType: "text/html", body: "<html><body><h1>404 Not Found</h1></body></html>")
                : HTTPResponse(404)
        }
        guard head.method == "GET" else { return .refusal(400) }
        guard !isClosed else { return .refusal(503) }
        let used: Int
        let weight = weight(of: endpoint, target)
        spent[keyPath: endpoint.tally].calls += 1
        switch ledger.charge(weight, to: address, nowMs: wallMs) {
        case .admitted(let total): used = total
        case .limited(let total, let seconds):
            spent[keyPath: endpoint.tally].weight += weight
            spent.limited += 1
            return tooMuch(429, used: total, retryAfter: seconds, nowMs: nowMs)
        case .banned(let seconds):
            spent.banned += 1
            return tooMuch(418, used: nil, retryAfter: seconds, nowMs: nowMs)
        }
        spent[keyPath: endpoint.tally].weight += weight
        var response: HTTPResponse
        do throws(RestError) {
            let perMs = try timeScale(head)
            let body: [UInt8]
            switch endpoint {
            case .ping:
                try KlinesQuery.requireKnown(target.query, [])
                body = Array("{}".utf8)
            case .time:
                try KlinesQuery.requireKnown(target.query, [])
                body = Array("{\"serverTime\":\(nowMs * perMs)}".utf8)
            case .exchangeInfo: body = try exchangeInfo(target.query, nowMs: nowMs)
            case .klines: body = try klines(target.query, nowMs: nowMs, perMs: perMs, histories: &histories)
            case .dayTickers: body = try dayTickers(target.query, nowMs: nowMs, perMs: perMs, histories: &histories)
            }
            response = HTTPResponse(200)
            response.body = body
            response.headers = [("content-type", "application/json;charset=UTF-8")]
        } catch {
            response = HTTPResponse(400, body: "{\"code\":\(error.code),\"msg\":\(JSONValue.quoted(error.message))}")
        }
        response.headers += weightHeaders(used)
        return response
    }

    private func endpoint(_ name: Substring) -> Endpoint? {
        switch name {
        case "ping": .ping
        case "time": .time
        case "exchangeInfo": .exchangeInfo
        case "klines": .klines
        case "uiKlines": configuration.market == .spot ? .klines : nil
        case "ticker/24hr": .dayTickers
        default: nil
        }
    }

    private func weight(of endpoint: Endpoint, _ target: RequestTarget) -> Int {
        switch (endpoint, configuration.market) {
        case (.ping, _), (.time, _): return 1
        case (.exchangeInfo, .spot): return 20
        case (.exchangeInfo, .um): return 1
        case (.klines, .spot): return 2
        case (.klines, .um):
            switch target.value("limit").flatMap({ Int($0) }) ?? KlinesQuery.defaultLimit {
            case ..<100: return 1
            case ..<500: return 2
            case ...1_000: return 5
            default: return 10
            }
        case (.dayTickers, .um): return target.value("symbol") == nil ? 40 : 1
        case (.dayTickers, .spot):
            guard target.value("symbol") == nil else { return 2 }
            switch target.value("symbols").map({ $0.utf8.count { $0 == UInt8(ascii: ",") } + 1 }) ?? .max {
            case ...20: return 2
            case ...100: return 40
            default: return 80
            }
        }
    }

    private func weightHeaders(_ used: Int) -> [(name: String, value: String)] {
        [("x-mbx-used-weight", String(used)), ("x-mbx-used-weight-1m", String(used))]
    }

    private func tooMuch(_ status: Int, used: Int?, retryAfter: Int, nowMs: Int64) -> HTTPResponse {
        let advice = "Please use WebSocket Streams for live updates to avoid"
        let message =
            status == 429
            ? "Too much request weight used; current limit is \(configuration.weightMax) request weight per 1 MINUTE. \(advice) polling the API."
            : "Way too much request weight used; IP banned until \(nowMs + Int64(retryAfter) * 1_000). \(advice) bans."
        var response = HTTPResponse(status, body: "{\"code\":-1003,\"msg\":\(JSONValue.quoted(message))}")
        response.headers.append(("retry-after", String(retryAfter)))
        if let used { response.headers += weightHeaders(used) }
        return response
    }

    /// Milliseconds unless the header of the spot interface asks for microseconds.
    private func timeScale(_ head: RequestHead) throws(RestError) -> Int64 {
        guard configuration.market == .spot, let unit = head.headers["x-mbx-time-unit"] else { return 1 }
        switch unit.uppercased() {
        case "MILLISECOND": return 1
        case "MICROSECOND": return 1_000
        default:
            throw RestError(
                code: -1194, message: "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")
        }
    }

    // MARK: Klines

    private mutating func klines(
        _ query: [(key: String, value: String)], nowMs: Int64, perMs: Int64, histories: inout [BarHistory]
    ) throws(RestError) -> [UInt8] {
        let wanted = try KlinesQuery(query, market: configuration.market, symbolIndexes: symbolIndexes)
        guard state(of: wanted.symbolIndex) != .unlisted else { throw .badSymbol }
        let anchor =
            configuration.threeDayAnchorMs
            ?? histories[wanted.symbolIndex].listingDayMs
        let grid = BarGrid(wanted.interval, offsetMs: wanted.offsetMs, anchorMs: anchor)
        // A start in the future is moved back to now.
        var range = BarHistory.Range(
            fromMs: wanted.startMs.map { min($0, nowMs) }, throughMs: wanted.endMs, limit: wanted.limit)
        let (knownMs, throughMs) = known(of: wanted.symbolIndex, on: grid, nowMs: nowMs)
        range.throughMs = min(range.throughMs ?? .max, throughMs)
        let bars = histories[wanted.symbolIndex].bars(on: grid, in: range, nowMs: knownMs)
        let format = ValueFormat(symbols[wanted.symbolIndex], market: configuration.market)
        return KlineRows.text(of: bars, format: format, perMs: perMs)
    }

    /// REST lags after a close: of the oldest bar that ended within the lag it has what was traded a moment before its end, or nothing,
    /// and of later ones nothing. Which of the two is a function of the bar.
    /// - Returns: up to when trades are known, and the last open time that is given out.
    private func known(of index: Int, on grid: BarGrid, nowMs: Int64) -> (knownMs: Int64, throughMs: Int64) {
        guard configuration.restLagMs > 0 else { return (nowMs, nowMs) }
        let openMs = grid.openTime(containing: nowMs - configuration.restLagMs)
        let endMs = grid.nextOpen(after: openMs)
        guard endMs <= nowMs else { return (nowMs, nowMs) }
        let hash = SplitMix64.mix(symbols[index].key &+ UInt64(grid.interval.rawValue) << 40 ^ UInt64(bitPattern: openMs))
        guard hash & 1 == 0 else { return (nowMs, openMs - 1) }
        return (endMs - 1 - Int64((hash >> 1) % UInt64(min(RestResponder.unknownMsMax, endMs - openMs))), openMs)
    }

    /// How much of a bar's end an unfinished row may lack.
    private static let unknownMsMax: Int64 = 2_000

    private func state(of index: Int) -> SymbolState { states.isEmpty ? .trading : states[index] }

    // MARK: Exchange information

    private func exchangeInfo(_ query: [(key: String, value: String)], nowMs: Int64) throws(RestError) -> [UInt8] {
        var chosen = Array(symbols.indices)
        if configuration.market == .spot {
            try KlinesQuery.requireKnown(query, ["symbol", "symbols", "permissions", "symbolStatus", "showPermissionSets"])
            chosen = try self.chosen(query)
        }
        let rows = chosen.filter { state(of: $0) != .unlisted }.map { (symbols[$0], state(of: $0)) }
        return Array(ExchangeInfo.text(of: rows, configuration: configuration, nowMs: nowMs).utf8)
    }

    /// Those that `symbol` or `symbols` name, else all that are listed.
    private func chosen(_ query: [(key: String, value: String)]) throws(RestError) -> [Int] {
        var chosen: [Int] = []
        if let one = query.first(where: { $0.key == "symbol" })?.value {
            chosen = [try KlinesQuery.symbol(one, in: symbolIndexes)]
        } else if let list = query.first(where: { $0.key == "symbols" })?.value {
            guard let parsed = try? JSONValue(parsing: Array(list.utf8)), case .array(let names) = parsed, !names.isEmpty else {
                throw .illegal("symbols", range: "^\\[(\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\")*)?\\]$")
            }
            for name in names {
                guard case .string(let text) = name else { throw .notValid("symbols") }
                chosen.append(try KlinesQuery.symbol(text, in: symbolIndexes))
            }
            if Set(chosen).count < chosen.count {
                throw RestError(code: -1151, message: "Symbol is present multiple times in the list.")
            }
        } else {
            return symbols.indices.filter { state(of: $0) != .unlisted }
        }
        guard chosen.allSatisfy({ state(of: $0) != .unlisted }) else { throw .badSymbol }
        return chosen
    }

    // MARK: 24 h tickers

    private func dayTickers(
        _ query: [(key: String, value: String)], nowMs: Int64, perMs: Int64, histories: inout [BarHistory]
    ) throws(RestError) -> [UInt8] {
        let market = configuration.market
        try KlinesQuery.requireKnown(query, market == .um ? ["symbol"] : ["symbol", "symbols", "type"])
        let type = query.first { $0.key == "type" }?.value ?? "FULL"
        guard ["FULL", "MINI"].contains(type) else { throw .notValid("type") }
        let rows = try chosen(query).map { index in
            DayTicker(symbols[index], market: market, history: &histories[index], nowMs: nowMs)
                .text(market: market, isMini: type == "MINI", perMs: perMs)
        }
        let isOne = query.contains { $0.key == "symbol" }
        return Array((isOne ? rows[0] : "[" + rows.joined(separator: ",") + "]").utf8)
    }
}
