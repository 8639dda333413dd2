// What the exchange said and what of it provably went out: the oracle of every test. One thread owns it.
//
// A closed candle is kept in 144 bytes whatever number of streams and subscribers; the log is a ring of
// bounded length whose losses are counted.

/// Counts of what was sent, by kind.
package struct SimulatorStatistics: Sendable, Equatable {
    package var connectionsAccepted = 0
    package var connectionsClosed = 0
    package var handshakesRefused = 0
    package var klineFrames = 0
    package var closedKlineFrames = 0
    package var replies = 0
    package var pings = 0
    package var pongsReceived = 0
    package var wrongPongs = 0
    package var closesSent = 0
    package var shutdownNotices = 0
    /// Answers of the REST interface, refusals included.
    package var restResponses = 0
    package var rest = RestTally()
    package var bytesSent = 0
    package var closedCandles = 0
    /// Closed candles that fell out of the truth because it was full.
    package var closedCandlesForgotten = 0
    package var faultsApplied = 0
    package var slowConsumersClosed = 0
    /// The exchange's clock when this was counted.
    package var virtualTimeMs: Int64 = 0

    package init() {}
}

package struct TruthLog {
    package struct Closed {
        package let stream: Int32
        /// On how many connections the frame was handed to the kernel and not revoked by a reset.
        package var deliveries: Int32
        package let state: KlineState
    }

    private let candlesMax: Int
    private var ring: [Closed] = []
    private var oldestSlot = 0
    /// Sequence of the oldest candle kept; each candle's sequence is its position in the whole run.
    package private(set) var forgotten: Int64 = 0

    package init(candlesMax: Int) {
        precondition(candlesMax > 0, "truth needs room for a candle")
        self.candlesMax = candlesMax
    }

    package var count: Int { ring.count }
    /// Candles ever closed.
    package var total: Int64 { forgotten + Int64(ring.count) }

    package mutating func appendClosed(stream: Int, _ state: KlineState) -> Int64 {
        let entry = Closed(stream: Int32(stream), deliveries: 0, state: state)
        if ring.count < candlesMax {
            ring.append(entry)
        } else {
            ring[oldestSlot] = entry
            oldestSlot = oldestSlot + 1 == candlesMax ? 0 : oldestSlot + 1
            forgotten += 1
        }
        return total - 1
    }

    /// A delivery more (or, after a reset, one less). A candle already forgotten is passed over.
    package mutating func addDelivery(_ sequence: Int64, by delta: Int32 = 1) {
        let position = sequence - forgotten
        guard position >= 0, position < Int64(ring.count) else { return }
        ring[slot(Int(position))].deliveries += delta
    }

    /// The entry at a position; 0 is the oldest.
    package func entry(at position: Int) -> Closed { ring[slot(position)] }

    private func slot(_ position: Int) -> Int {
        let slot = oldestSlot + position
        return slot >= ring.count ? slot - ring.count : slot
    }
}
