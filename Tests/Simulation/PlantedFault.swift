// Faults that a world plants into what surrounds the healer and the readers, each as a fault of the product's would show. The worlds
// must find every one.

import FastFeed

public enum PlantedFault: String, CaseIterable, Sendable {
    /// An unfinished bar is handed out as one that closed long ago.
    case unfinishedBelieved
    /// Some bars are left out of answers that have later ones: they are taken for absent.
    case absentTooEarly
    /// Requests are sent whatever the weight.
    case budgetIgnored
    /// The reader of the history says that nothing is stored.
    case nothingStored
    /// The healer hears of no series.
    case commandsLost
    /// Some healed candles never reach the sink.
    case recordsLost
    /// Closed candles do not wait for a hole before them.
    case holdForgotten
    /// The script that merges takes the trade ids of what it touches.
    case idsLost
    /// The script that merges tells nobody of what it has changed.
    case changesLost
    /// No reader hears which of a connection's streams are not wanted any more.
    case unsubscribeLost
    /// A slot of the cluster that has moved keeps its lane, and MOVED is taken for done.
    case laneStale
    /// What MOVED has refused is sent to the new owner behind something newer.
    case redirectBehind
    /// After a failover nothing is written again.
    case nothingAgain
    /// In a pair, nobody hears that a member is dead.
    case deathUnheard

    public var isOfPair: Bool { self == .deathUnheard }

    /// Of the sink in a cluster. The others are around the healer and the readers.
    public var isOfCluster: Bool { [.laneStale, .redirectBehind, .nothingAgain].contains(self) }
}

/// Takes the healer's records to the sink where a fault is planted between the two.
struct FaultyRelay: ~Copyable {
    private let fault: PlantedFault
    private var from: SPSCRing<CandleRecord>.Consumer
    private var to: SPSCRing<CandleRecord>.Producer

    init(_ fault: PlantedFault, from: SPSCRing<CandleRecord>, to: SPSCRing<CandleRecord>) {
        self.fault = fault
        self.from = SPSCRing.Consumer(from)
        self.to = SPSCRing.Producer(to)
    }

    mutating func turn() {
        let available = min(from.available(), to.room())
        for index in 0..<available {
            let record = from.record(index).value
            if fault == .recordsLost && record.openTimeMs / 1_000 % 5 == 0 { continue }
            to.slot.value = record
            to.keep()
        }
        from.free(available)
        _ = to.publish()
    }
}
