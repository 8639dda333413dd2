// Where the time between a socket and Redis's acknowledgement goes: the whole, and its four stages, each in a histogram of
// its own. A state that is written counts once in each of them, so all five have one count, and the four spans of a state
// add up to its whole. Of coalesced states the newest counts. Written by the sink's thread, read by any.
//
//   readable      the turn began in which the reader's thread saw the socket readable
//   parsed        the records of the read stand in the ring, where the sink can see them
//   taken         the sink began to build the batch that was acknowledged (an earlier one that came to nothing is waiting)
//   written       the kernel had the batch's last byte. A closed candle may be acknowledged before that: then the newest piece
//   acknowledged  the sink's thread saw the reply: a closed candle's own, a forming state's batch's last
//
// The clock is read once for each read, batch, write and turn with replies, never for a record.

import Synchronization

/// A part of the way from the socket to the acknowledgement, in their order.
public enum LatencyStage: Int, CaseIterable, Sendable {
    /// From the turn that saw the socket readable until the records stand in the ring.
    case socketToParsed
    /// Until the sink begins to build the batch that is acknowledged.
    case parsedToTaken
    /// Until the kernel has the batch's last byte.
    case takenToWritten
    /// Until the sink sees Redis's reply.
    case writtenToAck

    /// As metrics have it: `socket_to_parsed`.
    public var name: String { "\(self)".snakeCased }
}

package final class LatencyMeter: Sendable {
    package let total = LatencyHistogram()
    private let socketToParsed = LatencyHistogram()
    private let parsedToTaken = LatencyHistogram()
    private let takenToWritten = LatencyHistogram()
    private let writtenToAck = LatencyHistogram()
    /// From a bar's end to the acknowledgement of its closed candle, and from an event to its socket: by two machines' clocks, so that
    /// less than nothing counts as nothing. Of closed live candles each; of events one a turn and reader.
    package let closedDelay = LatencyHistogram()
    package let exchangeDelay = LatencyHistogram()
    private let closedAck = Atomic<UInt64>(0)
    private let oldestPending = Atomic<UInt64>(0)

    package init() {}

    /// Owner thread only: the stages that differ between the states of a batch; `count` states of one read have the same. `recordBatch` has the rest.
    @inline(__always)
    package func recordStates(receivedNs: UInt64, parsedAfterNs: UInt32, takenNs: UInt64, ackNs: UInt64, count: Int) {
        let parsedNs = receivedNs &+ UInt64(parsedAfterNs)
        total.record(ackNs &- receivedNs, count: UInt64(count))
        socketToParsed.record(UInt64(parsedAfterNs), count: UInt64(count))
        // Two threads have read the clock.
        parsedToTaken.record(max(takenNs, parsedNs) &- parsedNs, count: UInt64(count))
    }

    /// Owner thread only: what states of one batch have in common.
    @inline(__always)
    package func recordBatch(takenNs: UInt64, writtenNs: UInt64, ackNs: UInt64, count: Int) {
        takenToWritten.record(writtenNs &- takenNs, count: UInt64(count))
        writtenToAck.record(ackNs &- writtenNs, count: UInt64(count))
    }

    /// Notes when a closed candle was last acknowledged. Owner thread only.
    @inline(__always)
    package func noteClosed(ackNs: UInt64) { closedAck.store(ackNs, ordering: .relaxed) }

    /// When the newest acknowledgement of a closed candle was seen, monotonic; 0 for never.
    package var closedAckNs: UInt64 { closedAck.load(ordering: .relaxed) }

    /// Owner thread only: since when the oldest closed candle in the queue waits; 0 for none.
    @inline(__always)
    package func noteOldestPending(_ sinceNs: UInt64) { oldestPending.store(sinceNs, ordering: .relaxed) }

    package var oldestPendingNs: UInt64 { oldestPending.load(ordering: .relaxed) }

    package func snapshot() -> StageSnapshots {
        StageSnapshots([socketToParsed, parsedToTaken, takenToWritten, writtenToAck].map { $0.snapshot() })
    }
}

/// A copy of the stages' histograms; the difference of two is the time between them.
public struct StageSnapshots: Sendable {
    /// In the order of `LatencyStage`.
    private let snapshots: [HistogramSnapshot]

    init(_ snapshots: [HistogramSnapshot]) { self.snapshots = snapshots }

    /// The histogram of one stage.
    public subscript(stage: LatencyStage) -> HistogramSnapshot { snapshots[stage.rawValue] }

    package static func - (later: StageSnapshots, earlier: StageSnapshots) -> StageSnapshots {
        StageSnapshots(zip(later.snapshots, earlier.snapshots).map { $0 - $1 })
    }
}
