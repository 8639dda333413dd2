// How far a tail has read, stream by stream, and what it has missed. Pure: replies in, commands out.
//
// Where Redis counts the entries ever added (7.0), what was cut off unread is counted exactly: between two moments at which it is known how
// many entries lie behind the cursor, all that were added and not read are lost. It is believed only where the oldest entry lies behind the
// place of the earlier moment, or one behind it was deleted: corrections of a history count as added, too, and are not a loss.

package struct TailReading {
    package struct Place {
        package let key: String
        /// The last id that was read; nil: it is to be behind what is there.
        package var cursor: StreamID?
        /// Of the last moment at which it was known what lies behind the cursor.
        fileprivate var base: Base?
        /// Entries read since that moment.
        fileprivate var readCount = 0
        /// The stream has been there.
        fileprivate var isThere = false
    }

    fileprivate struct Base {
        /// While an entry up to here is there, nothing unread was cut off: the cursor, or the oldest entry where all are unread.
        var oldest: StreamID
        /// Entries ever added, up to the cursor.
        var added: Int
    }

    package private(set) var places: [Place]
    package private(set) var losses = 0
    package private(set) var interruptions = 0
    /// Entries that are asked for, of each stream.
    package private(set) var pageEntries: Int
    private let pageEntriesMax: Int
    private let indices: [String: Int]
    private let keys: [String]

    package init(_ positions: [String: StreamPosition]) {
        places = positions.sorted { $0.key < $1.key }.map { key, position in
            switch position {
            case .start: Place(key: key, cursor: .min)
            case .end: Place(key: key, cursor: nil)
            case .after(let id): Place(key: key, cursor: id)
            }
        }
        keys = places.map(\.key)
        indices = Dictionary(uniqueKeysWithValues: keys.enumerated().map { ($1, $0) })
        pageEntriesMax = max(1, Limits.streamPageEntries / max(1, places.count))
        pageEntries = pageEntriesMax
    }

    // MARK: Commands

    /// One reading of all streams.
    package func read() -> StreamCommand {
        var read = StreamCommand("XREAD", "COUNT", key: keys.first ?? "")
        read.append(pageEntries)
        read.append("BLOCK")
        read.append(Limits.streamBlockMs)
        read.append("STREAMS")
        read.append(contentsOf: keys)
        for place in places { read.append(place.cursor ?? .min) }
        return read
    }

    package func check(_ wanted: [Int]) -> StreamBatch {
        StreamBatch(
            wanted.map { index in
                var info = StreamCommand("XINFO", "STREAM", key: keys[index])
                info.append(keys[index])
                return info
            })
    }

    /// Where the end is, for who may not ask XINFO.
    package func newest(_ wanted: [Int]) -> StreamBatch {
        StreamBatch(
            wanted.map { index in
                var newest = StreamCommand("XREVRANGE", key: keys[index])
                newest.append(contentsOf: [keys[index], "+", "-", "COUNT", "1"])
                return newest
            })
    }

    // MARK: Replies

    /// What a reading has brought.
    package struct Brought {
        package var entries: [StreamEntry] = []
        /// Streams that may have more now.
        package var full: [Int] = []
    }

    /// Nil for what is not an answer to `read`.
    package mutating func take(_ reply: ReplyNode) -> Brought? {
        guard let pages = StreamReplies.pages(reply, keys: keys) else { return nil }
        var (brought, isLeftOut) = (Brought(), false)
        for page in pages {
            guard let index = keys.count == 1 && page.key == keys[0] ? 0 : indices[page.key] else { return nil }
            if take(page, index, isAlone: pages.count == 1, &brought) { isLeftOut = true }
        }
        // A reply that was full is followed by smaller ones for a while.
        pageEntries = isLeftOut ? max(1, pageEntries / 4) : min(pageEntriesMax, pageEntries * 2)
        return brought
    }

    /// True when some were left out because the reply was full.
    private mutating func take(_ page: StreamPage, _ index: Int, isAlone: Bool, _ brought: inout Brought) -> Bool {
        let cursor = places[index].cursor ?? .min
        let leftOut = page.leftOut.min()
        // Even alone it does not fit.
        let isHopeless = leftOut != nil && pageEntries == 1 && page.count == 1 && isAlone
        let end = isHopeless ? nil : leftOut
        let isNew = { (id: StreamID) in id > cursor && (end.map { id < $0 } ?? true) }
        let isPlain = end == nil && (page.entries.first.map { $0.id > cursor } ?? true)
        let entries = isPlain ? page.entries : page.entries.filter { isNew($0.id) }
        let unreadable = (page.unreadable + (isHopeless ? page.leftOut : [])).filter(isNew)
        losses += unreadable.count
        places[index].readCount += entries.count + unreadable.count
        places[index].isThere = true
        if let last = [entries.last?.id, unreadable.max(), end == nil ? page.last : nil].compactMap(\.self).max(), last > cursor {
            places[index].cursor = last
        }
        if brought.entries.isEmpty { brought.entries = entries } else { brought.entries += entries }
        if page.count >= pageEntries { brought.full.append(index) }
        return end != nil
    }

    /// Where a stream reaches, at a moment when no reading was under way.
    package mutating func note(_ extent: StreamExtent, at index: Int) {
        guard let cursor = places[index].cursor else {
            places[index].cursor = extent.lastID
            return rebase(index, extent, unread: 0)
        }
        if extent.lastID < cursor, places[index].isThere || extent != .nothing {
            // Made anew: everything in it is new. (A stream that is not there yet may come with any id.) A Redis that has lost its last
            // entries looks the same: rather twice than never.
            interruptions += 1
            places[index].cursor = .min
            return rebase(index, extent, unread: extent.length)
        }
        let unread: Int
        if extent.length == 0 || cursor >= extent.lastID {
            unread = 0
        } else if let first = extent.first, first > cursor {
            unread = extent.length
        } else {
            return
        }
        if let base = places[index].base, let added = extent.entriesAdded, isCut(extent, base.oldest) {
            let (lost, isOver) = added.subtractingReportingOverflow(base.added)
            if !isOver, lost > places[index].readCount, lost - places[index].readCount > unread {
                let (sum, isTooMuch) = losses.addingReportingOverflow(lost - places[index].readCount - unread)
                losses = isTooMuch ? .max : sum
            }
        }
        rebase(index, extent, unread: unread)
    }

    /// Something behind an earlier place is gone.
    private func isCut(_ extent: StreamExtent, _ earlier: StreamID) -> Bool {
        if let deleted = extent.maxDeletedID, deleted > earlier { return true }
        return extent.first.map { $0 > earlier } ?? true
    }

    private mutating func rebase(_ index: Int, _ extent: StreamExtent, unread: Int) {
        (places[index].readCount, places[index].isThere) = (0, extent != .nothing)
        let cursor = places[index].cursor ?? .min
        places[index].base = extent.entriesAdded.map {
            Base(oldest: max(cursor, extent.first ?? .min), added: $0 - min($0, unread))
        }
        // Whatever will be added is to be read.
        if extent == .nothing, cursor == .min { places[index].base = Base(oldest: .min, added: 0) }
    }

    /// The end, where only the newest entry is known.
    package mutating func begin(behind id: StreamID, at index: Int) { places[index].cursor = id }
}
