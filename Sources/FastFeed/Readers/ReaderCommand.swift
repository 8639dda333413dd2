// What others may ask of a reader. Offered from any thread, carried out in the reader's own turn.

package enum ReaderCommand: Sendable {
    /// Frames of this series are to be taken under this handle.
    case follow(Series, SeriesHandle)
    /// Frames of this series are unknown from now on.
    case unfollow(Series)
    /// Open one more connection for these streams.
    case connect(streams: [String])
    /// Close every connection properly and take no more bytes.
    case stop
}
