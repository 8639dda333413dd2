// The replies about streams, from 6.2 to 8.x and Valkey, with what is missing, unknown or hostile in them.

import FastFeed
import Testing

/// A reply as values, written as RESP and read by the scanner.
enum StreamReplyText {
    static func bytes(_ reply: RedisReply) -> [UInt8] {
        switch reply {
        case .bytes(let bytes): Array("$\(bytes.count)\r\n".utf8) + bytes + [13, 10]
        case .integer(let value): Array(":\(value)\r\n".utf8)
        case .null: Array("$-1\r\n".utf8)
        case .error(let text): Array("-\(text)\r\n".utf8)
        case .array(let values): Array("*\(values.count)\r\n".utf8) + values.flatMap(bytes)
        case .tooLong(let count): Array("$\(count)\r\n".utf8) + Array(repeating: 0x78, count: count) + [13, 10]
        }
    }

    static func node(_ reply: RedisReply, stringBytesMax: Int = 1_000) -> ReplyNode {
        var bounds = ReplyScanner.Bounds()
        bounds.stringBytesMax = stringBytesMax
        var scanner = ReplyScanner(bounds)
        bytes(reply).withUnsafeBytes { scanner.append($0) }
        guard case .reply(let block) = scanner.next() else { preconditionFailure("not a reply: \(reply)") }
        return block.root
    }

    static func text(_ text: String) -> RedisReply { .bytes(Array(text.utf8)) }
    static func texts(_ texts: String...) -> RedisReply { .array(texts.map(text)) }
    static func row(_ id: String, _ fields: String...) -> RedisReply { .array([text(id), .array(fields.map(text))]) }
    static func pairs(_ pairs: (String, RedisReply)...) -> RedisReply { .array(pairs.flatMap { [text($0), $1] }) }
}

private func node(_ reply: RedisReply) -> ReplyNode { StreamReplyText.node(reply) }
private func text(_ text: String) -> RedisReply { StreamReplyText.text(text) }

@Suite("Replies about streams")
struct StreamRepliesTests {
    @Test("A page of entries")
    func page() throws {
        let reply = RedisReply.array([
            StreamReplyText.row("1-1", "a", "1"), StreamReplyText.row("1-2", "a", "2", "a", "3", "", ""),
            .array([text("2-0"), .null]), .array([text("3-0"), .array([])]), .null, StreamReplyText.row("4-0", "odd"),
            .array([text("5-0"), text("no fields")]), .array([text("6-0"), .array([text("a"), .array([text("b")])])]),
            .array([text("7-0"), .array([text("a"), .integer(1)])]), .array([text("8-0"), .array([text("a"), .tooLong(2_000)])]),
        ])
        let page = try #require(StreamReplies.page(node(reply), key: "k"))
        #expect(page.entries.map(\.id) == [StreamID(1, 1), StreamID(1, 2)])
        #expect(page.entries.map(\.fields) == [["a": "1"], ["a": "2", "a": "3", "": ""]])
        #expect(page.entries.allSatisfy { $0.key == "k" })
        #expect(page.vanished == [StreamID(2), StreamID(3)])
        #expect(page.unreadable == [StreamID(4), StreamID(5), StreamID(6), StreamID(7)])
        // Shorter than the longest string: only this reply had no room for it.
        #expect(page.leftOut == [StreamID(8)])
        #expect(page.last == StreamID(8) && page.count == 9)
    }

    @Test("A string that is too long anywhere makes its entry unreadable")
    func tooLong() throws {
        let long = Limits.streamStringBytesMax + 1
        let reply = RedisReply.array([StreamReplyText.row("1-1", "a", "1"), .array([text("1-2"), .array([text("a"), .tooLong(long)])])])
        let page = try #require(StreamReplies.page(StreamReplyText.node(reply, stringBytesMax: Limits.streamStringBytesMax), key: "k"))
        #expect(page.entries.count == 1 && page.unreadable == [StreamID(1, 2)] && page.leftOut.isEmpty)
    }

    @Test("Pages of several streams")
    func pages() throws {
        let reply = RedisReply.array([
            .array([text("a"), .array([StreamReplyText.row("1-1", "x", "1")])]), .array([text("b"), .array([])]),
            .array([text("c"), .array([.array([text("9-9"), .null])])]),
        ])
        let pages = try #require(StreamReplies.pages(node(reply), keys: ["a", "b", "c"]))
        #expect(pages.map(\.key) == ["a", "b", "c"] && pages.map(\.count) == [1, 0, 1])
        #expect(StreamReplies.pages(node(.null), keys: ["a"])?.isEmpty == true)
    }

    @Test("XAUTOCLAIM of 6.2, 7.0, and to the end")
    func claimed() throws {
        let rows = RedisReply.array([StreamReplyText.row("1-1", "a", "1"), .null])
        let old = try #require(StreamReplies.claimed(node(.array([text("0-0"), rows])), key: "k"))
        #expect(old.cursor == .min && old.page.entries.count == 1 && old.page.vanished.isEmpty)
        let new = try #require(
            StreamReplies.claimed(node(.array([text("5-0"), rows, StreamReplyText.texts("2-0", "3-0")])), key: "k"))
        #expect(new.cursor == StreamID(5) && new.page.vanished == [StreamID(2), StreamID(3)])
    }

    @Test("XINFO STREAM, with what a later server adds and an older one does not say")
    func info() throws {
        let known: [(String, RedisReply)] = [
            ("length", .integer(2)), ("radix-tree-keys", .integer(1)), ("last-generated-id", text("9-1")), ("groups", .integer(3)),
            ("first-entry", StreamReplyText.row("1-0", "a", "1")), ("last-entry", StreamReplyText.row("9-0", "a", "2")),
        ]
        func reply(_ more: [(String, RedisReply)]) -> ReplyNode { node(.array((known + more).flatMap { [text($0), $1] })) }
        let old = try #require(StreamReplies.info(reply([]), key: "k"))
        #expect(old.length == 2 && old.lastID == StreamID(9, 1) && old.groups == 3 && old.entriesAdded == nil && old.memory == nil)
        #expect(old.first?["a"] == "1" && old.last?.id == StreamID(9))
        let new = try #require(
            StreamReplies.info(
                reply([("entries-added", .integer(12)), ("max-deleted-entry-id", text("4-0")), ("idmp", .array([.integer(1)]))]),
                memory: node(.integer(4_096)), key: "k"))
        #expect(new.entriesAdded == 12 && new.maxDeletedID == StreamID(4) && new.memory == 4_096)
        let empty = StreamReplyText.pairs(
            ("length", .integer(0)), ("last-generated-id", text("0-0")), ("first-entry", .null), ("last-entry", .null))
        #expect(StreamReplies.extent(node(empty)) == .nothing)
        #expect(StreamReplies.info(node(StreamReplyText.pairs(("length", .integer(1)))), key: "k") == nil)
        #expect(StreamReplies.info(reply([]), memory: node(.error("NOPERM")), key: "k")?.memory == nil)
    }

    @Test("XINFO GROUPS and CONSUMERS")
    func groups() throws {
        let group = StreamReplyText.pairs(
            ("name", text("g")), ("consumers", .integer(1)), ("pending", .integer(2)), ("last-delivered-id", text("3-0")),
            ("entries-read", .null), ("lag", .integer(5)))
        let groups = try #require(StreamReplies.groups(node(.array([group]))))
        #expect(groups.map(\.name) == ["g"] && groups[0].entriesRead == nil && groups[0].lag == 5 && groups[0].pending == 2)
        let consumer = StreamReplyText.pairs(
            ("name", text("c")), ("pending", .integer(1)), ("idle", .integer(1_500)), ("inactive", .integer(-1)))
        let consumers = try #require(StreamReplies.consumers(node(.array([consumer]))))
        #expect(consumers[0].idle == .milliseconds(1_500) && consumers[0].inactive == nil)
        #expect(StreamReplies.groups(node(.array([]))) == [])
    }

    @Test("XPENDING: nothing, a summary, rows, and odd numbers")
    func pending() throws {
        let empty = try #require(StreamReplies.pendingSummary(node(.array([.integer(0), .null, .null, .null]))))
        #expect(empty.count == 0 && empty.min == nil && empty.byConsumer.isEmpty)
        let some = try #require(
            StreamReplies.pendingSummary(
                node(
                    .array([
                        .integer(3), text("1-0"), text("3-0"), .array([StreamReplyText.texts("a", "2"), StreamReplyText.texts("b", "1")]),
                    ]))))
        #expect(some.count == 3 && some.max == StreamID(3) && some.byConsumer == ["a": 2, "b": 1])
        let rows = try #require(
            StreamReplies.pendingEntries(
                node(
                    .array([
                        .array([text("1-0"), text("a"), .integer(-5), .integer(0)]),
                        .array([text("2-0"), text("a"), .integer(.max), .integer(-1)]),
                        .array([text("3-0"), text("a"), .integer(7), .integer(.max)]),
                    ]))))
        #expect(rows.map(\.deliveries) == [0, 0, Int.max] && rows[0].idle == .zero && rows[1].idle > .seconds(1_000_000))
    }

    @Test("What is not an answer is nil, and nothing traps")
    func hostile() {
        for seed in 0..<20_000 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            let reply = node(anyReply(&random, depth: 0))
            _ = StreamReplies.page(reply, key: "k")
            _ = StreamReplies.pages(reply, keys: ["k", "l"])
            _ = StreamReplies.claimed(reply, key: "k")
            _ = (StreamReplies.id(reply), StreamReplies.ids(reply), StreamReplies.count(reply))
            _ = StreamReplies.info(reply, memory: reply, key: "k")
            _ = StreamReplies.extent(reply)
            _ = (StreamReplies.groups(reply), StreamReplies.consumers(reply))
            _ = (StreamReplies.pendingSummary(reply), StreamReplies.pendingEntries(reply))
            // What was read can be walked through.
            for entry in StreamReplies.page(reply, key: "k")?.entries ?? [] { for (name, value) in entry.fields { _ = name + value } }
        }
        #expect(StreamReplies.page(node(.integer(1)), key: "k").map(\.count) == nil)
        #expect(StreamReplies.pages(node(.array([text("a")])), keys: ["a"]).map(\.count) == nil)
    }

    /// Something that looks like an answer, more or less.
    private func anyReply(_ random: inout SplitMix64, depth: Int) -> RedisReply {
        let words = [
            "1-1", "0-0", "5", "a", "length", "last-generated-id", "name", "pending", "idle", "consumers", "18446744073709551616-0", "",
        ]
        switch random.next() % (depth < 5 ? 12 : 7) {
        case 0: return .null
        case 1: return .integer(Int64(bitPattern: random.next()) >> Int64(random.next() % 64))
        case 2: return .error("ERR no")
        case 3...6: return text(words[Int(random.next() % UInt64(words.count))])
        case 7, 8: return .array([text("\(random.next() % 9)-1"), anyReply(&random, depth: depth + 1)])
        default: return .array((0..<random.next() % 5).map { _ in anyReply(&random, depth: depth + 1) })
        }
    }
}
