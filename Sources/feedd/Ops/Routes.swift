// Which request means what. Pure: a request comes in, what is to be done comes out; limits, names and methods are checked here and
// nowhere else.

import FastFeed

enum Route {
    case answer(HTTPAnswer)
    case probe(HealthReport.Scope)
    case metrics
    case view(OpsView)
    case events(OpsView)
    case lookUp(LookUp)
    case search(symbol: String, interval: Interval, limit: Int)
    case symbols(search: String?, quote: String?, status: String?, limit: Int)
    case login, logout
    case createFlux
    case stopFlux(String)

    static let methodsOfReading: Set<String> = ["GET", "HEAD"]

    /// - Parameter query: a parameter by name, decoded; nil when it is not there, or twice.
    init(_ head: RequestHead, query: (String) -> String?) {
        do throws(Refusal) {
            self = try Route.find(head, query)
        } catch {
            self = .answer(error.answer)
        }
    }

    struct Refusal: Error {
        let answer: HTTPAnswer

        init(_ status: Int, _ sentence: String) { answer = .refusal(status, sentence) }

        init(allowed: String) {
            var answer = HTTPAnswer.refusal(405, "this path takes \(allowed)")
            answer.headers = [("Allow", allowed)]
            self.answer = answer
        }
    }

    private static func find(_ head: RequestHead, _ query: (String) -> String?) throws(Refusal) -> Route {
        let parts = head.path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        let isWrite = head.method == "POST"
        if parts == ["login"] { return try post(head, .login) }
        if parts == ["logout"] { return try post(head, .logout) }
        if parts == ["api", "fluxes"] && isWrite { return .createFlux }
        if parts.count == 4, parts[..<2] == ["api", "fluxes"], parts[3] == "stop" {
            guard let id = decoded(parts[2]), isFluxID(id) else { throw Refusal(404, "there is no such flux") }
            return try post(head, .stopFlux(id))
        }
        let route: Route =
            switch (parts.first, parts.count) {
            case ("api", _): try api(Array(parts.dropFirst()), query)
            case ("assets", 2): try asset(parts[1])
            default: try read(parts, query)
            }
        guard methodsOfReading.contains(head.method) else {
            throw Refusal(allowed: parts == ["api", "fluxes"] ? "GET, HEAD, POST" : "GET, HEAD")
        }
        return route
    }

    private static func post(_ head: RequestHead, _ route: Route) throws(Refusal) -> Route {
        guard head.method == "POST" else { throw Refusal(allowed: "POST") }
        return route
    }

    private static func read(_ parts: [String], _ query: (String) -> String?) throws(Refusal) -> Route {
        switch parts {
        case [""]: return try asset("index.html")
        case ["livez"]: return .probe(.live)
        case ["readyz"]: return .probe(.ready)
        case ["healthz"]: return .probe(.healthy)
        case ["metrics"]: return .metrics
        case ["events"]:
            guard let name = query("view") else { throw Refusal(400, "view is missing, as in /events?view=overview") }
            return .events(try view(name, id: query("id")))
        default: throw Refusal(404, "there is nothing here")
        }
    }

    /// - Parameter parts: of the path, behind `/api/`.
    private static func api(_ parts: [String], _ query: (String) -> String?) throws(Refusal) -> Route {
        switch (parts.first ?? "", parts.count) {
        case ("fluxes", 2): return .view(try view("flux", id: decoded(parts[1])))
        case ("candles", 3):
            let (symbol, interval) = try series(parts[1], parts[2])
            return .lookUp(.candles(symbol, interval, limit: try limit(query("limit")), endMs: try instant(query("end"))))
        case ("keys", 1):
            guard let name = query("group"), let group = KeyGroup(rawValue: name) else {
                throw Refusal(400, "group must be one of: " + KeyGroup.allCases.map(\.rawValue).joined(separator: " "))
            }
            guard let cursor = UInt64(query("cursor") ?? "0") else { throw Refusal(400, "cursor is not a number") }
            return .lookUp(.keys(group, cursor: cursor))
        case ("latest", 1):
            guard let interval = Interval(token: query("interval") ?? "") else { throw Refusal(400, "that is not an interval, as in 1m") }
            return .lookUp(.latest(try symbols(query("symbols")), interval))
        case ("followed", 1): return .view(.followed(try symbols(query("symbols"))))
        case ("find", 1): return .view(try view("find", id: query("symbol")))
        case ("series", 3):
            let (symbol, interval) = try series(parts[1], parts[2])
            return .view(.series(symbol, interval))
        case ("key", 1):
            guard let name = query("name"), (1...512).contains(name.utf8.count) else { throw Refusal(400, "name is missing or too long") }
            return .lookUp(.key(name))
        case ("search", 1):
            let (symbol, interval) = try series(query("symbol") ?? "", query("interval") ?? "")
            return .search(symbol: symbol.name, interval: interval, limit: try limit(query("limit")))
        case ("symbols", 1):
            // An empty field of a form is one that nobody has filled in.
            func given(_ name: String) -> String? { query(name).flatMap { $0.isEmpty ? nil : $0 } }
            return .symbols(search: given("search"), quote: given("quote"), status: given("status"), limit: try limit(given("limit")))
        case (let name, 1): return .view(try view(name, id: nil))
        default: throw Refusal(404, "there is nothing here")
        }
    }

    private static func view(_ name: String, id: String?) throws(Refusal) -> OpsView {
        if name == "flux" {
            guard let id, isFluxID(id) else { throw Refusal(404, "there is no such flux") }
            return .flux(id)
        }
        if name == "find" {
            let text = (id ?? "").utf8.map { Ascii.isLetter($0) ? $0 | 0x20 : $0 }
            guard (1...512).contains(text.count) else { throw Refusal(400, "a part of a symbol is missing, or too long") }
            return .find(String(decoding: text, as: UTF8.self))
        }
        if name == "series" {
            let parts = (id ?? "").split(separator: "@", maxSplits: 1).map(String.init)
            guard parts.count == 2, let symbol = Symbol(parts[0]), let interval = Interval(token: parts[1]) else {
                throw Refusal(400, "id must be a series, as in btcusdt@1m")
            }
            return .series(symbol, interval)
        }
        guard let view = OpsView.named[name] else { throw Refusal(404, "there is nothing here") }
        return view
    }

    private static func series(_ symbol: String, _ token: String) throws(Refusal) -> (Symbol, Interval) {
        guard let name = decoded(symbol).flatMap({ Symbol($0) }) else { throw Refusal(400, "that is not a symbol, as in btcusdt") }
        guard let interval = Interval(token: token) else { throw Refusal(400, "that is not an interval, as in 1m") }
        return (name, interval)
    }

    private static func symbols(_ list: String?) throws(Refusal) -> [Symbol] {
        let names = (list ?? "").split(separator: ",", maxSplits: OpsLimits.symbolsMax)
        let symbols = names.compactMap { Symbol($0) }
        guard (1...OpsLimits.symbolsMax).contains(names.count), symbols.count == names.count else {
            throw Refusal(400, "symbols must be 1 to \(OpsLimits.symbolsMax) of them, as in btcusdt,ethusdt")
        }
        return symbols
    }

    private static func limit(_ text: String?) throws(Refusal) -> Int {
        guard let text else { return 300 }
        guard let limit = Int(text), (1...1_500).contains(limit) else { throw Refusal(400, "limit must be 1 to 1500") }
        return limit
    }

    private static func instant(_ text: String?) throws(Refusal) -> Int64? {
        guard let text, !text.isEmpty else { return nil }
        guard let ms = Int64(text), Limits.instantsMs.contains(ms) else { throw Refusal(400, "end is not a time in Unix milliseconds") }
        return ms
    }

    /// A name that was given is short; one that was made lists symbols.
    private static func isFluxID(_ id: String) -> Bool { (1...512).contains(id.utf8.count) }

    /// Of a path's part; nil for a broken escape.
    private static func decoded(_ text: String) -> String? { URLKind.percentDecoded(text[...]) }

    private static func asset(_ name: String) throws(Refusal) -> Route {
        guard let answer = Page.file(name) else { throw Refusal(404, "there is nothing here") }
        return .answer(answer)
    }
}

/// What a stream or an answer shows.
enum OpsView: Hashable, Sendable {
    case overview, fluxes, gaps, connections, redis, system
    case flux(String)
    /// Series whose symbol has this in it, and the fluxes that follow them.
    case find(String)
    case series(Symbol, Interval)
    /// At which intervals these are followed.
    case followed([Symbol])

    static let named: [String: OpsView] = [
        "overview": .overview, "fluxes": .fluxes, "gaps": .gaps, "connections": .connections, "redis": .redis, "system": .system,
    ]

    var name: String {
        switch self {
        case .flux: "flux"
        case .find: "find"
        case .series: "series"
        case .followed: "followed"
        default: OpsView.named.first { $0.value == self }?.key ?? ""
        }
    }
}
