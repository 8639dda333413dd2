// What a connection answers to an event: its reader carries it out. Plain values.

/// What is to be done about a connection.
package enum ConnectionAction: Equatable {
    case none
    /// A subscription has gone out; `isReady`: or cannot, and then as `ready`.
    case asked(isReady: Bool)
    /// So many subscriptions had no answer in time, and are asked for again.
    case unanswered(Int)
    /// Open, and every stream asked for and answered: from now on it counts.
    case live
    /// It is to be turned, though nobody says that it is ready: nothing can be sent any more, and what has arrived is still read.
    case ready
    /// Old enough to be replaced; or, if it is being replaced for that, not replaced in time.
    case rollDue
    /// It lives and has brought no klines for so long: to be replaced.
    case quiet(ms: UInt64)
    case lost(ConnectionLoss)
}

/// The end of a connection, or of an attempt to have one.
package struct ConnectionLoss: Equatable {
    package let reason: String
    /// The counter that it is counted under.
    package let counts: CounterID
    /// The pause before the next attempt; nil: there is none.
    package let delayNs: UInt64?
    package let left: Left

    /// What it was until then, for those who keep count of it.
    package struct Left: Equatable {
        package var (wasLive, wasOpen, wasStalled) = (false, false, false)
        /// When the attempt was made that has not been answered for.
        package var attemptNs: UInt64?

        package init() {}
    }
}

/// What a turn of a connection's opening came to.
package enum ConnectionOpening: Equatable {
    case pending
    case opened
    case failed(ConnectionLoss, WebSocketConnection.Reach)
}
