// A request as it comes from a channel, checked: what it asks, or why it is refused. Pure.

package enum Command: Equatable, Sendable {
    case createFlux(symbols: [Symbol], interval: Interval, name: String?, history: Int)
    case stopFlux(id: String)
    case listFluxes
    case getData(symbol: Symbol, interval: Interval, limit: Int, startMs: Int64?, endMs: Int64?)
    case getStatus(fluxID: String?)
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

    /// Nil when it could not be read: nobody can be told.
    package let key: RequestKey?
    package let command: Result<Command, CommandError>

    package init(_ kind: CommandKind, _ payload: [UInt8]) {
        var id: String?
        do throws(CommandError) {
            command = .success(try CommandRequest.read(kind, payload, &id))
        } catch {
            command = .failure(error)
        }
        key = id.map { RequestKey(kind: kind, id: $0) }
    }

    private static func read(_ kind: CommandKind, _ payload: [UInt8], _ id: inout String?) throws(CommandError) -> Command {
        guard payload.count <= bytesMax else { throw CommandError(.tooLarge, "a request may have \(bytesMax) bytes") }
        guard let request = try? JSONValue(parsing: payload) else { throw CommandError(.badRequest, "not JSON") }
        guard let members = request.members else { throw CommandError(.badRequest, "a request is a JSON object") }
        guard let found = members.first(where: { $0.key == Field.requestID })?.value.string, isRequestID(found) else {
            throw CommandError(.badRequest, "no \(Field.requestID) of 1 to 128 printable characters")
        }
        id = found
        try checkKeys(members, kind)
        return try command(kind, Fields(request: request))
    }

    /// Printable ASCII: it becomes part of a channel's name.
    private static func isRequestID(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count) && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
    }

    private static func checkKeys(_ members: [JSONValue.Member], _ kind: CommandKind) throws(CommandError) {
        var seen: Set<String> = []
        for member in members {
            let shown = Ascii.printable(member.key.utf8, limit: 40)
            guard member.key == Field.requestID || kind.fields.contains(member.key) else {
                throw CommandError(
                    .badRequest, "unknown field '\(shown)'; known: \(([Field.requestID] + kind.fields).joined(separator: " "))")
            }
            guard seen.insert(member.key).inserted else { throw CommandError(.badRequest, "field '\(shown)' twice") }
        }
    }

    private static func command(_ kind: CommandKind, _ fields: Fields) throws(CommandError) -> Command {
        switch kind {
        case .createFlux:
            let symbols = try fields.symbols()
            let name = try fields.optionalText(Field.name)
            if let name, !Flux.isID(name) { throw CommandError(.badRequest, "name must be 1 to 64 of A-Z a-z 0-9 _ . -") }
            let history = try fields.optionalInteger(Field.history, 0...1_500) ?? 0
            return .createFlux(symbols: symbols, interval: try fields.interval(), name: name, history: Int(history))
        case .stopFlux: return .stopFlux(id: try fields.fluxID())
        case .listFluxes: return .listFluxes
        case .getData:
            let limit = try fields.optionalInteger(Field.limit, 1...Int64(rowsMax)) ?? 100
            let start = try fields.optionalInteger(Field.start, 0...Int64(253_402_300_799_999))
            let end = try fields.optionalInteger(Field.end, 0...Int64(253_402_300_799_999))
            if let start, let end, start > end { throw CommandError(.badRequest, "start is after end") }
            return .getData(
                symbol: try fields.symbol(Field.symbol), interval: try fields.interval(), limit: Int(limit), startMs: start, endMs: end)
        case .getStatus: return .getStatus(fluxID: fields.request[Field.fluxID] == nil ? nil : try fields.fluxID())
        }
    }
}

/// The fields of a request by type.
private struct Fields {
    let request: JSONValue

    func text(_ key: String) throws(CommandError) -> String {
        guard let text = try optionalText(key) else { throw CommandError(.badRequest, "field '\(key)' is missing") }
        return text
    }

    func optionalText(_ key: String) throws(CommandError) -> String? {
        guard let value = request[key] else { return nil }
        guard case .string(let text) = value else { throw CommandError(.badRequest, "field '\(key)' must be a string") }
        return text
    }

    func optionalInteger(_ key: String, _ range: ClosedRange<Int64>) throws(CommandError) -> Int64? {
        guard let value = request[key] else { return nil }
        guard case .integer(let number) = value, range.contains(number) else {
            throw CommandError(.badRequest, "field '\(key)' must be an integer from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func interval() throws(CommandError) -> Interval {
        let token = try text(Field.interval)
        guard let interval = Interval(token: token) else {
            let known = Interval.allCases.map(\.token).joined(separator: " ")
            throw CommandError(.badInterval, "'\(Ascii.printable(token.utf8, limit: 20))' is not an interval; known: \(known)")
        }
        return interval
    }

    func symbol(_ key: String) throws(CommandError) -> Symbol { try Fields.symbol(try text(key)) }

    private static func symbol(_ name: String) throws(CommandError) -> Symbol {
        guard let symbol = Symbol(name.lowercased()) else {
            throw CommandError(.unknownSymbol, "'\(Ascii.printable(name.utf8, limit: 40))' is not a symbol ([a-z0-9_], at most 32)")
        }
        return symbol
    }

    func symbols() throws(CommandError) -> [Symbol] {
        guard case .array(let names)? = request[Field.symbols], !names.isEmpty else {
            throw CommandError(.badRequest, "field 'symbols' must be a list of at least one symbol")
        }
        var symbols: [Symbol] = []
        for value in names {
            guard case .string(let name) = value else { throw CommandError(.badRequest, "field 'symbols' must hold strings") }
            symbols.append(try Fields.symbol(name))
        }
        return symbols
    }

    func fluxID() throws(CommandError) -> String {
        let id = try text(Field.fluxID)
        guard Flux.isID(id, bytesMax: Flux.idBytesMax) else {
            throw CommandError(.unknownFlux, "'\(Ascii.printable(id.utf8, limit: 40))' is not a flux id")
        }
        return id
    }
}
