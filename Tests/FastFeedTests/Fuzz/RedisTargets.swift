// Redis's side: replies read by both readers, and candles written by the encoders and read back.

import CShims
import FastFeed
import Foundation

/// Strings of this length are kept: longer than what a flat reply keeps, short enough to be passed.
private let keptBytesMax = 200

/// Replies, cut anywhere: the data path's flat reader, the control path's parser and a slow one must tell the same story.
func fuzzReplies(_ bytes: [UInt8]) {
    var input = FuzzInput(bytes)
    let sizes = input.pieceSizes()
    let stream = Array(input.rest)
    let pieces = FuzzInput.pieces(sizes, of: stream.count)
    let whole = flatReplies(stream, [stream.count])
    require(flatReplies(stream, pieces) == whole, "cut by \(sizes) the replies differ: \(whole)")
    let parsed = parsedReplies(stream, pieces)
    require(parsedReplies(stream, [stream.count]) == parsed, "cut by \(sizes) the parser's replies differ")
    for (flat, reply) in zip(whole.replies, parsed.replies) { require(flat.matches(reply), "\(flat) and \(reply)") }
    // hiredis lets more pass: other line ends, types of RESP3, longer arrays.
    if parsed.replies.count < whole.replies.count { require(parsed.failed, "the parser waits for more") }
    require(parsed.replies.count <= whole.replies.count, "the parser sees more replies")
    let slow = SlowRESP.replies(stream)
    for (reply, expected) in zip(parsed.replies, slow) { require(reply == expected, "\(reply), slow: \(expected)") }
    require(parsed.replies.count >= slow.count, "\(slow.count) replies, read: \(parsed)")
}

struct FlatReply: Equatable {
    let kind: UInt8
    let integer: Int64
    let text: [UInt8]

    func matches(_ reply: RedisReply) -> Bool {
        switch reply {
        case .bytes(let whole): isString && (text == whole || isCut && whole.starts(with: text))
        case .tooLong(let count): isString && isCut && count > keptBytesMax
        case .error(let whole):
            kind == FF_REPLY_ERROR.rawValue
                && (isCut || Ascii.printable(text) == whole || whole.hasPrefix("ERR Error running script"))
        case .integer(let value): kind == FF_REPLY_INTEGER.rawValue && integer == value
        case .array(let values): kind == FF_REPLY_ARRAY.rawValue && integer == values.count
        case .null: kind == FF_REPLY_NIL.rawValue
        }
    }

    private var isString: Bool { kind == FF_REPLY_STRING.rawValue || kind == FF_REPLY_STATUS.rawValue }
    private var isCut: Bool { text.count == Int(FF_REPLY_TEXT_MAX) }
}

struct Replies<Reply: Equatable>: Equatable {
    var replies: [Reply] = []
    var failed = false
}

private func flatReplies(_ stream: [UInt8], _ pieces: [Int]) -> Replies<FlatReply> {
    let reader = ReplyReader()
    var seen = Replies<FlatReply>()
    var from = 0
    for piece in pieces {
        guard reader.feed(stream.span.extracting(from..<(from + piece))) else {
            seen.failed = true
            return seen
        }
        from += piece
        while true {
            guard let count = reader.drain() else {
                seen.failed = true
                return seen
            }
            if count == 0 { break }
            for index in 0..<count {
                let reply = reader.replies[index]
                let text = withUnsafeBytes(of: reply.text) { Array($0.prefix(Int(reply.length))) }
                seen.replies.append(FlatReply(kind: reply.kind, integer: reply.integer, text: text))
            }
        }
    }
    return seen
}

private func parsedReplies(_ stream: [UInt8], _ pieces: [Int]) -> Replies<RedisReply> {
    var parser = ReplyParser(stringBytesMax: keptBytesMax)
    var seen = Replies<RedisReply>()
    var from = 0
    for piece in pieces {
        stream[from..<(from + piece)].withUnsafeBytes { parser.append($0) }
        from += piece
        reading: while true {
            switch parser.next() {
            case .reply(let reply): seen.replies.append(reply)
            case .needsMore: break reading
            case .broken:
                seen.failed = true
                return seen
            }
        }
    }
    return seen
}

/// RESP 2 in its plain form. Stops at what is cut, malformed or beyond what hiredis takes.
private struct SlowRESP {
    private let bytes: [UInt8]
    private var place = 0

    static func replies(_ bytes: [UInt8]) -> [RedisReply] {
        var reader = SlowRESP(bytes: bytes)
        var replies: [RedisReply] = []
        while let reply = reader.value(depth: 0) { replies.append(reply) }
        return replies
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func line() -> [UInt8]? {
        var end = place
        while end + 1 < bytes.count, !(bytes[end] == 13 && bytes[end + 1] == 10) { end += 1 }
        guard end + 1 < bytes.count else { return nil }
        defer { place = end + 2 }
        return Array(bytes[place..<end])
    }

    private func number(_ line: [UInt8]) -> Int64? {
        let text = String(decoding: line, as: UTF8.self)
        guard let value = Int64(text), String(value) == text else { return nil }
        return value
    }

    private mutating func value(depth: Int) -> RedisReply? {
        guard place < bytes.count, let head = line(), let mark = head.first else { return nil }
        let rest = Array(head.dropFirst())
        switch mark {
        case UInt8(ascii: "+"): return rest.contains(13) || rest.contains(10) ? nil : .bytes(rest)
        case UInt8(ascii: "-"): return rest.contains(13) || rest.contains(10) ? nil : .error(Ascii.printable(rest))
        case UInt8(ascii: ":"): return number(rest).map { .integer($0) }
        case UInt8(ascii: "$"):
            guard let count = number(rest) else { return nil }
            if count == -1 { return .null }
            guard count >= 0, count <= bytes.count - place - 2, bytes[place + Int(count)] == 13, bytes[place + Int(count) + 1] == 10
            else { return nil }
            defer { place += Int(count) + 2 }
            return count > keptBytesMax ? .tooLong(Int(count)) : .bytes(Array(bytes[place..<(place + Int(count))]))
        case UInt8(ascii: "*"):
            guard depth < 6, let count = number(rest) else { return nil }
            if count == -1 { return .null }
            guard (0...1_000).contains(count) else { return nil }
            var values: [RedisReply] = []
            for _ in 0..<count {
                guard let value = value(depth: depth + 1) else { return nil }
                values.append(value)
            }
            return .array(values)
        default: return nil
        }
    }
}

// MARK: - Encoders

/// Any candle in any series: the JSON and the commands hold exactly its values, inside the room that is reserved.
func fuzzEncoders(_ bytes: [UInt8]) {
    var input = FuzzInput(bytes)
    let series = anySeries(&input)
    let prefix = String(decoding: input.bytes(Int(input.byte() % 65)).map { 0x21 + $0 % 0x50 }, as: UTF8.self)
    var candle = anyCandle(&input)
    let texts = SeriesText(series, KeySchema(prefix: prefix), history: FuzzedBatches.history)
    defer { texts.free() }

    let json = written(CandleEncoder.jsonBytesMax) { out in lend(candle) { CandleEncoder.putJSON($0, head: texts.json, to: &out) } }
    require(String(decoding: json, as: UTF8.self) == RESPText.json(candle, series), String(decoding: json, as: UTF8.self))
    guard let object = try? JSONSerialization.jsonObject(with: Data(json)) as? [String: Any] else {
        fatalError("no JSON: \(String(decoding: json, as: UTF8.self))")
    }
    require(object["high"] as? String == candle.high.description && object.count == 19, "\(object)")

    let append = written(Limits.candleRespBytesMax) { out in lend(candle) { CandleEncoder.putAppend($0, texts, to: &out) } }
    let key = KeySchema(prefix: prefix).historyKey(series)
    let expected = ["XADD", key, "MAXLEN", "~", "1500", "\(candle.openTimeMs)-0"] + RESPText.fields(candle)
    require(RESPText.commands(append) == [expected], String(decoding: append, as: UTF8.self))
    // What a batch reserves for a candle holds all that is written of it.
    require(append.count + 3 * json.count <= Limits.candleRespBytesMax, "\(append.count) and \(json.count) bytes")
    candle.openTimeMs %= FuzzedBatches.openTimeMsMax
    FuzzedBatches(&input, KeySchema(prefix: prefix), series, candle).run(&input)
}

/// Candles of up to three series through a table and a builder, some of them with the script, and series removed behind
/// them: each batch is read back as RESP, command by command.
private struct FuzzedBatches: ~Copyable {
    /// The parser lets none later through.
    static let openTimeMsMax: Int64 = 1_000_000_000_000_000

    /// Entries of a series that are kept.
    static let history = 1_500

    private let schema: KeySchema
    private var series: [Series]
    private var candles: [CandleRecord]
    private let batchSize: Int
    private var table: CandleTable
    private var builder: BatchBuilder
    private var batch: Batch

    init(_ input: inout FuzzInput, _ schema: KeySchema, _ first: Series, _ candle: CandleRecord) {
        self.schema = schema
        (series, candles) = ([first], [candle])
        batchSize = 1 + Int(input.byte() % 6)
        for _ in 0..<(input.byte() % 3) {
            let other = anySeries(&input)
            let next = Series(market: first.market, symbol: other.symbol, interval: other.interval)
            guard !series.contains(next) else { continue }
            series.append(next)
            candles.append(candle)
        }
        table = CandleTable(seriesMax: 8, closedMax: 16, counters: CounterBank(), gaps: GapBoard())
        builder = BatchBuilder(schema: schema, history: FuzzedBatches.history, market: first.market, batchSize: batchSize, seriesMax: 8)
        batch = Batch(capacity: batchSize)
        for (id, one) in series.enumerated() {
            table.follow(one, UInt32(id), generation: 1)
            builder.follow(one, UInt32(id))
            (candles[id].seriesID, candles[id].generation, candles[id].intervalRawValue) = (UInt32(id), 1, one.interval.rawValue)
        }
    }

    consuming func run(_ input: inout FuzzInput) {
        for _ in 0..<(1 + input.byte() % 24) {
            accept(&input)
            if input.byte() % 4 == 0 { takeBatch(&input) }
        }
        // What is acknowledged is not written again, and what stays is acknowledged once the input is at its end.
        var rounds = 0
        while takeBatch(&input) {
            rounds += 1
            require(rounds < 1_000, "batches without end")
        }
    }

    /// One more state of a series: of the same bar, or of one before or behind it.
    private mutating func accept(_ input: inout FuzzInput) {
        let id = Int(input.byte()) % series.count
        let choice = input.byte()
        if choice & 2 != 0 { candles[id].openTimeMs = series[id].interval.nextOpenTime(after: candles[id].openTimeMs) }
        if choice & 4 != 0 { candles[id].openTimeMs = max(0, candles[id].openTimeMs - 60_000 * Int64(input.byte() % 8)) }
        candles[id].openTimeMs %= FuzzedBatches.openTimeMsMax
        candles[id].isClosed = choice & 1 != 0
        candles[id].eventTimeMs = candles[id].openTimeMs + Int64(choice)
        table.accept(candles[id])
    }

    /// Builds the next batch, with removals or without, checks it and answers it. False when there was none.
    @discardableResult
    private mutating func takeBatch(_ input: inout FuzzInput) -> Bool {
        let isBuilt = builder.build(&table, into: &batch)
        let removed = Array(series.prefix(Int(input.byte()) % 4 % (series.count + 1)))
        guard isBuilt || !removed.isEmpty else { return false }
        for one in removed { require(builder.remove(one, from: &batch), "there is room for a removal") }
        check(removed)
        for index in 0..<batch.closedCount {
            table.closed.mark(batch.closedPositions[index], input.byte() & 1 == 0 ? .acknowledged : .pending)
        }
        table.closed.advance()
        return true
    }

    private func check(_ removed: [Series]) {
        let bytes = builder.out.bytes.copy
        guard let commands = RESPText.commands(bytes) else { fatalError("no RESP: \(String(decoding: bytes, as: UTF8.self))") }
        require(commands.count == batch.commandCount, "\(commands.count) commands, \(batch.commandCount) replies awaited")
        var commandsLeft = commands[...]
        var rows: [Int: [CandleRecord]] = [:]
        for index in 0..<batch.closedCount {
            let position = batch.closedPositions[index]
            let candle = table.closed[position]
            let command = commandsLeft.removeFirst()
            let key = schema.historyKey(series[Int(candle.seriesID)])
            let expected =
                ["XADD", key, "MAXLEN", "~", "\(FuzzedBatches.history)", "\(candle.openTimeMs)-0"] + RESPText.fields(candle)
            require(command == expected, "\(command), slow: \(expected)")
            rows[Int(candle.seriesID), default: []].append(candle)
            // What a batch reserves holds it, with the candle in a message of its own.
            let bytes =
                RESP.command(command).count + RESP.command(["PUBLISH", schema.updatesChannel(series[Int(candle.seriesID)]), ""]).count
            require(bytes + CandleEncoder.jsonBytesMax + 200 <= Limits.candleRespBytesMax, "\(bytes) bytes of one closed candle")
        }
        for hash in 0..<batch.hashCount {
            let ids = batch.seriesRange(ofHash: hash).map { Int(batch.seriesIDs[$0]) }
            let command = commandsLeft.removeFirst()
            let key = schema.latestKey(series[0].market, series[ids[0]].interval)
            let expected = ["HSET", key] + ids.flatMap { [series[$0].symbol.name, RESPText.json(table.newest[$0], series[$0])] }
            require(command == expected, "\(command), slow: \(expected)")
            for id in ids {
                let newest = table.newest[id]
                // Listed once, if it is one of the closed ones.
                let isListed = newest.isClosed && rows[id, default: []].contains { $0.openTimeMs == newest.openTimeMs }
                rows[id, default: []] += isListed ? [] : [newest]
            }
        }
        require(batch.publishCount == rows.count, "\(batch.publishCount) messages for \(rows.count) series")
        let messages = commandsLeft.prefix(rows.count)
        for (id, candles) in rows {
            let found = messages.filter { $0.count == 3 && $0[0] == "PUBLISH" && $0[1] == schema.updatesChannel(series[id]) }
            require(found.count == 1, "\(found.count) messages about \(series[id])")
            let head =
                "{\"symbol\":\"\(series[id].symbol)\",\"interval\":\"\(series[id].interval.token)\",\"rows\":\(candles.count),\"updates\":"
            let tail = ",\"candles\":[" + candles.map { RESPText.json($0, series[id]) }.joined(separator: ",") + "]}"
            let message = found[0][2]
            require(message.hasPrefix(head) && message.hasSuffix(tail), "\(message), slow: \(head)…\(tail)")
            require(UInt32(message.dropFirst(head.count).dropLast(tail.count)) != nil, message)
        }
        let removals = removed.map { ["HDEL", schema.latestKey($0.market, $0.interval), $0.symbol.name] }
        require(Array(commandsLeft.dropFirst(rows.count)) == removals, "\(commandsLeft), slow: \(removals)")
    }
}

/// Encodes into memory of exactly this many bytes, so that the sanitizer sees one more.
private func written(_ capacity: Int, _ body: (inout ByteWriter) -> Void) -> [UInt8] {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 1)
    defer { memory.deallocate() }
    var writer = ByteWriter(memory)
    body(&writer)
    return writer.bytes.copy
}

private func anySeries(_ input: inout FuzzInput) -> Series {
    let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789_".utf8)
    let name = input.bytes(1 + Int(input.byte() % 32)).map { letters[Int($0) % letters.count] }
    return Series(
        market: input.byte() & 1 == 0 ? .spot : .um, symbol: Symbol(String(decoding: name, as: UTF8.self)) ?? Symbol("x")!,
        interval: Interval(rawValue: input.byte() % 16)!)
}

private func anyCandle(_ input: inout FuzzInput) -> CandleRecord {
    var candle = CandleRecord()
    candle.flags = input.byte()
    func integer() -> Int64 { Int64(bitPattern: input.word()) >> Int64(input.byte() % 64) }
    // The parser lets no negative open time through.
    candle.openTimeMs = Int64(integer().magnitude & UInt64(Int64.max))
    (candle.closeTimeMs, candle.eventTimeMs, candle.tradeCount) = (integer(), integer(), integer())
    (candle.firstTradeID, candle.lastTradeID) = (integer(), integer())
    func decimal() -> DecimalText {
        let shape = input.byte()
        let count = 1 + Int(shape % 31)
        var text = input.bytes(count).map { 0x30 + $0 % 10 }
        if shape & 0x20 != 0, text.count > 2 { text[text.count / 2] = UInt8(ascii: ".") }
        if shape & 0x80 != 0, text.count > 3 { text[0] = UInt8(ascii: "-") }
        return DecimalText(String(decoding: text, as: UTF8.self)) ?? DecimalText("0")!
    }
    (candle.open, candle.high, candle.low, candle.close) = (decimal(), decimal(), decimal(), decimal())
    (candle.volume, candle.quoteVolume) = (decimal(), decimal())
    (candle.takerBuyVolume, candle.takerBuyQuoteVolume) = (decimal(), decimal())
    return candle
}
