// What is always so of the engine's parts, and between them, after every turn of a world. One thread.

import FastFeed

extension EngineProcess {
    /// - Parameters:
    ///   - turned: the agents that have had their turn; the others are as they were.
    ///   - isWhole: check what is between them, too.
    /// - Returns: the first invariant that does not hold, as a sentence; nil: all hold.
    func checkInvariants(_ turned: [Int], isWhole: Bool) -> String? {
        for index in turned {
            let wrong = index < readers.count ? readers[index].checkInvariants() : index == readers.count ? sink.checkInvariants() : nil
            if let wrong { return wrong }
        }
        return isWhole ? placement.checkInvariants() ?? gaps.checkInvariants() ?? wrongStream() : nil
    }

    /// Readers carry what is placed, on one connection each, and nothing else.
    private func wrongStream() -> String? {
        guard readers.allSatisfy({ !$0.commands.isWaiting }) else { return nil }
        var placed: [ConnectionKey: Set<String>] = [:]
        for series in scenario.series {
            for key in placement.connections(of: series) { placed[key, default: []].insert(Binance(.spot).streamName(series)) }
        }
        var readerOf: [ConnectionKey: Int] = [:]
        for (index, reader) in readers.enumerated() {
            guard let carried = reader.carried else { return nil }
            // (What makes streams come twice is not placed.)
            for (key, streams) in carried where key != ConnectionKey(.max) {
                guard let wanted = placed[key] else { return "reader \(index) carries connection \(key.number), which nobody wants" }
                guard Set(streams) == wanted else {
                    return "connection \(key.number) carries \(streams.sorted()), placed are \(wanted.sorted())"
                }
                let other = readerOf.updateValue(index, forKey: key) ?? index
                guard other == index else { return "two readers carry connection \(key.number)" }
            }
        }
        let lost = placed.keys.first { readerOf[$0] == nil }
        return lost.map { "no reader carries connection \($0.number)" }
    }
}
