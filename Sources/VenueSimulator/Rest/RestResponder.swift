// The exchange's REST market data: a request in, a response out. No sockets, no clock; one thread.

import FastFeed

package struct RestResponder {
    private let configuration: SimulatorConfiguration
    private let symbols: [SymbolSpec]
    private let symbolIndexes: [String: Int]
    private var ledger: WeightLedger
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
        case ping, time, exchangeInfo, klines
    }

    /// - Parameters:
    ///   - address: whose weight is charged.
    ///   - nowMs: virtual time, the exchange's.
    ///   - wallMs: wall time, for weights and bans, which a fast clock must not shorten.
    package mutating func respond(
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
        switch ledger.charge(weight(of: endpoint, target), to: address, nowMs: wallMs) {
        case .admitted(let weight): used = weight
        case .limited(let weight, let seconds): return tooMuch(429, used: weight, retryAfter: seconds, untilMs: 0)
        case .banned(let seconds, let until): return tooMuch(418, used: nil, retryAfter: seconds, untilMs: until)
        }
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
                body = Array("{\"serverTime\":\((nowMs + configuration.clockOffsetMs) * perMs)}".utf8)
            case .exchangeInfo: body = try exchangeInfo(target.query, nowMs: nowMs + configuration.clockOffsetMs)
            case .klines: body = try klines(target.query, nowMs: nowMs, perMs: perMs, histories: &histories)
            }
            response = HTTPResponse(200)
            response.body = body
            response.headers = [("content-type", "application/json;charset=UTF-8")]
        } catch {
            response = HTTPResponse(400, body: "{\"code\":\(error.code),\"msg\":\(JSONValue.quoted(error.message))}")
        }
        response.headers += weightHeaders(used)
        response.headers.append(("date", HTTPDate.text(nowMs + configuration.clockOffsetMs)))
        return response
    }

    private func endpoint(_ name: Substring) -> Endpoint? {
        switch name {
        case "ping": .ping
        case "time": .time
        case "exchangeInfo": .exchangeInfo
        case "klines": .klines
        case "uiKlines": configuration.market == .spot ? .klines : nil
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
        }
    }

    private func weightHeaders(_ used: Int) -> [(name: String, value: String)] {
        [("x-mbx-used-weight", String(used)), ("x-mbx-used-weight-1m", String(used))]
    }

    private func tooMuch(_ status: Int, used: Int?, retryAfter: Int, untilMs: Int64) -> HTTPResponse {
        let advice = "Please use WebSocket Streams for live updates to avoid"
        let message =
            status == 429
            ? "Too much request weight used; current limit is \(configuration.weightMax) request weight per 1 MINUTE. \(advice) polling the API."
            : "Way too much request weight used; IP banned until \(untilMs). \(advice) bans."
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
        let newestOpen = grid.openTime(containing: nowMs)
        if configuration.restLagMs > 0, nowMs < newestOpen + configuration.restLagMs {
            range.throughMs = min(range.throughMs ?? .max, newestOpen - 1)
        }
        let bars = histories[wanted.symbolIndex].bars(on: grid, in: range, nowMs: nowMs)
        let format = ValueFormat(symbols[wanted.symbolIndex], market: configuration.market)
        return KlineRows.text(of: bars, format: format, perMs: perMs)
    }

    private func state(of index: Int) -> SymbolState { states.isEmpty ? .trading : states[index] }

    // MARK: Exchange information

    private func exchangeInfo(_ query: [(key: String, value: String)], nowMs: Int64) throws(RestError) -> [UInt8] {
        let market = configuration.market
        var chosen = symbols.indices.filter { state(of: $0) != .unlisted }
        if market == .spot {
            try KlinesQuery.requireKnown(query, ["symbol", "symbols", "permissions", "symbolStatus", "showPermissionSets"])
            if let one = query.first(where: { $0.key == "symbol" })?.value {
                chosen = [try KlinesQuery.symbol(one, in: symbolIndexes)]
            } else if let list = query.first(where: { $0.key == "symbols" })?.value {
                guard let parsed = try? JSONValue(parsing: Array(list.utf8)), case .array(let names) = parsed, !names.isEmpty else {
                    throw .illegal("symbols", range: "^\\[(\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\")*)?\\]$")
                }
                chosen = []
                for name in names {
                    guard case .string(let text) = name else { throw .notValid("symbols") }
                    chosen.append(try KlinesQuery.symbol(text, in: symbolIndexes))
                }
                if Set(chosen).count < chosen.count {
                    throw RestError(code: -1151, message: "Symbol is present multiple times in the list.")
                }
            }
        }
        guard chosen.allSatisfy({ state(of: $0) != .unlisted }) else { throw .badSymbol }
        let rows = chosen.map { (symbols[$0], state(of: $0)) }
        return Array(ExchangeInfo.text(of: rows, configuration: configuration, nowMs: nowMs).utf8)
    }
}
