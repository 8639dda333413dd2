// RESP2 replies, fed whole, byte by byte and in random pieces.

import FastFeed
import Testing

@Suite("Reply parser")
struct ReplyParserTests {
    static let stream = Array(
        "+OK\r\n-ERR no\r\n:-12\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\n\r\n\r\n\r\n*2\r\n*1\r\n:1\r\n$9\r\n123456789\r\n:5\r\n"
            .utf8)
    static let replies: [RedisReply] = [
        .bytes(Array("OK".utf8)), .error("ERR no"), .integer(-12), .null, .null, .array([]), .bytes([]),
        .array([.bytes(Array("message".utf8)), .bytes(Array("a".utf8)), .bytes(Array("\r\n\r\n".utf8))]),
        .array([.array([.integer(1)]), .tooLong(9)]), .integer(5),
    ]

    private func parse(_ pieces: [[UInt8]]) -> [RedisReply] {
        var parser = ReplyParser(stringBytesMax: 8)
        var found: [RedisReply] = []
        for piece in pieces {
            piece.withUnsafeBytes { parser.append($0) }
            while case .reply(let reply) = parser.next() { found.append(reply) }
        }
        return found
    }

    @Test("However the bytes are cut, the replies are the same")
    func cuts() {
        #expect(parse([ReplyParserTests.stream]) == ReplyParserTests.replies)
        #expect(parse(ReplyParserTests.stream.map { [$0] }) == ReplyParserTests.replies)
        for seed in 0..<200 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            var pieces: [[UInt8]] = [[]]
            for byte in ReplyParserTests.stream {
                if random.next() % 5 == 0 { pieces.append([]) }
                pieces[pieces.count - 1].append(byte)
            }
            #expect(parse(pieces) == ReplyParserTests.replies, "seed \(seed)")
        }
    }

    @Test(
        "What is not RESP2 is broken",
        arguments: [
            "?", "\r\n", ":1x\r\n", ":\r\n", ":+1\r\n", ":01\r\n", ":-0\r\n", ":9223372036854775808\r\n", "+a\nb\r\n", "+a\rb\r\n",
            "$-2\r\n", "$99999999999\r\n", "*-5\r\n", "*1048577\r\n", "+" + String(repeating: "x", count: 65_536) + "\r\n", "$1\r\nabc\r\n",
            String(repeating: "*1\r\n", count: 20),
        ])
    func broken(text: String) {
        var parser = ReplyParser(stringBytesMax: 8)
        Array(text.utf8).withUnsafeBytes { parser.append($0) }
        guard case .broken = parser.next() else {
            Issue.record("accepted \(text)")
            return
        }
    }

    @Test("What a peer announces allocates nothing, and a string beyond the bound is not held", arguments: [1, 5, 1_000])
    func announced(pieces: Int) {
        let before = HeapStatistics.threadAllocatedBytes()
        for text in announcements + ["$4000000000\r\n" + String(repeating: "x", count: 100_000), "*1048576\r\n"] {
            var parser = ReplyParser(stringBytesMax: 8)
            let bytes = Array(text.utf8)
            for start in stride(from: 0, to: bytes.count, by: pieces) {
                bytes[start..<min(bytes.count, start + pieces)].withUnsafeBytes { parser.append($0) }
                if case .reply(let reply) = parser.next() { Issue.record("\(reply) of \(text.prefix(40))") }
            }
        }
        if let before, let after = HeapStatistics.threadAllocatedBytes() { #expect(after - before < 64 << 20) }
    }

    @Test("Names and values of an array")
    func pairs() {
        let reply = RedisReply.array([.bytes([0x61]), .bytes([0x31]), .bytes([0x62]), .integer(2), .bytes([0x63]), .bytes([0x33]), .null])
        #expect(reply.pairs.map { "\($0)=\($1)" } == ["a=1", "c=3"])
        #expect(reply.strings == ["a", "1", "b", "c", "3"])
        #expect(RedisReply.array([]).pairs.isEmpty && RedisReply.null.pairs.isEmpty)
    }
}
