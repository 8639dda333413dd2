// Why a call of the client came to nothing. A plain value, any thread.

/// Everything a `FluxClient` throws.
public enum FluxError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Redis is there, but nobody listens for commands on it (with this market and key prefix).
    case serviceNotRunning
    /// The command was delivered; no answer came in this time. What it asked for may have happened, or happen yet.
    case timeout(after: Duration)
    /// The service said no. Without a code: one that this version does not know.
    case refused(code: CommandCode?, message: String)
    /// Redis cannot be reached, was lost in the middle of the call, or refuses us. After a loss in the middle the command may have
    /// been carried out.
    case disconnected(String)
    /// What came is not an answer to the command; one sentence.
    case badAnswer(String)
    /// Refused before anything was sent; one sentence.
    case badArgument(String)
    /// The service publishes no updates, or none that this client can hear; one sentence.
    case noUpdates(String)
    /// The task was cancelled. The command may have been carried out.
    case cancelled

    /// One sentence, for people.
    public var description: String {
        switch self {
        case .serviceNotRunning: "no service listens for commands"
        case .timeout(let time): "the service did not answer within \(time.milliseconds) ms"
        case .refused(_, let message): message
        case .disconnected(let reason): reason
        case .badAnswer(let what): "the service's answer is not valid: \(what)"
        case .badArgument(let what), .noUpdates(let what): what
        case .cancelled: "cancelled"
        }
    }
}
