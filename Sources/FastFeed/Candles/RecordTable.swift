// What keeps the newest state of every series of one kind of data. The sink's thread alone.

package protocol RecordTable<Record>: ~Copyable {
    associatedtype Record: FeedRecord

    /// Takes one record.
    /// - Parameter parsedAfterNs: from its `receivedNs` until it stood in the ring.
    mutating func accept(_ record: Lent<Record>, parsedAfterNs: UInt32)

    /// Series with something to write.
    var dirtyCount: Int { get }

    /// The id of the next series to write; it is clean from now on. Nil when there is none.
    mutating func popDirty() -> Int?
}

extension CandleTable: RecordTable {
    package typealias Record = CandleRecord
}
