// A flux: what a user creates. Plain values and their JSON, as kept in the registry (`fluxes`).

/// Symbols at one interval, under an id.
package struct Flux: Sendable, Equatable {
    package let id: String
    /// Lower case, sorted, without repeats.
    package let symbols: [Symbol]
    package let interval: Interval
    package let createdAtMs: Int64
    package let history: Int
    package let origin: FluxOrigin

    /// - Parameter name: the id, if the user has chosen one.
    package init(symbols: [Symbol], interval: Interval, name: String?, history: Int, createdAtMs: Int64, origin: FluxOrigin) {
        self.symbols = Set(symbols).sorted()
        (self.interval, self.history, self.createdAtMs, self.origin) = (interval, history, createdAtMs, origin)
        id = name ?? Flux.id(self.symbols, interval)
    }

    /// `1m_btcusdt-ethusdt`; from nine symbols on `1m_12symbols_89abcdef`, the digits being FNV-1a over the joined names.
    private static func id(_ symbols: [Symbol], _ interval: Interval) -> String {
        let joined = symbols.map(\.name).joined(separator: "-")
        guard symbols.count > 8 else { return "\(interval.token)_\(joined)" }
        var hash: UInt32 = 2_166_136_261
        for byte in joined.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return "\(interval.token)_\(symbols.count)symbols_\(Ascii.hex(hash))"
    }

    /// `[A-Za-z0-9_.-]{1,64}`: an id of the user's choice.
    package static func isName(_ text: String) -> Bool { text.utf8.count <= 64 && text.utf8.allSatisfy { $0 < 0x80 } && isID(text) }

    /// What an id may look like that comes from outside: such a name, or made of symbols.
    package static func isID(_ text: String) -> Bool {
        (1...idBytesMax).contains(text.utf8.count) && text.unicodeScalars.allSatisfy { Symbol.isPart($0) || $0 == "." || $0 == "-" }
    }

    /// The longest id: an interval and eight symbols of 32 bytes.
    package static let idBytesMax = 300

    package func series(_ market: Market) -> [Series] { symbols.map { Series(market: market, symbol: $0, interval: interval) } }

    // MARK: In the registry

    package var json: String {
        JSONValue.members([
            (Field.fluxID, .string(id)), (Field.symbols, .array(symbols.map { .string($0.name) })),
            (Field.interval, .string(interval.token)), (Field.history, .integer(Int64(history))), (Field.createdAt, .integer(createdAtMs)),
        ]).text
    }

    /// Nil when the text is not what `json` writes.
    package init?(json: String) {
        guard let value = try? JSONValue(message: Array(json.utf8)), let id = value[Field.fluxID]?.string,
            Flux.isID(id), let interval = try? value.interval(Field.interval),
            let symbols = try? value.symbols(Field.symbols), !symbols.isEmpty, let createdAtMs = value[Field.createdAt]?.integer
        else { return nil }
        let history = value[Field.history]?.integer.flatMap { (0...10_000_000).contains($0) ? Int($0) : nil } ?? 0
        self.init(symbols: symbols, interval: interval, name: id, history: history, createdAtMs: createdAtMs, origin: .command)
    }
}
