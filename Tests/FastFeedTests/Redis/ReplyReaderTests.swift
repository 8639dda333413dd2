// What comes back from Redis, read in one piece and in many: nothing good is lost before something bad, and what a
// peer announces allocates nothing.

import FastFeed
import Testing

struct ReplyReaderTests {
    private func flat(_ text: String, pieces: Int) -> (kinds: [Int], failed: Bool) {
        let reader = ReplyReader()
        var kinds: [Int] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            let piece = bytes[start..<min(bytes.count, start + pieces)]
            guard piece.withUnsafeBytes({ reader.feed($0.baseAddress!, count: $0.count) }) else { return (kinds, true) }
            while true {
                guard let count = reader.drain() else { return (kinds, true) }
                if count == 0 { break }
                for index in 0..<count { kinds.append(reader.kind(index)) }
            }
        }
        return (kinds, false)
    }

    private func tree(_ text: String, pieces: Int) -> (replies: [RedisValue], failed: Bool) {
        let reader = ReplyTreeReader()
        var replies: [RedisValue] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            let piece = bytes[start..<min(bytes.count, start + pieces)]
            guard piece.withUnsafeBytes({ reader.feed($0.baseAddress!, count: $0.count) }) else { return (replies, true) }
            do { while let reply = try reader.next() { replies.append(reply) } } catch { return (replies, true) }
        }
        return (replies, false)
    }

    /// The replies before a protocol error count, wherever the bytes were cut.
    @Test(arguments: [1, 2, 7, 1_000]) func repliesBeforeAnError(pieces: Int) {
        for bad in ["?", ":9223372036854775808\r\n", "$-2\r\n", "*-2\r\n"] {
            let seen = flat("+OK\r\n:1\r\n-ERR x\r\n\(bad)+OK\r\n", pieces: pieces)
            #expect(seen.kinds == [5, 3, 6] && seen.failed, "\(bad)")
        }
    }

    /// More replies than one call takes.
    @Test func manyReplies() {
        let text = String(repeating: ":1\r\n", count: 3 * ReplyReader.capacity + 1)
        #expect(flat(text, pieces: text.utf8.count).kinds.count == 3 * ReplyReader.capacity + 1)
    }

    @Test(arguments: [1, 5, 1_000]) func announcementsAllocateNothing(pieces: Int) {
        let before = HeapStatistics.threadAllocatedBytes()
        for text in [
            "$999999999999\r\nabc", "*2147483647\r\n:1\r\n", "*1000000\r\n*1000000\r\n*1000000\r\n:1\r\n", "*999999999\r\n$5\r\nhello\r\n",
        ] {
            #expect(flat(text, pieces: pieces).kinds.isEmpty)
            #expect(tree(text, pieces: pieces).replies.isEmpty)
        }
        if let before, let after = HeapStatistics.threadAllocatedBytes() { #expect(after - before < 64 << 20) }
    }

    @Test func limits() throws {
        #expect(tree("*2147483647\r\n", pieces: 100).failed)
        #expect(tree("*1048577\r\n", pieces: 100).failed && !tree("*1048576\r\n", pieces: 100).failed)
        // A string that never ends is given up at the limit.
        let reader = ReplyTreeReader()
        let chunk = [UInt8](repeating: 0x61, count: 1 << 20)
        var taken = Array("$536870912\r\n".utf8).withUnsafeBytes { reader.feed($0.baseAddress!, count: $0.count) } ? 0 : -1
        while taken >= 0, taken <= Limits.treeTextBytesMax, chunk.withUnsafeBytes({ reader.feed($0.baseAddress!, count: $0.count) }) {
            #expect(try reader.next() == nil)
            taken += chunk.count
        }
        #expect(taken > 0 && taken <= Limits.treeTextBytesMax)
    }

    @Test func trees() {
        let text = "*4\r\n$2\r\nhi\r\n:-7\r\n*-1\r\n*1\r\n$-1\r\n-ERR no\r\n+fine\r\n"
        let expected: [RedisValue] = [.array([.string("hi"), .integer(-7), .null, .array([.null])]), .error("ERR no"), .string("fine")]
        for pieces in [1, 3, 1_000] {
            let seen = tree(text, pieces: pieces)
            #expect(seen.replies == expected && !seen.failed, "\(pieces)")
        }
    }
}
