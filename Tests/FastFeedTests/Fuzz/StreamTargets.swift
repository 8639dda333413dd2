// Streams: replies as blocks against the control path's parser, and what is made of them; ids.

import FastFeed

/// Strings of this length are kept.
private let keptBytesMax = 200

/// Replies, cut anywhere: the scanner tells the same story as the parser, and whatever it is, the readers of X-replies get through it.
func fuzzStreams(_ bytes: [UInt8]) {
    var input = FuzzInput(bytes)
    let sizes = input.pieceSizes()
    let gathered = Int(input.byte() & 3)
    let stream = Array(input.rest)
    let pieces = FuzzInput.pieces(sizes, of: stream.count)
    let whole = scannedReplies(stream, [stream.count], nil)
    let cut = scannedReplies(stream, pieces, nil)
    require(values(cut) == values(whole), "cut by \(sizes) the replies differ: \(values(cut)), whole: \(values(whole))")
    let parsed = parserReplies(stream)
    // The scanner sees earlier that a number does not end.
    require(values(whole) == parsed.replies && (whole.isBroken || !parsed.failed), "scanner: \(values(whole)), parser: \(parsed)")
    for block in whole.blocks { walk(block.root) }
    guard gathered > 0 else { return }
    let expected = stride(from: 0, to: parsed.replies.count / gathered * gathered, by: gathered).map {
        RedisReply.array(Array(parsed.replies[$0..<($0 + gathered)]))
    }
    let together = values(scannedReplies(stream, pieces, gathered))
    require(together == expected, "gathered by \(gathered): \(together), one by one: \(expected)")
}

private func values(_ scanned: (blocks: [ReplyBlock], isBroken: Bool)) -> [RedisReply] { scanned.blocks.map(\.value) }

private func scannedReplies(_ stream: [UInt8], _ pieces: [Int], _ gathered: Int?) -> (blocks: [ReplyBlock], isBroken: Bool) {
    var bounds = ReplyScanner.Bounds()
    bounds.stringBytesMax = keptBytesMax
    // The parser's, and more than any input has.
    bounds.lineBytesMax = 64 * 1024
    var scanner = ReplyScanner(bounds)
    var (blocks, from) = ([ReplyBlock](), 0)
    for piece in pieces {
        stream[from..<(from + piece)].withUnsafeBytes { scanner.append($0) }
        from += piece
        reading: while true {
            switch scanner.next(gathering: gathered) {
            case .reply(let block): blocks.append(block)
            case .needsMore: break reading
            case .broken: return (blocks, true)
            }
        }
    }
    return (blocks, false)
}

private func parserReplies(_ stream: [UInt8]) -> Replies<RedisReply> {
    var parser = ReplyParser(stringBytesMax: keptBytesMax)
    var seen = Replies<RedisReply>()
    stream.withUnsafeBytes { parser.append($0) }
    while true {
        switch parser.next() {
        case .reply(let reply): seen.replies.append(reply)
        case .needsMore: return seen
        case .broken:
            seen.failed = true
            return seen
        }
    }
}

/// Everything that reads a reply about streams.
private func walk(_ reply: ReplyNode) {
    let pages = [StreamReplies.page(reply, key: "k"), StreamReplies.claimed(reply, key: "k")?.page].compactMap(\.self)
    for page in pages + (StreamReplies.pages(reply, keys: ["k"]) ?? []) {
        for entry in page.entries {
            require(!entry.fields.isEmpty, "an entry without fields")
            for (place, field) in entry.fields.enumerated() {
                let bytes = entry.fields.bytes(at: place)
                require(String(decoding: bytes.name, as: UTF8.self) == field.name, "\(field)")
                require(entry.fields.bytes(field.name) != nil || String(validating: bytes.name, as: UTF8.self) == nil, "\(field)")
            }
            // Sent on they are the same.
            require(StreamFields(bytes: entry.fields.indices.map { entry.fields.bytes(at: $0) }) == entry.fields, "\(entry)")
            var (mine, own) = (StreamCommand("X"), StreamCommand("X"))
            mine.append(entry.fields)
            own.append(entry.fields.compacted)
            require(StreamBatch(mine).bytes == StreamBatch(own).bytes, "\(entry) is written differently")
        }
    }
    if let id = StreamReplies.id(reply) { require(StreamID(id.description) == id, "\(id)") }
    _ = (StreamReplies.ids(reply), StreamReplies.count(reply), StreamReplies.info(reply, memory: reply, key: "k"))
    _ = (StreamReplies.extent(reply), StreamReplies.groups(reply), StreamReplies.consumers(reply))
    _ = (StreamReplies.pendingSummary(reply), StreamReplies.pendingEntries(reply))
    if let error = reply.error { _ = StreamError(reply: error, key: "k", group: "g", id: .max).description }
    var reading = TailReading(["k": .start])
    _ = reading.take(reply)
    if let extent = StreamReplies.extent(reply) {
        reading.note(extent, at: 0)
        reading.note(.nothing, at: 0)
    }
}
