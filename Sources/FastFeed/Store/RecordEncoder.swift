// What writes the records of one kind of data. The sink's thread alone.

package protocol RecordEncoder<Record> {
    associatedtype Record: FeedRecord

    /// The most bytes of one JSON object.
    static var jsonBytesMax: Int { get }

    /// The record as the JSON object of `latest:*` and `updates:*`.
    /// - Parameter head: what all objects of the series begin with.
    static func putJSON(_ record: Lent<Record>, head: TextPiece, to out: inout ByteWriter)
}
