// Redis's side: replies read by both readers, and candles written by the encoders and read back.

import CShims
import Foundation

@testable import FastFeed

/// Replies, cut anywhere: the small reader, the tree reader and a slow one must tell the same story.
func fuzzReplies(_ bytes: [UInt8]) {
    var input = FuzzInput(bytes)
    let sizes = input.pieceSizes()
    let stream = Array(input.rest)
    let pieces = FuzzInput.pieces(sizes, of: stream.count)
    let whole = flatReplies(stream, [stream.count])
    require(flatReplies(stream, pieces) == whole, "cut by \(sizes) the replies differ: \(whole)")
    let trees = treeReplies(stream, pieces)
    require(treeReplies(stream, [stream.count]) == trees, "cut by \(sizes) the trees differ")
    for (flat, tree) in zip(whole.replies, trees.replies) { require(flat.matches(tree), "\(flat) and \(tree)") }
    // Only the bound on an array's length may end the tree reader earlier.
    if trees.replies.count < whole.replies.count { require(trees.failed, "the tree reader waits for more") }
    require(trees.replies.count <= whole.replies.count, "the tree reader sees more replies")
    let slow = SlowRESP.replies(stream)
    for (tree, expected) in zip(trees.replies, slow) { require(tree == expected, "\(tree), slow: \(expected)") }
    require(trees.replies.count >= slow.count, "\(slow.count) replies, read: \(trees)")
}

struct FlatReply: Equatable {
    let kind: UInt8
    let integer: Int64
    let text: [UInt8]

    func matches(_ tree: RedisValue) -> Bool {
        switch tree {
        case .string(let whole):
            (kind == FF_REPLY_STRING.rawValue || kind == FF_REPLY_STATUS.rawValue) && begins(whole)
        case .error(let whole): kind == FF_REPLY_ERROR.rawValue && begins(whole)
        case .integer(let value): kind == FF_REPLY_INTEGER.rawValue && integer == value
        case .array(let values): kind == FF_REPLY_ARRAY.rawValue && integer == values.count
        case .null: kind == FF_REPLY_NIL.rawValue
        }
    }

    private func begins(_ whole: String) -> Bool {
        // A cut text may end inside a character, and one that is not UTF-8 was repaired on the other side.
        guard text.count < FF_REPLY_TEXT_MAX else { return true }
        return String(decoding: text, as: UTF8.self) == whole
    }
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
        guard stream[from..<(from + piece)].withUnsafeBytes({ $0.count == 0 || reader.feed($0.baseAddress!, count: $0.count) }) else {
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

private func treeReplies(_ stream: [UInt8], _ pieces: [Int]) -> Replies<RedisValue> {
    let reader = ReplyTreeReader()
    var seen = Replies<RedisValue>()
    var from = 0
    do {
        for piece in pieces {
            let fits = stream[from..<(from + piece)].withUnsafeBytes { $0.count == 0 || reader.feed($0.baseAddress!, count: $0.count) }
            require(fits, "the reader refuses a short input")
            from += piece
            while let reply = try reader.next() { seen.replies.append(reply) }
        }
    } catch { seen.failed = true }
    return seen
}

/// RESP 2 in its plain form. Stops at what is cut, malformed or beyond what hiredis takes.
private struct SlowRESP {
    private let bytes: [UInt8]
    private var place = 0

    static func replies(_ bytes: [UInt8]) -> [RedisValue] {
        var reader = SlowRESP(bytes: bytes)
        var replies: [RedisValue] = []
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

    private mutating func value(depth: Int) -> RedisValue? {
        guard place < bytes.count, let head = line(), let mark = head.first else { return nil }
        let rest = Array(head.dropFirst())
        switch mark {
        case UInt8(ascii: "+"): return rest.contains(13) || rest.contains(10) ? nil : .string(String(decoding: rest, as: UTF8.self))
        case UInt8(ascii: "-"): return rest.contains(13) || rest.contains(10) ? nil : .error(String(decoding: rest, as: UTF8.self))
        case UInt8(ascii: ":"): return number(rest).map { .integer($0) }
        case UInt8(ascii: "$"):
            guard let count = number(rest) else { return nil }
            if count == -1 { return .null }
            guard count >= 0, count <= bytes.count - place - 2, bytes[place + Int(count)] == 13, bytes[place + Int(count) + 1] == 10
            else { return nil }
            defer { place += Int(count) + 2 }
            return .string(String(decoding: bytes[place..<(place + Int(count))], as: UTF8.self))
        case UInt8(ascii: "*"):
            guard depth < 6, let count = number(rest) else { return nil }
            if count == -1 { return .null }
            guard (0...1_000).contains(count) else { return nil }
            var values: [RedisValue] = []
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
    let texts = SeriesText(series, KeySchema(prefix: prefix, history: 1_500))
    defer { texts.free() }

    let json = written(CandleEncoder.jsonBytesMax) { CandleEncoder.putJSON(&candle, head: texts.json, to: &$0) }
    require(String(decoding: json, as: UTF8.self) == RESPText.json(candle, series), String(decoding: json, as: UTF8.self))
    guard let object = try? JSONSerialization.jsonObject(with: Data(json)) as? [String: Any] else {
        fatalError("no JSON: \(String(decoding: json, as: UTF8.self))")
    }
    require(object["high"] as? String == candle.high.description && object.count == 19, "\(object)")

    let append = written(Limits.candleRespBytesMax) { CandleEncoder.putAppend(&candle, texts, to: &$0) }
    let key = "\(prefix)candles:{\(series.market.keyPrefix)\(series.symbol)}:\(series.interval.token)"
    let expected = ["XADD", key, "MAXLEN", "~", "1500", "\(candle.openTimeMs)-0"] + RESPText.fields(candle)
    require(RESPText.commands(append) == [expected], String(decoding: append, as: UTF8.self))
    // What a batch reserves for a candle holds all that is written of it.
    require(append.count + 3 * json.count <= Limits.candleRespBytesMax, "\(append.count) and \(json.count) bytes")
}

/// Encodes into memory of exactly this many bytes, so that the sanitizer sees one more.
private func written(_ capacity: Int, _ body: (inout ByteWriter) -> Void) -> [UInt8] {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 1)
    defer { memory.deallocate() }
    var writer = ByteWriter(memory, capacity: capacity)
    body(&writer)
    return Array(UnsafeRawBufferPointer(start: writer.start, count: writer.count))
}

private func anySeries(_ input: inout FuzzInput) -> Series {
    let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789_".utf8)
    let name = input.bytes(1 + Int(input.byte() % 32)).map { letters[Int($0) % letters.count] }
    return Series(
        market: input.byte() & 1 == 0 ? .spot : .um, symbol: Symbol(String(decoding: name, as: UTF8.self)) ?? Symbol("x")!,
        interval: Interval(rawValue: input.byte() % 16)!)
}

private func anyCandle(_ input: inout FuzzInput) -> Candle {
    var candle = Candle()
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
