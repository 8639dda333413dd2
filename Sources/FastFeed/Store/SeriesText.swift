// What of each command never changes, rendered once per series. The sink's thread alone.

/// Bytes that stay where they are for as long as there is a sink.
@safe package struct TextPiece: BitwiseCopyable {
    let start: UnsafePointer<UInt8>
    let count: Int

    @inline(__always)
    init(start: UnsafePointer<UInt8>, count: Int) { unsafe (self.start, self.count) = (start, count) }
}

/// The constant bytes of one series' commands, in one piece of memory that lives as long as the sink: series
/// ids are few and are used again.
@safe package struct SeriesText: BitwiseCopyable {
    private let storage: UnsafeMutablePointer<UInt8>?
    /// Where each piece ends, one behind the other: 16 bytes a series instead of 72.
    private let ends: (append: UInt16, publish: UInt16, json: UInt16, field: UInt16)
    /// Kline events that update messages have stood for: beside what is read for each message anyway.
    var updateCount: UInt64 = 0

    /// `*34 XADD key MAXLEN ~ n`, up to the entry id.
    var append: TextPiece { piece(0, ends.append) }
    /// `*3 PUBLISH channel`, up to the message; or SPUBLISH.
    var publish: TextPiece { piece(ends.append, ends.publish) }
    /// `{"symbol":"btcusdt","interval":"1m",` opens a candle and an update alike.
    package var json: TextPiece { piece(ends.publish, ends.json) }
    /// The field of `latest:*`, as a bulk string.
    var field: TextPiece { piece(ends.json, ends.field) }

    /// Of a series that was given its text; those of others are not asked for.
    @inline(__always)
    private func piece(_ from: UInt16, _ to: UInt16) -> TextPiece {
        unsafe TextPiece(start: storage.unsafelyUnwrapped + Int(from), count: Int(to &- from))
    }

    package init(_ series: Series, _ schema: KeySchema, history: Int, updates: UpdateMode = .classic) {
        let pieces: [[UInt8]] = [
            Array("*34\r\n".utf8) + RESP.bulk("XADD") + RESP.bulk(schema.historyKey(series)) + RESP.bulk("MAXLEN") + RESP.bulk("~")
                + RESP.bulk(String(history)),
            Array("*3\r\n".utf8) + RESP.bulk(updates == .sharded ? "SPUBLISH" : "PUBLISH") + RESP.bulk(schema.updatesChannel(series)),
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

    package func free() { unsafe storage?.deallocate() }
}
