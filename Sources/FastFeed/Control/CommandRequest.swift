// A request as it comes from a channel, checked: what it asks, or why it is refused. Pure.

package enum Command: Equatable, Sendable {
    case createFlux(symbols: [Symbol], interval: Interval, name: String?, history: Int)
    case stopFlux(id: String)
    case listFluxes
    case getData(symbol: Symbol, interval: Interval, limit: Int, startMs: Int64?, endMs: Int64?)
    case getStatus(fluxID: String?)
    case listGaps(symbol: Symbol?, interval: Interval?, fluxID: String?)
    case backfill(symbol: Symbol, interval: Interval, count: Int)
    case audit(symbol: Symbol, interval: Interval, count: Int, repairs: Bool)
    case listSymbols(SymbolQuery)
}

/// What an answer belongs to.
package struct RequestKey: Hashable, Sendable {
    package let kind: CommandKind
    package let id: String

    package init(kind: CommandKind, id: String) { (self.kind, self.id) = (kind, id) }
}

package struct CommandRequest: Sendable {
    package static let bytesMax = 64 * 1024
    package static let rowsMax = 1_500
    private static let auditDefault: Int64 = 1_000

    /// Nil when it could not be read: nobody can be told.
    package let key: RequestKey?
    package let command: Result<Command, CommandError>

    package init(_ kind: CommandKind, _ payload: [UInt8]) {
        var id: String?
        do {
            command = .success(try CommandRequest.read(kind, payload, &id))
        } catch let error as CommandError {
            command = .failure(error)
        } catch {
            command = .failure(CommandError(.badRequest, (error as? Malformed)?.what ?? "\(error)"))
        }
        key = id.map { RequestKey(kind: kind, id: $0) }
    }

    /// - Throws: `CommandError`, or `Malformed` for a bad request.
    private static func read(_ kind: CommandKind, _ payload: [UInt8], _ id: inout String?) throws -> Command {
        guard payload.count <= bytesMax else { throw CommandError(.tooLarge, "a request may have \(bytesMax) bytes") }
        let request = try JSONValue(message: payload)
        guard let members = request.members else { throw Malformed("a request is a JSON object") }
        guard let found = members.first(where: { $0.key == Field.requestID })?.value.string, isRequestID(found) else {
            throw Malformed("no \(Field.requestID) of 1 to 128 printable characters")
        }
        id = found
        try checkKeys(members.map(\.key), known: [Field.requestID] + kind.fields)
        return try command(kind, request)
    }

    /// Printable ASCII: it becomes part of a channel's name.
    private static func isRequestID(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count) && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
    }

    private static func checkKeys(_ keys: [String], known: [String]) throws(Malformed) {
        var unseen = Set(known)
        for key in keys where unseen.remove(key) == nil {
            let shown = Ascii.printable(key.utf8, limit: 40)
            if known.contains(key) { throw Malformed("field '\(shown)' twice") }
            throw Malformed("unknown field '\(shown)'; known: \(known.joined(separator: " "))")
        }
    }

    private static func command(_ kind: CommandKind, _ request: JSONValue) throws -> Command {
        switch kind {
        case .createFlux:
            let names = try request.member(Field.symbols, "a list", \.array)
            if names.isEmpty { throw Malformed("\(Field.symbols) is empty") }
            let name = try request.optional(Field.name, "1 to 64 of A-Z a-z 0-9 _ . -") { $0.string.flatMap { Flux.isName($0) ? $0 : nil } }
            let history = try integer(request, Field.history, 0...1_500) ?? 0
            return .createFlux(symbols: try names.map(named), interval: try interval(request), name: name, history: Int(history))
        case .stopFlux: return .stopFlux(id: try fluxID(request))
        case .listFluxes: return .listFluxes
        case .getData:
            let limit = try integer(request, Field.limit, 1...Int64(rowsMax)) ?? 100
            let start = try integer(request, Field.start, Limits.instantsMs)
            let end = try integer(request, Field.end, Limits.instantsMs)
            if let start, let end, start > end { throw Malformed("start is after end") }
            return .getData(
                symbol: try symbol(request), interval: try interval(request), limit: Int(limit), startMs: start, endMs: end)
        case .getStatus: return .getStatus(fluxID: try ifThere(request, Field.fluxID, fluxID))
        case .listGaps:
            return .listGaps(
                symbol: try ifThere(request, Field.symbol, symbol), interval: try ifThere(request, Field.interval, interval),
                fluxID: try ifThere(request, Field.fluxID, fluxID))
        case .backfill:
            guard let count = try integer(request, Field.count, 1...Limits.historyMax) else { throw Malformed("\(Field.count) is missing") }
            return .backfill(symbol: try symbol(request), interval: try interval(request), count: Int(count))
        case .audit:
            let limit = try integer(request, Field.limit, 1...Int64(rowsMax)) ?? auditDefault
            let repairs = try request.optional(Field.repair, "true or false", \.bool) ?? false
            return .audit(symbol: try symbol(request), interval: try interval(request), count: Int(limit), repairs: repairs)
        case .listSymbols:
            let limit = try integer(request, Field.limit, 1...Int64(Limits.symbolsListedMax)) ?? Int64(SymbolQuery.limitDefault)
            let (quote, search) = (try part(request, Field.quote), try part(request, Field.search))
            return .listSymbols(SymbolQuery(quote: quote, status: try status(request), search: search, limit: Int(limit)))
        }
    }

    /// What a symbol may be a part of, or be made of.
    private static func part(_ request: JSONValue, _ key: String) throws(Malformed) -> Symbol? {
        try request.optional(key, "1 to \(Symbol.lengthMax) bytes of letters, digits and _") { $0.string.flatMap { Symbol($0) } }
    }

    /// The member `status`; nil where any will do.
    private static func status(_ request: JSONValue) throws(Malformed) -> String? {
        let word = try request.optional(Field.status, "1 to 32 of A-Z 0-9 _, or any") { member in
            member.string.flatMap { Symbol($0) }.flatMap { $0.name.utf8.allSatisfy { $0 < 0x80 } ? $0 : nil }
        }
        guard let word else { return SymbolQuery.statusDefault }
        return word.name == "any" ? nil : word.upperCased
    }

    private static func ifThere<Value>(_ request: JSONValue, _ key: String, _ read: (JSONValue) throws -> Value) throws -> Value? {
        request[key] == nil ? nil : try read(request)
    }

    private static func integer(_ request: JSONValue, _ key: String, _ range: ClosedRange<Int64>) throws(Malformed) -> Int64? {
        try request.optional(key, "an integer from \(range.lowerBound) to \(range.upperBound)") { member in
            member.integer.flatMap { range.contains($0) ? $0 : nil }
        }
    }

    private static func interval(_ request: JSONValue) throws -> Interval {
        let token = try request.text(Field.interval)
        guard let interval = Interval(token: token) else {
            let known = Interval.allCases.map(\.token).joined(separator: " ")
            throw CommandError(.badInterval, "'\(Ascii.printable(token.utf8, limit: 20))' is not an interval; known: \(known)")
        }
        return interval
    }

    private static func symbol(_ request: JSONValue) throws -> Symbol { try named(request.member(Field.symbol, "a text", \.self)) }

    private static func named(_ value: JSONValue) throws -> Symbol {
        guard let name = value.string else { throw Malformed("a symbol is not a text") }
        guard let symbol = Symbol(name) else { throw CommandError(.unknownSymbol, Symbol.refusal(name)) }
        return symbol
    }

    private static func fluxID(_ request: JSONValue) throws -> String {
        let id = try request.text(Field.fluxID)
        guard Flux.isID(id) else {
            throw CommandError(.unknownFlux, "'\(Ascii.printable(id.utf8, limit: 40))' is not a flux id")
        }
        return id
    }
}
