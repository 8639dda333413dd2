// Rare failures as typed throws. Expected ones (would-block, need-more, rejected) are values instead.
// A plain value.

/// A failure with the stage it happened in and one sentence naming the thing that is wrong.
public struct FeedError: Error, Sendable, CustomStringConvertible {
    /// The part of the work in which a failure happened.
    public enum Stage: String, Sendable {
        /// A setting: a value, a file, a URL.
        case configuration
        /// What the system did not give: threads, memory, descriptors.
        case system
        /// Certificates and keys.
        case tls
        /// Opening a connection, up to its upgrade.
        case handshake
        /// An open WebSocket.
        case webSocket
        /// The exchange, or the way to its REST interface.
        case venue
        /// Redis, or the way to it.
        case redis
    }

    /// The part of the work in which it happened.
    public let stage: Stage
    /// One sentence; foreign bytes in it are printable.
    public let message: String

    package init(_ stage: Stage, _ message: String) {
        self.stage = stage
        self.message = message
    }

    /// The message, without the stage.
    public var description: String { message }
}
