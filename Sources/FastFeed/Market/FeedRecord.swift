// What a record of any kind of data has, so that a reader can fill it. A plain value; any thread.

/// One message as a record: parsed into a ring's slot, read there by who keeps the newest state.
package protocol FeedRecord: BitwiseCopyable, Sendable {
    /// Dense id of the series, the index of every table.
    var seriesID: UInt32 { get set }
    /// Which use of the id this is.
    var generation: UInt16 { get set }
    /// `Interval.rawValue` of the series, as the parser read it: with the symbol it leads to the id.
    var intervalRawValue: UInt8 { get }
    /// Monotonic nanoseconds when our thread saw the socket readable.
    var receivedNs: UInt64 { get set }
}

extension CandleRecord: FeedRecord {}
