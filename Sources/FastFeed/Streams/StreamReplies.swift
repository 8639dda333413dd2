// The replies of Redis to commands about streams, read with suspicion: as values, or not at all. Pure, any thread.
//
// The same for 6.2 to 8.x and Valkey: names that are not known are skipped, what an older server does not say is nil. Nothing that Redis
// says is taken for a number of ours before it was looked at: numbers are clamped, never trapped on.

/// What one stream's part of a reply holds.
package struct StreamPage: Sendable {
    package var key = ""
    package var entries: [StreamEntry] = []
    /// Ids without an entry: deleted or trimmed while they were pending.
    package var vanished: [StreamID] = []
    /// Ids of entries with a name or value that is longer than `Limits.streamStringBytesMax`, or whose fields are not pairs of strings.
    package var unreadable: [StreamID] = []
    /// Ids of entries that were left out because the reply was full; each can be asked for again by itself.
    package var leftOut: [StreamID] = []
    /// The last id of all of these.
    package var last: StreamID?
    /// Ids, of whatever kind.
    package var count: Int { entries.count + vanished.count + unreadable.count + leftOut.count }
}

package enum StreamReplies {
    // MARK: Entries

    /// XRANGE, XREVRANGE, XCLAIM: an array of entries. Nil for what is not one.
    package static func page(_ reply: ReplyNode, key: String) -> StreamPage? {
        var place = reply.place
        return page(reply.block, &place, key: key)
    }

    /// Reads the array at a place, and leaves the place behind it.
    package static func page(_ block: ReplyBlock, _ place: inout Int, key: String) -> StreamPage? {
        var page = StreamPage(key: key)
        let whole = block[place]
        // An empty answer is null in some servers' words.
        if whole.kind == .null {
            place += 1
            return page
        }
        guard whole.kind == .array else { return nil }
        let end = block.following(place)
        place += 1
        page.entries.reserveCapacity(whole.length)
        while place < end {
            let row = block[place]
            // XCLAIM of 6.2 has null in the place of a deleted entry, without its id.
            if row.kind == .null {
                place += 1
                continue
            }
            guard row.kind == .array, row.length == 2 else { return nil }
            let next = block.following(place)
            let name = block[place + 1]
            guard name.kind == .string, let id = unsafe block.withBytes(name, { unsafe StreamID($0) }) else { return nil }
            take(block, place + 2, id, key, &page)
            page.last = id
            place = next
        }
        return page
    }

    /// An entry's fields at a place.
    @inline(__always)
    private static func take(_ block: ReplyBlock, _ place: Int, _ id: StreamID, _ key: String, _ page: inout StreamPage) {
        let fields = block[place]
        guard fields.kind == .array else {
            // Trimmed or deleted while it was pending.
            if fields.kind == .null { page.vanished.append(id) } else { page.unreadable.append(id) }
            return
        }
        // An empty array is the same in other words (Valkey, and clients in between).
        if fields.length == 0 { return page.vanished.append(id) }
        var (isWhole, isLeftOut) = (fields.length % 2 == 0, false)
        for part in place + 1..<place + 1 + fields.length {
            // An array within has its parts behind it: then what stands at the last places is not of this entry, but looked at all the
            // same.
            guard part < block.partCount else { return page.unreadable.append(id) }
            let kind = block[part].kind
            if kind == .string { continue }
            isWhole = false
            if kind == .tooLong, block[part].length <= Limits.streamStringBytesMax { isLeftOut = true } else { isLeftOut = false; break }
        }
        if isWhole {
            page.entries.append(StreamEntry(key: key, id: id, fields: StreamFields(block, first: place + 1, count: fields.length / 2)))
        } else if isLeftOut {
            page.leftOut.append(id)
        } else {
            page.unreadable.append(id)
        }
    }

    /// XREAD, XREADGROUP: pairs of a key and its entries; null when nothing has come. Nil for what is neither.
    /// - Parameter keys: those that were asked for: entries get these strings, so that no name is made anew for each reply.
    package static func pages(_ reply: ReplyNode, keys: [String]) -> [StreamPage]? {
        let (block, whole) = (reply.block, reply.block[reply.place])
        if whole.kind == .null { return [] }
        guard whole.kind == .array else { return nil }
        let end = block.following(reply.place)
        var (place, pages) = (reply.place + 1, [StreamPage]())
        while place < end {
            let pair = block[place]
            guard pair.kind == .array, pair.length == 2 else { return nil }
            place += 1
            let name = block[place]
            guard name.kind == .string else { return nil }
            let key = keys.count == 1 && block.isEqual(place, keys[0]) ? keys[0] : block.text(place)
            place += 1
            guard let page = page(block, &place, key: key) else { return nil }
            pages.append(page)
        }
        return pages
    }

    /// XAUTOCLAIM: where to go on (`min`: from the beginning), the entries, and since 7.0 the ids of deleted ones (they are among
    /// `vanished`).
    package static func claimed(_ reply: ReplyNode, key: String) -> (cursor: StreamID, page: StreamPage)? {
        let parts = reply.children
        guard parts.count >= 2, let cursor = id(parts[0]), var page = page(parts[1], key: key) else { return nil }
        if parts.count > 2 {
            guard let deleted = ids(parts[2]) else { return nil }
            page.vanished += deleted
        }
        return (cursor, page)
    }

    /// An id as XADD answers it.
    package static func id(_ reply: ReplyNode) -> StreamID? {
        guard reply.kind == .string else { return nil }
        return unsafe reply.block.withBytes(reply.block[reply.place]) { unsafe StreamID($0) }
    }

    /// XCLAIM … JUSTID. Null in the place of an id is skipped.
    package static func ids(_ reply: ReplyNode) -> [StreamID]? {
        guard reply.kind == .array else { return nil }
        var ids: [StreamID] = []
        for child in reply.children where !child.isNull {
            guard let id = id(child) else { return nil }
            ids.append(id)
        }
        return ids
    }

    /// A count: never negative.
    package static func count(_ reply: ReplyNode) -> Int? {
        guard reply.kind == .integer, let value = reply.integer else { return nil }
        return Int(max(0, value))
    }
}

extension ReplyBlock {
    /// The part at a place is this text.
    func isEqual(_ place: Int, _ text: String) -> Bool {
        var text = text
        return text.withUTF8 { unsafe isEqual(self[place], UnsafeRawBufferPointer($0)) }
    }
}
