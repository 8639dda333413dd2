// Replies as blocks: fed whole, byte by byte and in random pieces, and compared with the parser of the control path.

import FastFeed
import Testing

/// Replies in a row, as the scanner reads them.
enum Scanned {
    static func bounds(strings: Int = 8, reply: Int = Limits.streamReplyBytesMax, parts: Int = 1_000_000) -> ReplyScanner.Bounds {
        var bounds = ReplyScanner.Bounds()
        (bounds.stringBytesMax, bounds.replyBytesMax, bounds.partsMax) = (strings, reply, parts)
        // The parser's.
        bounds.lineBytesMax = 65_536
        return bounds
    }

    static func replies(
        _ pieces: [[UInt8]], _ bounds: ReplyScanner.Bounds = Scanned.bounds(), gathering: Int? = nil
    ) -> (replies: [RedisReply], isBroken: Bool) {
        var scanner = ReplyScanner(bounds)
        var found: [RedisReply] = []
        for piece in pieces {
            piece.withUnsafeBytes { scanner.append($0) }
            reading: while true {
                switch scanner.next(gathering: gathering) {
                case .reply(let block): found.append(block.value)
                case .needsMore: break reading
                case .broken: return (found, true)
                }
            }
        }
        return (found, false)
    }

    static func pieces(_ bytes: [UInt8], seed: UInt64, mean: UInt64 = 5) -> [[UInt8]] {
        var random = SplitMix64(seed: seed)
        var pieces: [[UInt8]] = [[]]
        for byte in bytes {
            if random.next() % mean == 0 { pieces.append([]) }
            pieces[pieces.count - 1].append(byte)
        }
        return pieces
    }

    /// Any reply, as bytes.
    static func reply(_ random: inout SplitMix64, depth: Int = 0) -> [UInt8] {
        switch random.next() % (depth < 5 ? 8 : 6) {
        case 0: return Array("+OK\r\n".utf8)
        case 1: return Array("-ERR no\r\n".utf8)
        case 2: return Array(":\(Int64(bitPattern: random.next()) >> Int64(random.next() % 64))\r\n".utf8)
        case 3: return Array((random.next() % 2 == 0 ? "$-1\r\n" : "*-1\r\n").utf8)
        case 4, 5:
            let count = Int(random.next() % 20)
            return Array("$\(count)\r\n".utf8) + (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) } + [13, 10]
        default:
            let count = Int(random.next() % 5)
            return Array("*\(count)\r\n".utf8) + (0..<count).flatMap { _ in reply(&random, depth: depth + 1) }
        }
    }
}

@Suite("Reply scanner")
struct ReplyScannerTests {
    @Test("However the bytes are cut, the replies are the same")
    func cuts() {
        let (stream, expected) = (ReplyParserTests.stream, ReplyParserTests.replies)
        #expect(Scanned.replies([stream]) == (expected, false))
        #expect(Scanned.replies(stream.map { [$0] }) == (expected, false))
        for seed in 0..<200 as Range<UInt64> {
            #expect(Scanned.replies(Scanned.pieces(stream, seed: seed)) == (expected, false), "seed \(seed)")
        }
    }

    @Test("It reads what the parser of the control path reads")
    func sameAsParser() {
        for seed in 0..<2_000 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            var stream = (0..<8).flatMap { _ in Scanned.reply(&random) }
            // Some are damaged.
            if seed % 3 == 0 { stream[Int(random.next() % UInt64(stream.count))] = UInt8(truncatingIfNeeded: random.next()) }
            var (parser, expected, isBroken) = (ReplyParser(stringBytesMax: 8), [RedisReply](), false)
            stream.withUnsafeBytes { parser.append($0) }
            reading: while true {
                switch parser.next() {
                case .reply(let reply): expected.append(reply)
                case .needsMore: break reading
                case .broken:
                    isBroken = true
                    break reading
                }
            }
            let whole = Scanned.replies([stream])
            #expect(whole.replies == expected, "seed \(seed)")
            // A number that does not end is seen earlier.
            #expect(whole.isBroken || !isBroken, "seed \(seed)")
            #expect(seed % 3 == 0 || !whole.isBroken, "seed \(seed)")
            #expect(Scanned.replies(Scanned.pieces(stream, seed: seed)).replies == expected, "seed \(seed)")
        }
    }

    @Test("Replies in a row as one block")
    func gathered() {
        for seed in 0..<300 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            let stream = (0..<12).flatMap { _ in Scanned.reply(&random) }
            let single = Scanned.replies([stream]).replies
            let expected = stride(from: 0, to: 12, by: 4).map { RedisReply.array(Array(single[$0..<$0 + 4])) }
            #expect(Scanned.replies([stream], gathering: 4).replies == expected, "seed \(seed)")
            #expect(Scanned.replies(stream.map { [$0] }, gathering: 4).replies == expected, "seed \(seed)")
        }
        // Gathering does not count as a depth.
        let nested = Array((String(repeating: "*1\r\n", count: 8) + ":1\r\n").utf8)
        #expect(Scanned.replies([nested]).replies.count == 1)
        #expect(Scanned.replies([nested], gathering: 1).replies.count == 1)
    }

    @Test(
        "What is not RESP2 is broken",
        arguments: [
            "?", "\r\n", ":1x\r\n", ":\r\n", ":+1\r\n", ":01\r\n", ":-0\r\n", ":9223372036854775808\r\n", ":-9223372036854775809\r\n",
            "+a\nb\r\n",
            "+a\rb\r\n", "$-2\r\n", "$99999999999\r\n", "$2147483648000\r\n", "*-5\r\n", "*1048577\r\n", "*2147483648\r\n", "$01\r\na\r\n",
            "+" + String(repeating: "x", count: 65_536) + "\r\n", "$1\r\nabc\r\n", String(repeating: "*1\r\n", count: 20),
            ":" + String(repeating: "1", count: 30), "$" + String(repeating: "0", count: 30), "$1\r\r",
        ])
    func broken(text: String) {
        #expect(Scanned.replies([Array(text.utf8)]).isBroken, "accepted \(text.prefix(40))")
        #expect(Scanned.replies(Array(text.utf8).map { [$0] }).isBroken, "accepted in pieces \(text.prefix(40))")
    }

    @Test("The extremes of numbers")
    func numbers() {
        let text = ":9223372036854775807\r\n:-9223372036854775808\r\n:0\r\n:-1\r\n"
        #expect(Scanned.replies([Array(text.utf8)]).replies == [.integer(.max), .integer(.min), .integer(0), .integer(-1)])
    }

    @Test("A string beyond the bound is skipped as it comes, and what is around it stays whole")
    func tooLong() {
        let giant = String(repeating: "g", count: 300_000)
        let text = "*3\r\n$2\r\nab\r\n$300000\r\n\(giant)\r\n*2\r\n$2\r\ncd\r\n$9\r\n123456789\r\n:7\r\n"
        let expected: [RedisReply] = [
            .array([.bytes([0x61, 0x62]), .tooLong(300_000), .array([.bytes([0x63, 0x64]), .tooLong(9)])]), .integer(7),
        ]
        let bytes = Array(text.utf8)
        #expect(Scanned.replies([bytes]).replies == expected)
        #expect(Scanned.replies(bytes.map { [$0] }).replies == expected)
        #expect(Scanned.replies(Scanned.pieces(bytes, seed: 7, mean: 5_000)).replies == expected)
    }

    @Test("A reply that grows too long loses its long strings, not its form")
    func replyBound() {
        let bounds = Scanned.bounds(strings: 10_000, reply: 20_000)
        let row = "*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nn\r\n$5000\r\n\(String(repeating: "v", count: 5_000))\r\n"
        let text = "*100\r\n" + String(repeating: row, count: 100) + ":1\r\n"
        for pieces in [[Array(text.utf8)], Scanned.pieces(Array(text.utf8), seed: 3, mean: 700)] {
            let found = Scanned.replies(pieces, bounds)
            #expect(found.replies.count == 2 && !found.isBroken)
            let rows = found.replies.first?.elements ?? []
            #expect(rows.count == 100)
            #expect(rows.allSatisfy { $0.elements.first?.text == "1-1" })
            #expect(rows.prefix(3).allSatisfy { $0.elements[1].elements[1].bytes?.count == 5_000 })
            #expect(rows.suffix(90).allSatisfy { $0.elements[1].elements[1] == .tooLong(5_000) })
        }
        // Without end it is broken: short strings are kept, but not for ever.
        let short = "*1000000\r\n" + String(repeating: "$3\r\nabc\r\n", count: 10_000)
        #expect(Scanned.replies([Array(short.utf8)], bounds).isBroken)
        let parts = "*1000000\r\n" + String(repeating: ":1\r\n", count: 200)
        #expect(Scanned.replies([Array(parts.utf8)], Scanned.bounds(parts: 100)).isBroken)
    }

    @Test("What a peer announces allocates nothing", arguments: [1, 1_000])
    func announced(pieces: Int) {
        let before = HeapStatistics.threadAllocatedBytes()
        for text in announcements + ["$4000000000\r\n" + String(repeating: "x", count: 100_000), "*1048576\r\n"] {
            let bytes = Array(text.utf8)
            let cut = stride(from: 0, to: bytes.count, by: pieces).map { Array(bytes[$0..<min(bytes.count, $0 + pieces)]) }
            #expect(Scanned.replies(cut).replies.isEmpty, "\(text.prefix(40))")
        }
        if let before, let after = HeapStatistics.threadAllocatedBytes() { #expect(after - before < 64 << 20) }
    }

    @Test("Parts are found by their place, and over those within others")
    func places() throws {
        var scanner = ReplyScanner()
        Array("*4\r\n*2\r\n:1\r\n*1\r\n$1\r\na\r\n$2\r\nbc\r\n*0\r\n-NO way\r\n".utf8).withUnsafeBytes { scanner.append($0) }
        guard case .reply(let block) = scanner.next() else {
            Issue.record("no reply")
            return
        }
        let children = block.root.children
        #expect(children.map(\.kind) == [.array, .string, .array, .error])
        #expect(children.map(\.place) == [1, 5, 6, 7])
        #expect(children[0].children[1].children[0].text == "a")
        #expect(children[1].text == "bc" && children[2].count == 0 && children[3].error == "NO way")
        #expect(children[0].children[0].integer == 1)
    }
}
