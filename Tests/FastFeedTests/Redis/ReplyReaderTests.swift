// What comes back to the data path, read in one piece and in many: nothing good is lost before something bad, and what a peer
// announces allocates nothing.

import FastFeed
import Testing

struct ReplyReaderTests {
    private func flat(_ text: String, pieces: Int) -> (kinds: [Int], failed: Bool) {
        let reader = ReplyReader()
        var kinds: [Int] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            let piece = bytes[start..<min(bytes.count, start + pieces)]
            guard reader.feed(piece.span) else { return (kinds, true) }
            while true {
                guard let count = reader.drain() else { return (kinds, true) }
                if count == 0 { break }
                for index in 0..<count { kinds.append(reader.kind(index)) }
            }
        }
        return (kinds, false)
    }

    /// The replies before a protocol error count, wherever the bytes were cut.
    @Test(arguments: [1, 2, 7, 1_000]) func repliesBeforeAnError(pieces: Int) {
        for bad in ["?", ":9223372036854775808\r\n", "$-2\r\n", "*-2\r\n"] {
            let seen = flat("+OK\r\n:1\r\n-ERR x\r\n\(bad)+OK\r\n", pieces: pieces)
            #expect(seen.kinds == [5, 3, 6] && seen.failed, "\(bad)")
        }
    }

    /// As Redis 6.2 says what a script's command was refused with: the reason stands behind more than is kept of a reply.
    @Test(arguments: [1, 50, 1_000], ["@user_script:28: @user_script: 28: -", "@user_script:4: "])
    func aScriptsRefusalIsItsReason(pieces: Int, place: String) {
        let name = String(repeating: "a7", count: 20)
        let text = "-ERR Error running script (call to f_\(name)): \(place)READONLY You can't write against a read only replica.\r\n"
        let reader = ReplyReader()
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            let piece = bytes[start..<min(bytes.count, start + pieces)]
            let isTaken = reader.feed(piece.span)
            #expect(isTaken)
        }
        #expect(reader.drain() == 1 && reader.text(0) == "READONLY You can't write against a read only replica.")
    }

    /// More replies than one call takes.
    @Test func manyReplies() {
        let text = String(repeating: ":1\r\n", count: 3 * ReplyReader.capacity + 1)
        #expect(flat(text, pieces: text.utf8.count).kinds.count == 3 * ReplyReader.capacity + 1)
    }

    @Test(arguments: [1, 5, 1_000]) func announcementsAllocateNothing(pieces: Int) {
        let before = HeapStatistics.threadAllocatedBytes()
        for text in announcements { #expect(flat(text, pieces: pieces).kinds.isEmpty, "\(text)") }
        if let before, let after = HeapStatistics.threadAllocatedBytes() { #expect(after - before < 64 << 20) }
    }

    /// Nobody waits for what would be refused when it has come.
    @Test(arguments: [1, 3, 1_000]) func announcementsBeyondTheBoundAreRefusedAtOnce(pieces: Int) {
        for text in ["$1048577\r\n", "$1000000000000\r\n", "*1\r\n$999999999\r\n", "*2000000\r\n", "*2\r\n:1\r\n*2000000\r\n"] {
            let seen = flat(":7\r\n" + text, pieces: pieces)
            #expect(seen.kinds == [3] && seen.failed, "\(text)")
        }
        #expect(!flat("$1048576\r\nabc", pieces: pieces).failed && !flat("*3\r\n:1048577\r\n", pieces: pieces).failed)
    }
}

/// Replies that say they will be huge, and are not: none of them is whole.
let announcements = [
    "$999999999999\r\nabc", "*2147483647\r\n:1\r\n", "*1000000\r\n*1000000\r\n*1000000\r\n:1\r\n", "*999999999\r\n$5\r\nhello\r\n",
]
