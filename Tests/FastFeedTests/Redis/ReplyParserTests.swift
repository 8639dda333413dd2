// RESP2 replies, fed whole, byte by byte and in random pieces.

import FastFeed
import Testing

@Suite("Reply parser")
struct ReplyParserTests {
    static let stream = Array(
        "+OK\r\n-ERR no\r\n:-12\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\n\r\n\r\n\r\n*2\r\n*1\r\n:1\r\n$9\r\n123456789\r\n:5\r\n"
            .utf8)
    static let replies: [Reply] = [
        .bytes(Array("OK".utf8)), .error("ERR no"), .integer(-12), .null, .null, .array([]), .bytes([]),
        .array([.bytes(Array("message".utf8)), .bytes(Array("a".utf8)), .bytes(Array("\r\n\r\n".utf8))]),
        .array([.array([.integer(1)]), .tooLong(9)]), .integer(5),
    ]

    private func parse(_ pieces: [[UInt8]]) -> [Reply] {
        var parser = ReplyParser(stringBytesMax: 8)
        var found: [Reply] = []
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
            "?x\r\n", ":1x\r\n", "$-2\r\n", "$99999999999\r\n", "*-5\r\n", "*99999999\r\n", "$1\r\nabc\r\n",
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
}
