// Which series has which id, which connection carries its stream, and how many fluxes want it. Pure: wishes come in,
// commands for readers and sink come out. The control thread's alone.
//
// Streams are spread evenly: as few connections as carry them all, at least one for each reader; a new stream goes to
// the connection that carries the fewest.

package struct Placement: Sendable {
    /// What is to be told to whom, in this order: first the sink's `before`, then the readers, then the sink's `after`.
    package struct Change: Sendable {
        package var before: [SinkCommand] = []
        package var readers: [[ReaderCommand]]
        package var after: [SinkCommand] = []
        /// Series that were not wanted before, or are not any more.
        package var series: [Series] = []
    }

    private struct Entry {
        let handle: SeriesHandle
        let connection: ConnectionKey
        /// Fluxes that want the series.
        var count: UInt32
    }

    private struct Connection {
        let key: ConnectionKey
        let reader: Int
        var streamCount = 0
    }

    package let readerCount: Int
    private let streamsPerConnectionMax: Int
    private let seriesMax: Int
    private var entries: [Series: Entry] = [:]
    /// In the order of their keys.
    private var connections: [Connection] = []
    private var nextKey: UInt32 = 0
    private var freeIDs: [UInt32] = []
    /// By id, of all that were ever given out: the generation last given out.
    private var generations: [UInt16] = []

    package init(readerCount: Int, streamsPerConnectionMax: Int, seriesMax: Int = Limits.seriesCountMax) {
        (self.readerCount, self.streamsPerConnectionMax, self.seriesMax) = (readerCount, streamsPerConnectionMax, seriesMax)
    }

    /// Half of a reader's places are for connections that are being replaced.
    package static func connectionsMax(readerCount: Int) -> Int { readerCount * Limits.connectionsPerReaderMax / 2 }

    package var seriesCount: Int { entries.count }
    /// Ids that may not be given out: of series that are wanted, and of stopped ones that are still mentioned somewhere.
    package var idsInUse: Int { generations.count - freeIDs.count }
    package var connectionCount: Int { connections.count }
    package func handle(_ series: Series) -> SeriesHandle? { entries[series]?.handle }
    /// By connection: how many streams it carries.
    package var loads: [Int] { connections.map(\.streamCount) }

    /// True when `add` will take these series (each named once).
    package func fits(_ wanted: [Series]) -> Bool { connectionsNeeded(wanted) != nil }

    /// How many connections there must be to carry these, too. Nil when they are more than ids or connections can carry.
    private func connectionsNeeded(_ wanted: [Series]) -> Int? {
        let newCount = wanted.count { entries[$0] == nil }
        let total = entries.count + newCount
        let needed = max((total + streamsPerConnectionMax - 1) / streamsPerConnectionMax, min(readerCount, total))
        return newCount <= seriesMax - idsInUse && needed <= Placement.connectionsMax(readerCount: readerCount) ? needed : nil
    }

    /// One more flux wants these series (each named once). Nil when they do not fit: then nothing has changed.
    package mutating func add(_ wanted: [Series]) -> Change? {
        guard let needed = connectionsNeeded(wanted) else { return nil }
        while connections.count < needed { addConnection() }
        var followed: [ConnectionKey: [(Series, SeriesHandle)]] = [:]
        var change = Change(readers: Array(repeating: [], count: readerCount))
        for series in wanted {
            if entries[series] != nil {
                entries[series]!.count += 1
                continue
            }
            let place = connections.indices.min { connections[$0].streamCount < connections[$1].streamCount }!
            let (key, handle) = (connections[place].key, takeHandle())
            entries[series] = Entry(handle: handle, connection: key, count: 1)
            connections[place].streamCount += 1
            followed[key, default: []].append((series, handle))
            change.series.append(series)
        }
        // Fewer new streams than new connections: the readers without one get theirs another time.
        connections.removeAll { $0.streamCount == 0 }
        if !followed.isEmpty { change.before = [.follow(change.series.map { ($0, entries[$0]!.handle) })] }
        for connection in connections {
            guard let list = followed[connection.key] else { continue }
            let streams = list.map { VenueProfile.streamName($0.0) }
            let isNew = connection.streamCount == streams.count
            change.readers[connection.reader] += [
                .follow(list), isNew ? .connect(connection.key, streams: streams) : .subscribe(connection.key, streams: streams),
            ]
        }
        return change
    }

    /// One flux less wants these series (each named once).
    package mutating func remove(_ unwanted: [Series]) -> Change {
        var unfollowed: [ConnectionKey: [Series]] = [:]
        var handles: [SeriesHandle] = []
        var change = Change(readers: Array(repeating: [], count: readerCount))
        for series in unwanted {
            guard let entry = entries[series] else { continue }
            guard entry.count == 1 else {
                entries[series]!.count -= 1
                continue
            }
            entries[series] = nil
            unfollowed[entry.connection, default: []].append(series)
            handles.append(entry.handle)
            change.series.append(series)
        }
        for place in connections.indices {
            let (key, reader) = (connections[place].key, connections[place].reader)
            guard let list = unfollowed[key] else { continue }
            connections[place].streamCount -= list.count
            let isEmpty = connections[place].streamCount == 0
            change.readers[reader] += [
                isEmpty ? .disconnect(key) : .unsubscribe(key, streams: list.map(VenueProfile.streamName)), .unfollow(list),
            ]
        }
        connections.removeAll { $0.streamCount == 0 }
        if !handles.isEmpty { change.after = [.unfollow(handles)] }
        return change
    }

    /// The exchange is to be asked for the streams of these series once more.
    package func renewal(_ wanted: [Series]) -> Change {
        var streams: [ConnectionKey: [String]] = [:]
        for series in wanted {
            if let entry = entries[series] { streams[entry.connection, default: []].append(VenueProfile.streamName(series)) }
        }
        var change = Change(readers: Array(repeating: [], count: readerCount))
        for connection in connections {
            if let list = streams[connection.key] { change.readers[connection.reader].append(.subscribe(connection.key, streams: list)) }
        }
        return change
    }

    /// Nothing mentions these ids any more.
    package mutating func release(_ ids: [UInt32]) { freeIDs += ids }

    private mutating func takeHandle() -> SeriesHandle {
        let id = freeIDs.popLast() ?? UInt32(generations.count)
        if id == generations.count { generations.append(0) }
        // 0 means no series; after 65,535 lives an id begins again, long after the last frame of its first.
        generations[Int(id)] = generations[Int(id)] == .max ? 1 : generations[Int(id)] + 1
        return SeriesHandle(id: id, generation: generations[Int(id)])
    }

    private mutating func addConnection() {
        let byReader = (0..<readerCount).map { reader in connections.count { $0.reader == reader } }
        let reader = byReader.indices.min { byReader[$0] < byReader[$1] }!
        connections.append(Connection(key: ConnectionKey(nextKey), reader: reader))
        nextKey += 1
    }
}
