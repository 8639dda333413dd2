// Which series has which id, which connections carry its stream, and how many fluxes want it. Pure: wishes come in,
// commands for readers and sink come out. The control thread's alone.
//
// Connections come in groups. Those of one group carry the same streams, so a group has as many as the redundancy says: each on a reader
// of its own, and at a host of its own, as far as there are so many. Streams are spread evenly: as few groups as carry them all, at
// least one connection for each reader; a new stream goes to the group that carries the fewest.

package struct Placement: Sendable {
    /// A series and the connections that carry its stream.
    package typealias Placed = (series: Series, handle: SeriesHandle, connections: [ConnectionKey])

    /// What is to be told to whom, in this order: first the sink's `before`, then the readers, then the sink's `after`.
    package struct Change: Sendable {
        package var before: [SinkCommand] = []
        package var readers: [[ReaderCommand]]
        package var after: [SinkCommand] = []
        /// Series that were not wanted before, or are not any more.
        package var series: [Series] = []
        /// Series that are new, or carried by other connections than before.
        package var placements: [Placed] = []
        /// Of these, series that another member of the group writes.
        package var copies: Set<Series> = []
        /// Candles that these should have from their start; 0: as many as usual.
        package var history = 0
        /// Series that were wanted before and should have so many, too.
        package var deepened: [Series] = []
    }

    struct Entry {
        let handle: SeriesHandle
        /// The number of its group of connections.
        var number: UInt32
        /// They know the series; all that ever carried it do.
        var readers: Set<Int>
        /// Fluxes that want the series.
        var count: UInt32
    }

    struct Group {
        /// Groups count from 0, and no number comes again.
        let number: UInt32
        let connections: [(key: ConnectionKey, reader: Int)]
        let readers: Set<Int>
        var streamCount = 0

        /// Commands by which the group's readers carry these streams, too.
        func takes(_ streams: [String], isNew: Bool) -> [(reader: Int, command: ReaderCommand)] {
            connections.enumerated().map { place, one in
                let host = Int(number) + place
                return (one.reader, isNew ? .connect(one.key, host: host, streams: streams) : .subscribe(one.key, streams: streams))
            }
        }

        /// Commands by which the group's readers carry these streams no more.
        func drops(_ streams: [String]) -> [(reader: Int, command: ReaderCommand)] {
            connections.map { ($0.reader, streamCount == 0 ? .disconnect($0.key) : .unsubscribe($0.key, streams: streams)) }
        }
    }

    package let readerCount: Int
    let streamsPerConnectionMax: Int
    let redundancy: Int
    let seriesMax: Int
    private(set) var entries: [Series: Entry] = [:]
    /// Ascending by number.
    private(set) var groups: [Group] = []
    private(set) var nextNumber: UInt32 = 0
    private(set) var freeIDs: [UInt32] = []
    /// By id, of all that were ever given out: the generation last given out.
    private(set) var generations: [UInt16] = []

    /// - Parameter redundancy: on so many connections each stream comes.
    package init(readerCount: Int, streamsPerConnectionMax: Int, redundancy: Int = 1, seriesMax: Int = Limits.seriesCountMax) {
        (self.readerCount, self.streamsPerConnectionMax) = (readerCount, streamsPerConnectionMax)
        (self.redundancy, self.seriesMax) = (redundancy, seriesMax)
    }

    /// Half of a reader's places are for connections that are being replaced.
    package static func connectionsMax(readerCount: Int) -> Int { readerCount * Limits.connectionsPerReaderMax / 2 }

    private var groupsMax: Int { Placement.connectionsMax(readerCount: readerCount) / redundancy }

    package var seriesCount: Int { entries.count }
    /// Ids that may not be given out: of series that are wanted, and of stopped ones that are still mentioned somewhere.
    package var idsInUse: Int { generations.count - freeIDs.count }
    package var connectionCount: Int { groups.count * redundancy }
    /// Of all series that are wanted, ascending by id.
    package var handles: [SeriesHandle] { entries.values.map(\.handle).sorted { $0.id < $1.id } }
    package var ids: [UInt32] { handles.map(\.id) }
    package func handle(_ series: Series) -> SeriesHandle? { entries[series]?.handle }
    /// By connection: how many streams it carries.
    package var loads: [Int] { groups.flatMap { Array(repeating: $0.streamCount, count: redundancy) } }

    /// Connections that carry its stream; none where nobody wants it.
    package func connections(of series: Series) -> [ConnectionKey] {
        entries[series].map { entry in groups[place(of: entry)].connections.map(\.key) } ?? []
    }

    private func place(of entry: Entry) -> Int { groups.firstIndex { $0.number == entry.number }! }

    /// True when `add` will take these series (each named once).
    package func fits(_ wanted: [Series]) -> Bool { groupsNeeded(wanted) != nil }

    /// How many of these, from the first, `add` will take.
    package func fitting(_ wanted: [Series]) -> Int {
        var (least, most) = (0, wanted.count)
        while least < most {
            let middle = (least + most + 1) / 2
            if fits(Array(wanted.prefix(middle))) { least = middle } else { most = middle - 1 }
        }
        return least
    }

    /// How many groups there must be to carry these, too. Nil when they are more than ids or connections can carry.
    private func groupsNeeded(_ wanted: [Series]) -> Int? {
        let newCount = wanted.count { entries[$0] == nil }
        let total = entries.count + newCount
        let forAllReaders = min((readerCount + redundancy - 1) / redundancy, total)
        let needed = max((total + streamsPerConnectionMax - 1) / streamsPerConnectionMax, forAllReaders)
        return newCount <= seriesMax - idsInUse && needed <= groupsMax ? needed : nil
    }

    private var noChange: Change { Change(readers: Array(repeating: [], count: readerCount)) }

    /// One more flux wants these series (each named once). Nil when they do not fit: then nothing has changed.
    package mutating func add(_ wanted: [Series]) -> Change? {
        guard let needed = groupsNeeded(wanted) else { return nil }
        while groups.count < needed { addGroup() }
        var followed: [UInt32: [(Series, SeriesHandle)]] = [:]
        var change = noChange
        for series in wanted {
            if entries[series] != nil {
                entries[series]!.count += 1
                continue
            }
            let place = groups.indices.min { groups[$0].streamCount < groups[$1].streamCount }!
            let (group, handle) = (groups[place], takeHandle())
            entries[series] = Entry(handle: handle, number: group.number, readers: group.readers, count: 1)
            groups[place].streamCount += 1
            followed[group.number, default: []].append((series, handle))
            change.series.append(series)
            change.placements.append((series, handle, group.connections.map(\.key)))
        }
        // Fewer new streams than new groups: the readers without one get theirs another time.
        groups.removeAll { $0.streamCount == 0 }
        if !followed.isEmpty { change.before = [.follow(change.placements.map { ($0.series, $0.handle) })] }
        for group in groups {
            guard let list = followed[group.number] else { continue }
            for reader in group.readers { change.readers[reader].append(.follow(list)) }
            let streams = list.map { $0.0.market.dialect.streamName($0.0) }
            for (reader, command) in group.takes(streams, isNew: group.streamCount == streams.count) {
                change.readers[reader].append(command)
            }
        }
        return change
    }

    /// One flux less wants these series (each named once).
    package mutating func remove(_ unwanted: [Series]) -> Change {
        var dropped: [UInt32: [String]] = [:]
        var unfollowed: [[Series]] = Array(repeating: [], count: readerCount)
        var handles: [SeriesHandle] = []
        var change = noChange
        for series in unwanted {
            guard let entry = entries[series] else { continue }
            guard entry.count == 1 else {
                entries[series]!.count -= 1
                continue
            }
            entries[series] = nil
            dropped[entry.number, default: []].append(series.market.dialect.streamName(series))
            for reader in entry.readers { unfollowed[reader].append(series) }
            handles.append(entry.handle)
            change.series.append(series)
        }
        for place in groups.indices {
            guard let streams = dropped[groups[place].number] else { continue }
            drop(streams, from: place, &change)
        }
        for (reader, list) in unfollowed.enumerated() where !list.isEmpty { change.readers[reader].append(.unfollow(list)) }
        groups.removeAll { $0.streamCount == 0 }
        if !handles.isEmpty { change.after = [.unfollow(handles)] }
        return change
    }

    private mutating func drop(_ streams: [String], from place: Int, _ change: inout Change) {
        groups[place].streamCount -= streams.count
        for (reader, command) in groups[place].drops(streams) { change.readers[reader].append(command) }
    }

    /// The exchange is to be asked for the streams of these series anew, on the connections that carry them.
    package func renewal(_ wanted: [Series]) -> Change {
        var streams: [UInt32: [String]] = [:]
        for series in wanted {
            if let entry = entries[series] { streams[entry.number, default: []].append(series.market.dialect.streamName(series)) }
        }
        var change = noChange
        for group in groups {
            guard let list = streams[group.number] else { continue }
            for one in group.connections { change.readers[one.reader].append(.renew(one.key, streams: list)) }
        }
        return change
    }

    /// The stream is to come on other connections: those that carry the fewest, or new ones where there are no others. Where there is no
    /// room for those it is asked for anew where it is. The handle stays, and the readers that had the stream go on knowing it: what is
    /// on its way to them is taken.
    package mutating func move(_ series: Series) -> Change {
        guard let entry = entries[series] else { return noChange }
        let old = place(of: entry)
        let others = groups.indices.filter { $0 != old && groups[$0].streamCount < streamsPerConnectionMax }
        var new = others.min { groups[$0].streamCount < groups[$1].streamCount }
        if new == nil && groups.count < groupsMax {
            addGroup()
            new = groups.count - 1
        }
        guard let new else { return renewal([series]) }
        let (group, streams) = (groups[new], [series.market.dialect.streamName(series)])
        var change = noChange
        for reader in group.readers.subtracting(entry.readers) { change.readers[reader].append(.follow([(series, entry.handle)])) }
        for (reader, command) in group.takes(streams, isNew: group.streamCount == 0) { change.readers[reader].append(command) }
        groups[new].streamCount += 1
        drop(streams, from: old, &change)
        entries[series]!.number = group.number
        entries[series]!.readers.formUnion(group.readers)
        groups.removeAll { $0.streamCount == 0 }
        change.placements = [(series, entry.handle, group.connections.map(\.key))]
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

    private mutating func addGroup() {
        var counts = Array(repeating: 0, count: readerCount)
        for group in groups { for one in group.connections { counts[one.reader] += 1 } }
        let most = Placement.connectionsMax(readerCount: 1)
        var chosen: [(key: ConnectionKey, reader: Int)] = []
        for place in 0..<redundancy {
            /// Those with room first, then those that have none of this group, then those with the fewest.
            func rank(_ reader: Int) -> (Int, Int, Int) {
                (counts[reader] < most ? 0 : 1, chosen.count { $0.reader == reader }, counts[reader])
            }
            let reader = (0..<readerCount).min { rank($0) < rank($1) }!
            chosen.append((ConnectionKey(nextNumber * UInt32(redundancy) + UInt32(place)), reader))
            counts[reader] += 1
        }
        groups.append(Group(number: nextNumber, connections: chosen, readers: Set(chosen.map(\.reader))))
        nextNumber += 1
    }
}
