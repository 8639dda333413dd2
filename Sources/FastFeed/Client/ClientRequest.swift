// A request as the client writes it. Pure, any thread. What it means, and whether it is right, the service says.

/// One command, and how its answer is read.
package struct ClientRequest<Answer>: Sendable {
    let kind: CommandKind
    private let members: [(String, JSONValue)]
    let read: @Sendable (JSONValue) throws(Malformed) -> Answer

    fileprivate init(
        _ kind: CommandKind, _ members: [(String, JSONValue?)] = [], read: @escaping @Sendable (JSONValue) throws(Malformed) -> Answer
    ) {
        self.kind = kind
        self.members = members.compactMap { key, value in value.map { (key, $0) } }
        self.read = read
    }

    /// The JSON object to publish.
    func text(id: String) -> String { JSONValue.members([(Field.requestID, .string(id))] + members).text }
}

extension ClientRequest {
    package static func create(
        symbols: [String], interval: Interval, name: String?, history: Int?
    ) -> ClientRequest where Answer == CreatedFlux {
        let members: [(String, JSONValue?)] = [
            (Field.symbols, .array(symbols.map { .string($0) })), (Field.interval, .string(interval.token)),
            (Field.name, name.map { .string($0) }), (Field.history, history.map { .integer(Int64($0)) }),
        ]
        return ClientRequest(.createFlux, members, read: CreatedFlux.init)
    }

    /// Its answer is the flux's id.
    package static func stop(_ id: String) -> ClientRequest where Answer == String {
        ClientRequest(.stopFlux, [(Field.fluxID, .string(id))]) { value throws(Malformed) in try value.text(Field.fluxID) }
    }

    package static func status(of id: String) -> ClientRequest where Answer == FluxStatus {
        ClientRequest(.getStatus, [(Field.fluxID, .string(id))], read: FluxStatus.init)
    }

    package static func data(
        symbol: String, interval: Interval, limit: Int?, start: Int64?, end: Int64?
    ) -> ClientRequest where Answer == CandleData {
        let members: [(String, JSONValue?)] = [
            (Field.symbol, .string(symbol)), (Field.interval, .string(interval.token)), (Field.limit, limit.map { .integer(Int64($0)) }),
            (Field.start, start.map { .integer($0) }), (Field.end, end.map { .integer($0) }),
        ]
        return ClientRequest(.getData, members, read: CandleData.init)
    }
}

extension ClientRequest {
    package static func gaps(symbol: String?, interval: Interval?, fluxID: String?) -> ClientRequest where Answer == GapList {
        let members: [(String, JSONValue?)] = [
            (Field.symbol, symbol.map { .string($0) }), (Field.interval, interval.map { .string($0.token) }),
            (Field.fluxID, fluxID.map { .string($0) }),
        ]
        return ClientRequest(.listGaps, members, read: GapList.init)
    }

    /// Its answer is how many candles there are to be.
    package static func backfill(symbol: String, interval: Interval, count: Int) -> ClientRequest where Answer == Int64 {
        let members: [(String, JSONValue?)] = [
            (Field.symbol, .string(symbol)), (Field.interval, .string(interval.token)), (Field.count, .integer(Int64(count))),
        ]
        return ClientRequest(.backfill, members) { value throws(Malformed) in try value.number(Field.count) }
    }

    package static func audit(
        symbol: String, interval: Interval, limit: Int?, repair: Bool
    ) -> ClientRequest where Answer == HistoryAudit {
        let members: [(String, JSONValue?)] = [
            (Field.symbol, .string(symbol)), (Field.interval, .string(interval.token)), (Field.limit, limit.map { .integer(Int64($0)) }),
            (Field.repair, .bool(repair)),
        ]
        return ClientRequest(.audit, members, read: HistoryAudit.init)
    }
}

extension ClientRequest<ListedSymbols> {
    package static func symbols(search: String?, quote: String?, status: String?, limit: Int?) -> ClientRequest {
        let members: [(String, JSONValue?)] = [
            (Field.quote, quote.map { .string($0) }), (Field.status, status.map { .string($0) }),
            (Field.search, search.map { .string($0) }), (Field.limit, limit.map { .integer(Int64($0)) }),
        ]
        return ClientRequest(.listSymbols, members, read: ListedSymbols.init)
    }
}

extension ClientRequest<[FluxSummary]> {
    package static var list: ClientRequest {
        ClientRequest(.listFluxes) { value throws(Malformed) in try value.list(Field.fluxes, of: FluxSummary.init) }
    }
}

extension ClientRequest<ServiceStatus> {
    package static var status: ClientRequest { ClientRequest(.getStatus, read: ServiceStatus.init) }
}
