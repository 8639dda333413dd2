// Why a call of the client came to nothing. A plain value, any thread.

/// Everything a `FluxClient` throws.
public enum FluxError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Redis is there, but nobody listens for commands on it (with this key prefix).
    case serviceNotRunning
    /// The command was delivered; no answer came within so many milliseconds. What it asked for may have happened, or happen yet.
    case timeout(milliseconds: Int)
    /// The service said no. Codes: `bad_request`, `unknown_symbol`, `bad_interval`, `unknown_flux`, `too_large`, `busy`, `internal`.
    case refused(code: String, message: String)
    /// Redis cannot be reached, was lost in the middle of the call, or refuses us. After a loss in the middle the command may have
    /// been carried out.
    case disconnected(String)
    /// An answer came that is none; one sentence.
    case badAnswer(String)
    /// Refused before anything was sent; one sentence.
    case badArgument(String)
    /// The task was cancelled. The command may have been carried out.
    case cancelled

    public var description: String {
        switch self {
        case .serviceNotRunning: "the service is not running: nobody listens for commands"
        case .timeout(let milliseconds): "the service did not answer within \(milliseconds) ms"
        case .refused(_, let message): message
        case .disconnected(let reason): reason
        case .badAnswer(let what): "the service's answer is not valid: \(what)"
        case .badArgument(let what): what
        case .cancelled: "cancelled"
        }
    }
}
