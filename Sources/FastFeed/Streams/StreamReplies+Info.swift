// The replies of XINFO and XPENDING. Pure, any thread. Nil for what is not one.

extension StreamReplies {
    /// - Parameter memory: the reply to MEMORY USAGE.
    package static func info(_ reply: ReplyNode, memory: ReplyNode? = nil, key: String) -> StreamInfo? {
        guard let fields = fields(reply), let length = fields["length"].flatMap(count), let lastID = fields["last-generated-id"].flatMap(id)
        else { return nil }
        return StreamInfo(
            length: length, first: fields["first-entry"].flatMap { entry($0, key) }, last: fields["last-entry"].flatMap { entry($0, key) },
            lastID: lastID, maxDeletedID: fields["max-deleted-entry-id"].flatMap(id),
            entriesAdded: fields["entries-added"].flatMap(count), groups: fields["groups"].flatMap(count) ?? 0,
            memory: memory.flatMap(count))
    }

    /// What a tail asks of a stream: the id of the oldest entry though the entry itself may be too long.
    package static func extent(_ reply: ReplyNode) -> StreamExtent? {
        guard let fields = fields(reply), let length = fields["length"].flatMap(count), let lastID = fields["last-generated-id"].flatMap(id)
        else { return nil }
        return StreamExtent(
            length: length, first: fields["first-entry"].flatMap { $0.children.first.flatMap(id) }, lastID: lastID,
            maxDeletedID: fields["max-deleted-entry-id"].flatMap(id), entriesAdded: fields["entries-added"].flatMap(count))
    }

    package static func groups(_ reply: ReplyNode) -> [GroupInfo]? {
        rows(reply) { fields in
            guard let name = fields["name"]?.text, let consumers = fields["consumers"].flatMap(count),
                let pending = fields["pending"].flatMap(count), let lastDelivered = fields["last-delivered-id"].flatMap(id)
            else { return nil }
            return GroupInfo(
                name: name, consumers: consumers, pending: pending, lastDelivered: lastDelivered,
                entriesRead: fields["entries-read"].flatMap(count), lag: fields["lag"].flatMap(count))
        }
    }

    package static func consumers(_ reply: ReplyNode) -> [ConsumerInfo]? {
        rows(reply) { fields in
            guard let name = fields["name"]?.text, let pending = fields["pending"].flatMap(count), let idle = fields["idle"].flatMap(span)
            else { return nil }
            let inactive = fields["inactive"].flatMap { $0.integer.map { $0 >= 0 } == true ? span($0) : nil }
            return ConsumerInfo(name: name, pending: pending, idle: idle, inactive: inactive)
        }
    }

    package static func pendingSummary(_ reply: ReplyNode) -> PendingSummary? {
        let parts = reply.children
        guard parts.count == 4, let total = count(parts[0]) else { return nil }
        var byConsumer: [String: Int] = [:]
        for row in parts[3].children {
            let pair = row.children
            // The count comes as a string.
            guard pair.count == 2, let name = pair[0].text, let count = pair[1].integer else { return nil }
            byConsumer[name] = Int(clamping: Int64(byConsumer[name] ?? 0).saturatingAdd(max(0, count)))
        }
        return PendingSummary(count: total, min: id(parts[1]), max: id(parts[2]), byConsumer: byConsumer)
    }

    package static func pendingEntries(_ reply: ReplyNode) -> [PendingEntry]? {
        guard reply.kind == .array else { return nil }
        var entries: [PendingEntry] = []
        for row in reply.children {
            let parts = row.children
            guard parts.count == 4, let id = id(parts[0]), let consumer = parts[1].text, let idle = span(parts[2]),
                let deliveries = count(parts[3])
            else { return nil }
            entries.append(PendingEntry(id: id, consumer: consumer, idle: idle, deliveries: deliveries))
        }
        return entries
    }

    // MARK: Parts

    /// Names and values of an array that alternates between them; of a name that comes again the first.
    private static func fields(_ reply: ReplyNode) -> [String: ReplyNode]? {
        guard reply.kind == .array else { return nil }
        let parts = reply.children
        var fields: [String: ReplyNode] = [:]
        for place in stride(from: 0, to: parts.count - 1, by: 2) {
            if let name = parts[place].text, fields[name] == nil { fields[name] = parts[place + 1] }
        }
        return fields
    }

    private static func rows<Row>(_ reply: ReplyNode, _ read: ([String: ReplyNode]) -> Row?) -> [Row]? {
        guard reply.kind == .array else { return nil }
        var rows: [Row] = []
        for child in reply.children {
            guard let row = fields(child).flatMap(read) else { return nil }
            rows.append(row)
        }
        return rows
    }

    /// One entry that stands by itself.
    private static func entry(_ reply: ReplyNode, _ key: String) -> StreamEntry? {
        let parts = reply.children
        guard parts.count == 2, let id = id(parts[0]), parts[1].kind == .array, parts[1].count > 0, parts[1].count % 2 == 0 else {
            return nil
        }
        let strings = parts[1].children
        guard strings.allSatisfy({ $0.kind == .string }) else { return nil }
        return StreamEntry(key: key, id: id, fields: StreamFields(reply.block, first: strings[0].place, count: strings.count / 2))
    }

    /// Milliseconds; never negative, never longer than a century.
    private static func span(_ reply: ReplyNode) -> Duration? {
        reply.integer.map { .milliseconds(min(max(0, $0), 3_155_760_000_000)) }
    }
}

/// From where to where a stream reaches.
package struct StreamExtent: Sendable, Equatable {
    package var length: Int
    /// Id of the oldest entry.
    package var first: StreamID?
    package var lastID: StreamID
    package var maxDeletedID: StreamID?
    package var entriesAdded: Int?

    package init(length: Int, first: StreamID?, lastID: StreamID, maxDeletedID: StreamID? = nil, entriesAdded: Int? = nil) {
        (self.length, self.first, self.lastID) = (length, first, lastID)
        (self.maxDeletedID, self.entriesAdded) = (maxDeletedID, entriesAdded)
    }

    /// Of a key without a stream.
    package static let nothing = StreamExtent(length: 0, first: nil, lastID: .min, maxDeletedID: nil, entriesAdded: nil)
}

extension Int64 {
    fileprivate func saturatingAdd(_ other: Int64) -> Int64 {
        let (sum, isOver) = addingReportingOverflow(other)
        return isOver ? .max : sum
    }
}
