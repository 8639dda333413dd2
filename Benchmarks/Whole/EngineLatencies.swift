// What the engine's own histograms say of a run: the way from the socket to the acknowledgement, and its four stages.

import FastFeed

struct EngineLatencies {
    private var whole = Latencies()
    /// In the order of `LatencyStage`.
    private var stages = LatencyStage.allCases.map { _ in Latencies() }

    mutating func addRound(_ window: WholeRun.Window) {
        whole.record(window.latency)
        whole.endRound()
        for stage in LatencyStage.allCases {
            stages[stage.rawValue].record(window.stages[stage])
            stages[stage.rawValue].endRound()
        }
    }

    func measures(_ name: String) -> [Measure] {
        let note = "from the engine's turn on; of coalesced states only the newest"
        return [whole.measure("\(name)/socket-to-ack", isPictured: true, note: note)]
            + LatencyStage.allCases.map { stages[$0.rawValue].measure("\(name)/\($0.name.replacing("_", with: "-"))") }
    }
}
