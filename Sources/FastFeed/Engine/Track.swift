// One kind of data on its way from the exchange to Redis, as one name: what reads its messages, what they become, the ring between the
// threads, what keeps the newest states, what writes them. Pure.
//
// A kind is chosen when the program is compiled, and each reader, ring and table is compiled for its kind: nothing is looked up for a
// message. Another kind is another track, with readers of its own on the threads that are there.

package enum Track<
    Parser: MessageParser & ~Copyable, Table: RecordTable & ~Copyable, Encoder: RecordEncoder
> where Table.Record == Parser.Record, Encoder.Record == Parser.Record {
    package typealias Record = Parser.Record
    package typealias Ring = SPSCRing<Record>
    package typealias Reader = FastFeed.Reader<Parser>
}

/// Klines: they coalesce while they form, close, and are missed when they do not come.
package typealias KlineTrack = Track<KlineParser, CandleTable, CandleEncoder>
