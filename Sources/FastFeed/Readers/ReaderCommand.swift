// What others may ask of a reader. Plain values: commands are offered from any thread and carried out in the reader's own turn.

/// A connection as the control thread knows it: the same through reconnects and replacements, never used twice.
package struct ConnectionKey: Hashable, Sendable {
    package let number: UInt32
    package init(_ number: UInt32) { self.number = number }
}

package enum ReaderCommand: Sendable {
    /// Frames of these series are to be taken under these handles.
    case follow([(Series, SeriesHandle)])
    /// Frames of these series are unknown from now on.
    case unfollow([Series])
    /// Open one more connection for these streams, to this of the exchange's hosts (counted round).
    case connect(ConnectionKey, host: Int = 0, streams: [String])
    /// The connection is to carry these streams, too.
    case subscribe(ConnectionKey, streams: [String])
    /// The connection is not to carry these streams any more.
    case unsubscribe(ConnectionKey, streams: [String])
    /// The connection is to give up these streams of its and ask for them anew.
    case renew(ConnectionKey, streams: [String])
    /// Close the connection properly and do not open it again.
    case disconnect(ConnectionKey)
    /// Say on the board how the connections stand.
    case describe
    /// Close every connection properly and open none again. What the exchange sends before it has answered is still taken.
    case stop
}
