// Markets and symbols: the names a series is known by. Plain values, any thread.

/// A market of the exchange; decides routes, limits and key prefixes.
public enum Market: String, CaseIterable, Sendable, Hashable {
    case spot
    /// USDⓈ-M futures.
    case um

    /// What stands before the symbol in keys and in `latest:` (`um:`), empty for spot.
    public var keyPrefix: String { self == .spot ? "" : "um:" }
}

/// The exchange's instrument, lower case as in stream names and keys: `btcusdt`.
///
/// Only `[a-z0-9_]{1,32}` passes, so that a symbol can stand in a key, a channel, a URL and a log line.
public struct Symbol: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let name: String

    public static let lengthMax = 32

    /// Lower-cases ASCII letters; nil when the text is not a symbol.
    public init?(_ text: some StringProtocol) {
        let bytes = text.utf8.map { byte in
            byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
        }
        guard !bytes.isEmpty, bytes.count <= Symbol.lengthMax, bytes.allSatisfy(Symbol.isAllowed) else { return nil }
        name = String(decoding: bytes, as: UTF8.self)
    }

    static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"): true
        default: false
        }
    }

    /// As the exchange writes it in payloads and REST parameters: `BTCUSDT`.
    public var upperCased: String {
        let bytes = name.utf8.map { $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") ? $0 & 0xDF : $0 }
        return String(decoding: bytes, as: UTF8.self)
    }

    public var description: String { name }
    public static func < (a: Symbol, b: Symbol) -> Bool { a.name < b.name }
}

/// One symbol at one interval in one market.
public struct Series: Sendable, Hashable, CustomStringConvertible {
    // The string first: 24 bytes instead of 32.
    public let symbol: Symbol
    public let market: Market
    public let interval: Interval

    public init(market: Market = .spot, symbol: Symbol, interval: Interval) {
        self.market = market
        self.symbol = symbol
        self.interval = interval
    }

    public var description: String { "\(market.keyPrefix)\(symbol):\(interval.token)" }
}

/// What a series is to the data path: its dense id, the index of every table, and which use of the id.
package struct SeriesHandle: Sendable, Equatable, BitwiseCopyable {
    package var id: UInt32
    package var generation: UInt16

    package init(id: UInt32, generation: UInt16) {
        self.id = id
        self.generation = generation
    }
}
