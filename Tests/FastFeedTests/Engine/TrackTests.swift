// A second, small kind of data through the stages that klines go through: frames, reader, ring, table. Best prices: the newest wins,
// nothing
// closes, nothing is missed. What a kind must bring is all in this file.

import FastFeed
import TestKit
import Testing

/// `{"u":400900217,"s":"BNBUSDT","b":"25.35","B":"31.21","a":"25.36","A":"40.66"}`, as the exchange's documents show it.
private struct BookTickerRecord: FeedRecord {
    var seriesID: UInt32 = 0
    var generation: UInt16 = 0
    /// The stream has no interval; its symbols are followed under this one.
    var intervalRawValue = Interval.s1.rawValue
    var receivedNs: UInt64 = 0
    var updateID: Int64 = 0
    var bid = DecimalText()
    var ask = DecimalText()
}

private struct BookTickerParser: MessageParser, ~Copyable {
    typealias Record = BookTickerRecord

    static var messageBytesMin: Int { 64 }

    func parse(_ message: PaddedBytes, into record: Row<BookTickerRecord>, symbol: inout PaddedBytes) -> ParseResult {
        guard let name = member("s", of: message), let update = member("u", of: message) else { return .notice }
        guard let updateID = Int64(text(message, update)), let bid = decimal("b", of: message), let ask = decimal("a", of: message) else {
            return .rejected(.rejectedNumber)
        }
        symbol = unsafe PaddedBytes(start: message.start + name.lowerBound, count: name.count)
        record.value = BookTickerRecord(updateID: updateID, bid: bid, ask: ask)
        return .record
    }

    private func decimal(_ name: String, of message: PaddedBytes) -> DecimalText? {
        member(name, of: message).flatMap { DecimalText(text(message, $0)) }
    }

    private func text(_ message: PaddedBytes, _ place: Range<Int>) -> String { String(decoding: message[place], as: UTF8.self) }

    /// Where a member's value lies, without its quotes.
    private func member(_ name: String, of message: PaddedBytes) -> Range<Int>? {
        let head = Array("\"\(name)\":".utf8)
        guard let start = message.indices.dropLast(head.count).first(where: { message[$0..<($0 + head.count)].elementsEqual(head) }) else {
            return nil
        }
        let isQuoted = message[start + head.count] == UInt8(ascii: "\"")
        let from = start + head.count + (isQuoted ? 1 : 0)
        let ends: [UInt8] = isQuoted ? [UInt8(ascii: "\"")] : [UInt8(ascii: ","), UInt8(ascii: "}")]
        return message[from...].firstIndex(where: ends.contains).map { from..<$0 }
    }
}

private struct BookTickerTable: RecordTable, ~Copyable {
    typealias Record = BookTickerRecord

    var newest: [BookTickerRecord]
    private var dirty: [Int] = []
    private(set) var olderCount = 0

    init(seriesCount: Int) { newest = Array(repeating: BookTickerRecord(), count: seriesCount) }

    mutating func accept(_ record: Lent<BookTickerRecord>, parsedAfterNs: UInt32) {
        let id = Int(record.seriesID)
        guard record.updateID > newest[id].updateID else {
            olderCount += 1
            return
        }
        newest[id] = record.value
        if !dirty.contains(id) { dirty.append(id) }
    }

    var dirtyCount: Int { dirty.count }
    mutating func popDirty() -> Int? { dirty.isEmpty ? nil : dirty.removeFirst() }
}

private enum BookTickerEncoder: RecordEncoder {
    static let jsonBytesMax = 200

    static func putJSON(_ record: Lent<BookTickerRecord>, head: TextPiece, to out: inout ByteWriter) {
        out.put(head)
        out.put("\"bid\":\"")
        out.put(record.bid)
        out.put("\",\"ask\":\"")
        out.put(record.ask)
        out.put("\"}")
    }
}

private typealias BookTickerTrack = Track<BookTickerParser, BookTickerTable, BookTickerEncoder>

@Suite("A track: another kind of data goes the way of klines")
struct TrackTests {
    private let kernel = StageKernel()
    private let ring = BookTickerTrack.Ring(zeroed: 1_024)
    private let reader: BookTickerTrack.Reader
    private let symbols = ["btcusdt", "bnbusdt"].map { Symbol($0)! }

    init() throws {
        let base = WebSocketEndpoint(isSecure: false, host: "127.0.0.1", port: StageKernel.exchangePort)
        reader = BookTickerTrack.Reader(
            index: 0, settings: ReaderSettings(base: base, dialect: Binance(.spot), tls: nil, seed: 1), ring: ring, journal: Journal(),
            budget: ConnectBudget(seed: 1))
        reader.prepare(
            .follow(
                symbols.enumerated().map { (Series(symbol: $1, interval: .s1), SeriesHandle(id: UInt32($0), generation: 3)) }))
        reader.prepare(.connect(ConnectionKey(0), streams: symbols.map { "\($0)@bookTicker" }))
        reader.onStart(PollerPort(poller: Poller(kernel), wakeUp: try WakeUp(), agent: 0))
        for _ in 0..<10 {
            kernel.nowNs += 1_000_000
            kernel.answerUpgrade()
            turn()
        }
    }

    private func turn() {
        if let token = kernel.tokens[StageKernel.exchange] { reader.onReady(token, [.readable, .writable], nowNs: kernel.nowNs) }
        reader.doWork(nowNs: kernel.nowNs)
    }

    private func ticker(_ symbol: String, _ updateID: Int, bid: String, ask: String) -> String {
        "{\"stream\":\"\(symbol.lowercased())@bookTicker\",\"data\":{\"u\":\(updateID),\"s\":\"\(symbol)\",\"b\":\"\(bid)\","
            + "\"B\":\"31.21\",\"a\":\"\(ask)\",\"A\":\"40.66\"}}"
    }

    private func arrive(_ texts: [String]) {
        kernel.inbound[StageKernel.exchange] = texts.flatMap { RawFrame(1, $0).bytes }
        turn()
    }

    @Test("Newest states out of frames, by reader, ring and table; what is no message of the kind is counted")
    func throughTheStages() throws {
        #expect(reader.counters.value(.connectionsLive) == 1)
        arrive([
            ticker("BTCUSDT", 11, bid: "60000.10", ask: "60000.20"), ticker("BNBUSDT", 5, bid: "25.35", ask: "25.36"),
            ticker("BTCUSDT", 12, bid: "60000.15", ask: "60000.25"), ticker("BTCUSDT", 12, bid: "1", ask: "2"),
            ticker("ETHUSDT", 1, bid: "1", ask: "2"), ticker("BTCUSDT", 13, bid: "a lot", ask: "2"),
        ])
        var consumer = BookTickerTrack.Ring.Consumer(ring)
        var table = BookTickerTable(seriesCount: symbols.count)
        let taken = consumer.available()
        for place in 0..<taken { table.accept(consumer.record(place), parsedAfterNs: consumer.stamp(place)) }
        consumer.free(taken)
        #expect(taken == 4 && ring.count == 0)
        #expect(table.dirtyCount == 2 && table.popDirty() == 0 && table.popDirty() == 1 && table.popDirty() == nil)
        #expect(table.olderCount == 1)
        #expect(table.newest.map(\.updateID) == [12, 5] && table.newest.map(\.generation) == [3, 3])
        #expect(table.newest.allSatisfy { $0.receivedNs == kernel.nowNs })
        let written = json(table.newest[0], symbols[0])
        #expect(written == "{\"symbol\":\"btcusdt\",\"interval\":\"1s\",\"bid\":\"60000.15\",\"ask\":\"60000.25\"}")
        #expect(reader.counters.value(.messagesReceived) == 6)
        #expect(reader.counters.value(.rejectedUnknownSeries) == 1 && reader.counters.value(.rejectedNumber) == 1)
    }

    private func json(_ record: BookTickerRecord, _ symbol: Symbol) -> String {
        let text = SeriesText(Series(symbol: symbol, interval: .s1), KeySchema(prefix: ""), history: 1)
        defer { text.free() }
        let memory = PaddedBuffer(count: BookTickerEncoder.jsonBytesMax)
        var out = unsafe ByteWriter(memory.base)
        lend(record) { BookTickerEncoder.putJSON($0, head: text.json, to: &out) }
        return out.withBytes(from: 0, length: out.count) { String(decoding: $0.withUnsafeBufferPointer { Array($0) }, as: UTF8.self) }
    }
}
