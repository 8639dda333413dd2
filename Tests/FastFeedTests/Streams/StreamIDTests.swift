// Ids: text and back, order, ends, and what is not one.

import FastFeed
import Testing

@Suite("Stream ids")
struct StreamIDTests {
    @Test("A million random ids are the same again when they are written and read, and are ordered as their numbers are")
    func roundTrips() {
        var random = SplitMix64(seed: 17)
        var last = StreamID.min
        for round in 0..<1_000_000 {
            // All lengths of numbers.
            let id = StreamID(random.next() >> (random.next() % 64), random.next() >> (random.next() % 64))
            let isRead = round % 100 > 0 || StreamReplies.id(block(id.description)) == id
            guard StreamID(id.description) == id, isRead else {
                Issue.record("\(id) reads differently")
                return
            }
            let isSmaller = (last.milliseconds, last.sequence) < (id.milliseconds, id.sequence)
            guard (last < id) == isSmaller, id == .max || (id < id.next && id.next.previous == id) else {
                Issue.record("\(last) and \(id), \(id.next)")
                return
            }
            last = id
        }
    }

    private func block(_ text: String) -> ReplyNode {
        var scanner = ReplyScanner()
        Array("$\(text.utf8.count)\r\n\(text)\r\n".utf8).withUnsafeBytes { scanner.append($0) }
        guard case .reply(let block) = scanner.next() else { preconditionFailure("not a reply: \(text)") }
        return block.root
    }

    @Test("Ends")
    func ends() {
        #expect(StreamID("1702301234567") == StreamID(1_702_301_234_567, 0))
        #expect(StreamID("0-0") == .min && StreamID.min.description == "0-0")
        #expect(StreamID("18446744073709551615-18446744073709551615") == .max)
        #expect(StreamID.last(in: 5) == StreamID(5, .max))
        #expect(StreamID.last(in: 5).next == StreamID(6, 0) && StreamID(6, 0).previous == .last(in: 5))
        #expect(StreamID.max.next == .max && StreamID.min.previous == .min)
        #expect(StreamID(5, 7).next == StreamID(5, 8))
        #expect([StreamID(2, 0), StreamID(1, 9), StreamID(1, 10)].sorted() == [StreamID(1, 9), StreamID(1, 10), StreamID(2, 0)])
        // Redis reads zeros in front.
        #expect(StreamID("007-01") == StreamID(7, 1))
    }

    @Test(
        "What is not an id",
        arguments: [
            "", "-", "-1", "1-", "1-1-1", " 1-1", "1-1 ", "+1-1", "1-+1", "1--1", "a-1", "1-a", "0x1-1", "1.5-1", "1_000-1", "*", "$", ">",
            "(1-1",
            "18446744073709551616-0", "0-18446744073709551616", "99999999999999999999-0", "100000000000000000000", "١-١", "1\u{0}-1",
            "1-1\n",
            String(repeating: "9", count: 5_000), String(repeating: "0", count: 42) + "-1",
        ])
    func hostile(text: String) {
        #expect(StreamID(text) == nil)
        #expect(StreamReplies.id(block(text)) == nil)
    }

    @Test("Random bytes are an id only where their text is one")
    func randomBytes() {
        var random = SplitMix64(seed: 4)
        let letters = Array("0123456789-- +a\u{0}".utf8)
        for _ in 0..<100_000 {
            let text = String(
                decoding: (0..<random.next() % 12).map { _ in letters[Int(random.next() % UInt64(letters.count))] }, as: UTF8.self)
            let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
            let isID = parts.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy(Ascii.isDigit) }
            #expect((StreamID(text) != nil) == isID, "'\(text)'")
        }
    }
}
