// Rare failures as typed throws. Expected ones (would-block, need-more, rejected) are values instead.
// A plain value.

/// A failure with the stage it happened in and one sentence naming the thing that is wrong.
public struct FeedError: Error, Sendable, CustomStringConvertible {
    /// Where it happened.
    public enum Stage: String, Sendable {
        /// A setting; the system; TLS; a connection's upgrade; frames; what the exchange says; Redis.
        case configuration, system, tls, handshake, webSocket, venue, redis
    }

    /// Where it happened.
    public let stage: Stage
    /// One sentence; foreign bytes in it are printable.
    public let message: String

    package init(_ stage: Stage, _ message: String) {
        self.stage = stage
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
