// What is always so of ids, connections and the streams on them. Tests and simulated worlds ask for it, the product never does. Pure.

extension Placement {
    /// The first invariant that does not hold, as a sentence; nil: all hold.
    package func checkInvariants() -> String? { wrongHandle() ?? wrongGroup() }

    /// Wanted series and ids are a bijection, and the id of a wanted one is not free.
    private func wrongHandle() -> String? {
        guard generations.count <= seriesMax else { return "placement: \(generations.count) ids are more than there may be" }
        let free = Set(freeIDs)
        guard free.count == freeIDs.count else { return "placement: an id is free twice" }
        guard free.allSatisfy({ Int($0) < generations.count }) else { return "placement: an id is free that was never given out" }
        var taken: Set<UInt32> = []
        for (series, entry) in entries {
            let id = entry.handle.id
            guard Int(id) < generations.count, generations[Int(id)] == entry.handle.generation, entry.handle.generation > 0 else {
                return "placement: \(series) has a handle that is not the last one of id \(id)"
            }
            guard !free.contains(id) else { return "placement: \(series) has id \(id), which is free" }
            guard taken.insert(id).inserted else { return "placement: \(series) has id \(id), as another one has" }
            guard entry.count > 0 else { return "placement: \(series) has a place and nobody wants it" }
        }
        return nil
    }

    /// Each series is carried by the connections of one group, each connection by one reader, and none has more than it may.
    private func wrongGroup() -> String? {
        var streams: [UInt32: Int] = [:]
        for entry in entries.values { streams[entry.number, default: 0] += 1 }
        var keys: Set<ConnectionKey> = []
        var connections = Array(repeating: 0, count: readerCount)
        for group in groups {
            let name = "placement: group \(group.number)"
            let carried = streams.removeValue(forKey: group.number) ?? 0
            guard group.streamCount == carried else { return "\(name): \(group.streamCount) streams counted, \(carried) are placed there" }
            guard carried > 0 && carried <= streamsPerConnectionMax else { return "\(name) carries \(carried) streams" }
            guard group.number < nextNumber else { return "\(name) has a number that is still to be given out" }
            guard group.connections.count == redundancy else { return "\(name) has \(group.connections.count) connections" }
            for (key, reader) in group.connections {
                guard keys.insert(key).inserted else { return "\(name): connection \(key.number) is another group's, too" }
                guard connections.indices.contains(reader), group.readers.contains(reader) else {
                    return "\(name) is with reader \(reader)"
                }
                connections[reader] += 1
            }
        }
        if let lost = streams.keys.first { return "placement: a series is on connections of group \(lost), which is not there" }
        let readers = Dictionary(groups.map { ($0.number, $0.readers) }) { $1 }
        if let (series, _) = entries.first(where: { !readers[$0.value.number]!.isSubset(of: $0.value.readers) }) {
            return "placement: a reader that has the stream of \(series) does not know it"
        }
        let most = Placement.connectionsMax(readerCount: 1)
        let crowded = connections.firstIndex { $0 > most }
        return crowded.map { "placement: reader \($0) has \(connections[$0]) connections, and places for \(most)" }
    }
}
