// Names of keys and channels, and what of each command never changes, rendered once per series.
//
// The braces in candle keys are literal: a Redis Cluster hash tag, so that all keys of a symbol live in one
// slot. Markets other than spot put `um:` in front of the symbol.

package struct KeySchema: Sendable {
    package let prefix: String
    package let history: Int

    package init(prefix: String, history: Int) {
        self.prefix = prefix
        self.history = history
    }

    private func tag(_ series: Series) -> String { "{\(series.market.keyPrefix)\(series.symbol)}" }

    /// The stream of closed candles: `candles:{btcusdt}:1m`.
    package func historyKey(_ series: Series) -> String { "\(prefix)candles:\(tag(series)):\(series.interval.token)" }
    /// The hash of newest states, a field per symbol: `latest:1m`, `latest:um:1m`.
    package func latestKey(_ market: Market, _ interval: Interval) -> String { "\(prefix)latest:\(market.keyPrefix)\(interval.token)" }
    /// In front of what the exchange has answered, kept for a moment.
    package func cacheKey(_ series: Series) -> String { "\(prefix)cache:\(tag(series)):\(series.interval.token)" }
    /// The registry: flux id → JSON definition.
    package var fluxesKey: String { "\(prefix)fluxes" }
    package var serviceStatusKey: String { "\(prefix)status:service" }
    package func fluxStatusKey(_ id: String) -> String { "\(prefix)status:flux:\(id)" }
    /// The channel of updates: `updates:{btcusdt}:1m`.
    package func updatesChannel(_ series: Series) -> String { "\(prefix)updates:\(tag(series)):\(series.interval.token)" }
}

enum RESP {
    static func bulk(_ text: String) -> [UInt8] { Array("$\(text.utf8.count)\r\n\(text)\r\n".utf8) }

    /// A whole command; for the control path.
    static func command(_ arguments: [String]) -> [UInt8] { Array("*\(arguments.count)\r\n".utf8) + arguments.flatMap(bulk) }
}

/// The constant bytes of one series' commands, in one piece of memory that lives as long as the sink: series
/// ids are few and are used again.
@safe struct SeriesText: BitwiseCopyable {
    private let storage: UnsafeMutablePointer<UInt8>?
    /// Where each piece ends, one behind the other: 16 bytes a series instead of 72.
    private let ends: (append: UInt16, publish: UInt16, json: UInt16, field: UInt16)

    /// `*34 XADD key MAXLEN ~ n`, up to the entry id.
    var append: UnsafeBufferPointer<UInt8> { unsafe piece(0, ends.append) }
    /// `*3 PUBLISH channel`, up to the message.
    var publish: UnsafeBufferPointer<UInt8> { unsafe piece(ends.append, ends.publish) }
    /// `{"symbol":"btcusdt","interval":"1m",` opens a candle and an update alike.
    var json: UnsafeBufferPointer<UInt8> { unsafe piece(ends.publish, ends.json) }
    /// The field of `latest:*`, as a bulk string.
    var field: UnsafeBufferPointer<UInt8> { unsafe piece(ends.json, ends.field) }

    /// Of a series that was given its text; those of others are not asked for.
    @inline(__always)
    private func piece(_ from: UInt16, _ to: UInt16) -> UnsafeBufferPointer<UInt8> {
        unsafe UnsafeBufferPointer(start: storage.unsafelyUnwrapped + Int(from), count: Int(to &- from))
    }

    init(_ series: Series, _ schema: KeySchema) {
        let pieces: [[UInt8]] = [
            Array("*34\r\n".utf8) + RESP.bulk("XADD") + RESP.bulk(schema.historyKey(series)) + RESP.bulk("MAXLEN") + RESP.bulk("~")
                + RESP.bulk(String(schema.history)),
            Array("*3\r\n".utf8) + RESP.bulk("PUBLISH") + RESP.bulk(schema.updatesChannel(series)),
            Array("{\"symbol\":\"\(series.symbol)\",\"interval\":\"\(series.interval.token)\",".utf8),
            RESP.bulk(series.symbol.name),
        ]
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: pieces.reduce(0) { $0 + $1.count })
        var ends: [UInt16] = []
        var end = 0
        for piece in pieces {
            unsafe (memory + end).initialize(from: piece, count: piece.count)
            end += piece.count
            ends.append(UInt16(end))
        }
        unsafe storage = unsafe memory
        self.ends = (ends[0], ends[1], ends[2], ends[3])
    }

    func free() { unsafe storage?.deallocate() }
}
