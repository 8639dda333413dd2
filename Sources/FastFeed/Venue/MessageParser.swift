// What reads the messages of one kind of data. One for each reader, on its thread.

/// What a message turned out to be.
package enum ParseResult: Equatable {
    /// The record is filled.
    case record
    /// Valid JSON that is not of this kind.
    case notice
    /// Refused; counted under this reason.
    case rejected(CounterID)
}

/// Reads messages of one kind into records. A reader is compiled for its parser: nothing is looked up for a message.
package protocol MessageParser: ~Copyable {
    associatedtype Record: FeedRecord
    /// Every message of the kind has at least so many bytes.
    static var messageBytesMin: Int { get }

    init()

    /// Parses a message straight into `record`; series id, generation and receive time are the caller's to set. `symbol` lies in the
    /// message. On a rejection `record` holds rubbish.
    func parse(_ message: PaddedBytes, into record: Row<Record>, symbol: inout PaddedBytes) -> ParseResult

    /// Messages so far that did not have the layout that is foreseen, where one is.
    var walkedCount: UInt64 { get }
}

extension MessageParser where Self: ~Copyable {
    package var walkedCount: UInt64 { 0 }
}
