// Rare failures as typed throws. Expected ones (would-block, need-more, rejected) are values instead.
// A plain value.

/// A failure with the stage it happened in and one sentence naming the thing that is wrong.
public struct FeedError: Error, Sendable, CustomStringConvertible {
    public enum Stage: String, Sendable {
        case configuration, system, tls, handshake, webSocket, venue, redis
    }

    public let stage: Stage
    public let message: String

    package init(_ stage: Stage, _ message: String) {
        self.stage = stage
        self.message = message
    }

    public var description: String { message }
}
