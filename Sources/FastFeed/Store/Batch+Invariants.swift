// What is always so of a batch that has been built and is not answered to its end. Tests and simulated worlds ask for it, the product
// never does. The sink's thread alone.

extension Batch {
    /// The first invariant that does not hold, as a sentence; nil: all hold.
    /// - Parameter publishes: there are update messages.
    package func checkInvariants(isRouted: Bool = false, publishes: Bool = true) -> String? {
        guard closedCount <= closedPositions.count && seriesCount <= seriesIDs.count else {
            return "batch: \(closedCount) closed candles and \(seriesCount) states are more than it was made for"
        }
        guard answered >= 0 && answered < commandCount else { return "batch: \(answered) of \(commandCount) commands are answered" }
        for index in 0..<closedCount where index > 0 && closedPositions[index - 1] >= closedPositions[index] {
            return "batch: entry \(closedPositions[index]) stands behind \(closedPositions[index - 1])"
        }
        guard hashCount <= Interval.allCases.count else { return "batch: \(hashCount) hashes" }
        var end = 0
        for index in 0..<hashCount {
            guard hashEnds[index] > end else { return "batch: hash \(index) has no series" }
            end = hashEnds[index]
        }
        guard end == seriesCount else { return "batch: \(seriesCount) states, of which its hashes have \(end)" }
        // Each closed candle and each state is in the message of its series, which in a cluster is another batch's.
        let count = closedCount + seriesCount
        guard isRouted && publishes || publishCount <= count && (publishCount > 0) == (publishes && count > 0) else {
            return "batch: \(publishCount) messages of \(count) candles"
        }
        return nil
    }

    /// Closed candles whose command is not answered yet.
    var openClosed: Range<Int> { min(answered, closedCount)..<closedCount }
}

extension BatchBuilder {
    /// The same for the builder, between two batches.
    package func checkInvariants() -> String? {
        guard asideRoom >= 0 else { return "batch builder: asides have \(-asideRoom) bytes more than they may" }
        guard room >= 0 && room <= batchSize else { return "batch builder: room for \(room) of \(batchSize) states" }
        guard out.count <= memory.count else { return "batch builder: \(out.count) bytes in \(memory.count)" }
        return buckets.allSatisfy { $0 == .max } ? nil : "batch builder: states of a batch that is built"
    }
}
