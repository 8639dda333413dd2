// What an exchange says that brings no data: answers to our messages, errors, its shutdown. A plain value; control path.

/// A message that is not a kline: what the exchange says about the connection.
package enum VenueNotice: Equatable {
    /// The answer to a control message; nil id where it had none.
    case result(id: Int64?)
    case error(id: Int64?, code: Int64, message: String)
    /// The server goes down: reconnect at once.
    case serverShutdown
    /// An event that says it is a kline and is too short to have all that one has.
    case incompleteKline
    /// Another event type, or something we do not know.
    case other(String)
}
