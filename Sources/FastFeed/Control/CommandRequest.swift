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
        try checkKeys(members.map(\.key), known: [Field.requestID] + kind.fields)
        return try command(kind, RequestFields(request: request))
    }

    /// Printable ASCII: it becomes part of a channel's name.
    private static func isRequestID(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count) && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
    }

    private static func checkKeys(_ keys: [String], known: [String]) throws(CommandError) {
        var unseen = Set(known)
        for key in keys where unseen.remove(key) == nil {
            let shown = Ascii.printable(key.utf8, limit: 40)
            if known.contains(key) { throw CommandError(.badRequest, "field '\(shown)' twice") }
            throw CommandError(.badRequest, "unknown field '\(shown)'; known: \(known.joined(separator: " "))")
        }
    }

    private static func command(_ kind: CommandKind, _ fields: RequestFields) throws(CommandError) -> Command {
        switch kind {
        case .createFlux:
            let names = try fields.value(Field.symbols, "a list of at least one symbol") { list in
                list.array.flatMap { $0.isEmpty ? nil : $0 }
            }
            let symbols = try names.map { name throws(CommandError) in try fields.symbol(name.string, in: Field.symbols) }
            let name = try fields.optional(Field.name, "1 to 64 of A-Z a-z 0-9 _ . -") { $0.string.flatMap { Flux.isID($0) ? $0 : nil } }
            let history = try fields.integer(Field.history, 0...1_500) ?? 0
            return .createFlux(symbols: symbols, interval: try fields.interval(), name: name, history: Int(history))
        case .stopFlux: return .stopFlux(id: try fields.fluxID())
        case .listFluxes: return .listFluxes
        case .getData:
            let limit = try fields.integer(Field.limit, 1...Int64(rowsMax)) ?? 100
            let start = try fields.integer(Field.start, 0...RequestFields.instantMax)
            let end = try fields.integer(Field.end, 0...RequestFields.instantMax)
            if let start, let end, start > end { throw CommandError(.badRequest, "start is after end") }
            let symbol = try fields.symbol(try fields.text(Field.symbol), in: Field.symbol)
            return .getData(symbol: symbol, interval: try fields.interval(), limit: Int(limit), startMs: start, endMs: end)
        case .getStatus: return .getStatus(fluxID: fields.request[Field.fluxID] == nil ? nil : try fields.fluxID())
        }
    }
}

/// The fields of a request by type.
private struct RequestFields {
    /// The last millisecond of the year 9999.
    static let instantMax: Int64 = 253_402_300_799_999

    let request: JSONValue

    func optional<Value>(_ key: String, _ what: String, _ read: (JSONValue) -> Value?) throws(CommandError) -> Value? {
        guard let member = request[key] else { return nil }
        guard let value = read(member) else { throw CommandError(.badRequest, "field '\(key)' must be \(what)") }
        return value
    }

    func value<Value>(_ key: String, _ what: String, _ read: (JSONValue) -> Value?) throws(CommandError) -> Value {
        guard let value = try optional(key, what, read) else { throw CommandError(.badRequest, "field '\(key)' is missing") }
        return value
    }

    func text(_ key: String) throws(CommandError) -> String { try value(key, "a string", \.string) }

    func integer(_ key: String, _ range: ClosedRange<Int64>) throws(CommandError) -> Int64? {
        try optional(key, "an integer from \(range.lowerBound) to \(range.upperBound)") { member in
            member.integer.flatMap { range.contains($0) ? $0 : nil }
        }
    }

    func interval() throws(CommandError) -> Interval {
        let token = try text(Field.interval)
        guard let interval = Interval(token: token) else {
            let known = Interval.allCases.map(\.token).joined(separator: " ")
            throw CommandError(.badInterval, "'\(Ascii.printable(token.utf8, limit: 20))' is not an interval; known: \(known)")
        }
        return interval
    }

    func symbol(_ name: String?, in key: String) throws(CommandError) -> Symbol {
        guard let name else { throw CommandError(.badRequest, "field '\(key)' must hold strings") }
        guard let symbol = Symbol(name) else {
            throw CommandError(.unknownSymbol, "'\(Ascii.printable(name.utf8, limit: 40))' is not a symbol ([a-z0-9_], at most 32)")
        }
        return symbol
    }

    func fluxID() throws(CommandError) -> String {
        let id = try text(Field.fluxID)
        guard Flux.isID(id, bytesMax: Flux.idBytesMax) else {
            throw CommandError(.unknownFlux, "'\(Ascii.printable(id.utf8, limit: 40))' is not a flux id")
        }
        return id
    }
}
