// Fields: made, read and written as arguments of a command.

import FastFeed
import Testing

@Suite("Stream fields")
struct StreamFieldsTests {
    @Test("Order and repetitions stay")
    func order() {
        let fields: StreamFields = ["b": "1", "a": "2", "b": "3", "": "", "ü": "ö"]
        #expect(fields.count == 5)
        #expect(fields.map(\.name) == ["b", "a", "b", "", "ü"] && fields.map(\.value) == ["1", "2", "3", "", "ö"])
        #expect(fields["b"] == "1" && fields["a"] == "2" && fields[""] == "" && fields["ü"] == "ö")
        #expect(fields["c"] == nil && fields.bytes("c") == nil && fields["bb"] == nil)
        #expect(fields.bytes("ü") == [0xC3, 0xB6])
        #expect(fields.last?.value == "ö" && fields[fields.startIndex].name == "b")
        #expect(fields.description == "b=1 a=2 b=3 = ü=ö")
    }

    @Test("Bytes of any kind")
    func bytes() {
        let odd = StreamFields(bytes: [(name: [0xFF, 0x00], value: [0x0D, 0x0A, 0xC3]), (name: [0x61], value: [])])
        #expect(odd.bytes(at: 0).name == [0xFF, 0x00] && odd.bytes(at: 0).value == [0x0D, 0x0A, 0xC3])
        #expect(odd[0].value == "\r\n\u{FFFD}")
        #expect(odd["a"] == "")
    }

    @Test("Equal by content, wherever they come from")
    func equality() {
        let fields: StreamFields = ["a": "1", "b": "22"]
        #expect(fields == StreamFields(["b": "22", "a": "1"] as [String: String]))
        #expect(fields == StreamFields([("a", "1"), ("b", "22")]))
        #expect(fields == StreamFields(bytes: [(name: [0x61], value: [0x31]), (name: [0x62], value: [0x32, 0x32])]))
        #expect(fields != ["b": "22", "a": "1"] && fields != ["a": "1"] && fields != ["a": "12", "b": "2"])
        #expect(StreamFields() == [:] && StreamFields().isEmpty && StreamFields([] as [(String, String)]).isEmpty)
        #expect(fields.appending(["c": "3"]) == ["a": "1", "b": "22", "c": "3"])
        #expect(fields.compacted == fields && StreamFields().compacted.isEmpty)
        #expect(entry("*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$2\r\n22\r\n")?.fields == fields)
        #expect(entry("*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$2\r\n22\r\n")?.fields.compacted == fields)
    }

    private func entry(_ fields: String) -> StreamEntry? {
        var scanner = ReplyScanner()
        Array("*1\r\n*2\r\n$3\r\n1-1\r\n\(fields)".utf8).withUnsafeBytes { scanner.append($0) }
        guard case .reply(let block) = scanner.next() else { return nil }
        return StreamReplies.page(block.root, key: "k")?.entries.first
    }

    @Test("As arguments they are the same, whether they are ours or came from Redis")
    func commands() throws {
        var random = SplitMix64(seed: 9)
        for _ in 0..<500 {
            let pairs = (0..<1 + random.next() % 6).map { _ in (name: bytes(&random), value: bytes(&random)) }
            var command = StreamCommand("XADD", key: "k")
            command.append("k")
            command.append("*")
            let fields = StreamFields(bytes: pairs)
            command.append(fields)
            let sent = StreamBatch(command).bytes
            var expected = Array("*\(3 + 2 * pairs.count)\r\n$4\r\nXADD\r\n$1\r\nk\r\n$1\r\n*\r\n".utf8)
            for string in pairs.flatMap({ [$0.name, $0.value] }) { expected += Array("$\(string.count)\r\n".utf8) + string + [13, 10] }
            #expect(sent == expected)
            // Read back and sent on.
            var scanner = ReplyScanner()
            sent.withUnsafeBytes { scanner.append($0) }
            guard case .reply(let block) = scanner.next() else {
                Issue.record("not RESP")
                return
            }
            let strings = block.root.children.dropFirst(3).compactMap(\.bytes)
            #expect(strings == pairs.flatMap { [$0.name, $0.value] })
        }
    }

    private func bytes(_ random: inout SplitMix64) -> [UInt8] {
        // Lengths of one to three digits.
        let count = random.next() % 3 == 0 ? random.next() % 200 : random.next() % 12
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    @Test("Numbers and ids as arguments")
    func numbers() {
        var command = StreamCommand("X")
        command.append(-12)
        command.append(StreamID(1_702_301_234_567, 3))
        command.append(StreamID.max)
        command.append(bytes: [0x00])
        let text =
            "*5\r\n$1\r\nX\r\n$3\r\n-12\r\n$15\r\n1702301234567-3\r\n$41\r\n18446744073709551615-18446744073709551615\r\n$1\r\n\u{0}\r\n"
        #expect(String(decoding: StreamBatch(command).bytes, as: UTF8.self) == text)
    }
}
