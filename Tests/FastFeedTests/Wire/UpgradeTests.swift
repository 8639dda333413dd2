// The opening handshake of RFC 6455, section 4.1: one right answer and all the wrong ones, in pieces too.

import FastFeed
import Testing

struct UpgradeTests {
    /// The key of the RFC's example (section 1.3).
    private static let key = Array("the sample nonce".utf8)
    private static let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    private static let request = UpgradeRequest(
        endpoint: WebSocketEndpoint(isSecure: false, host: "server.example.com", port: 80, target: "/chat"), keyBytes: key)

    private static let head = [
        "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: \(accept)",
    ]

    private func answer(_ lines: [String]) -> [UInt8] { Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) }

    private func verdict(_ bytes: [UInt8], pieces: [Int] = []) -> UpgradeReply.Verdict {
        var reply = UpgradeReply(to: UpgradeTests.request)
        var from = 0
        var last = UpgradeReply.Verdict.needMore
        for piece in pieces + [bytes.count] where from < bytes.count {
            let until = min(bytes.count, from + piece)
            last = bytes[from..<until].withUnsafeBytes { reply.feed($0) }
            from = until
            if last != .needMore {
                // What a second read would have brought belongs to the frames.
                if case .accepted(let rest) = last { return .accepted(rest: rest + bytes[from...]) }
                return last
            }
        }
        return last
    }

    private func refusal(_ lines: [String]) -> UpgradeRefusal? {
        if case .refused(let refusal) = verdict(answer(lines)) { refusal } else { nil }
    }

    @Test func rfcExample() {
        #expect(UpgradeRequest.accept(for: "dGhlIHNhbXBsZSBub25jZQ==") == UpgradeTests.accept)
        let text = String(decoding: UpgradeTests.request.bytes, as: UTF8.self)
        let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
        #expect(lines.first == "GET /chat HTTP/1.1")
        for line in [
            "Host: server.example.com", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        ] {
            #expect(lines.contains(Substring(line)), "\(line)")
        }
        #expect(text.hasSuffix("\r\n\r\n"))
        // Nothing is offered, so that nothing may be chosen.
        #expect(!text.lowercased().contains("sec-websocket-extensions") && !text.lowercased().contains("sec-websocket-protocol"))
    }

    @Test func keysAreFresh() {
        let endpoint = WebSocketEndpoint(isSecure: true, host: "h", port: 9443)
        let requests = (0..<100).map { _ in UpgradeRequest(endpoint: endpoint).bytes }
        #expect(Set(requests).count == 100)
        #expect(String(decoding: requests[0], as: UTF8.self).contains("Host: h:9443\r\n"))
        let more = UpgradeRequest(endpoint: endpoint, keyBytes: UpgradeTests.key, headers: [("User-Agent", "x")])
        #expect(String(decoding: more.bytes, as: UTF8.self).contains("\r\nUser-Agent: x\r\n"))
    }

    @Test func rightAnswers() {
        let frames: [UInt8] = [0x81, 0x01, 0x61]
        let variants: [[String]] = [
            UpgradeTests.head,
            ["HTTP/1.1 101", "upgrade: WebSocket", "CONNECTION: upgrade", "sec-websocket-accept:\(UpgradeTests.accept)"],
            [
                "HTTP/1.1 101 ", "Connection: keep-alive, Upgrade", "Upgrade:\twebsocket \t",
                "Sec-WebSocket-Accept:   \(UpgradeTests.accept)  ",
            ],
            ["HTTP/1.1 101 x y z", "Connection: keep-alive", "Connection: foo , UPGRADE"]
                + UpgradeTests.head[1...3].filter { !$0.hasPrefix("Conn") } + ["Server: x", "Empty:"],
            UpgradeTests.head + ["Sec-WebSocket-Extensions:"],
            UpgradeTests.head + (0..<100).map { "X-\($0): y" },
        ]
        for lines in variants {
            for rest in [[], frames] {
                let bytes = answer(lines) + rest
                #expect(verdict(bytes) == .accepted(rest: rest), "\(lines)")
                #expect(verdict(bytes, pieces: [Int](repeating: 1, count: bytes.count)) == .accepted(rest: rest), "\(lines), byte by byte")
                for cut in [bytes.count - 1, bytes.count - 2, bytes.count - 3, 4] where cut > 0 {
                    #expect(verdict(bytes, pieces: [cut]) == .accepted(rest: rest), "\(lines), cut at \(cut)")
                }
            }
        }
    }

    @Test func unfinishedAnswers() {
        let bytes = answer(UpgradeTests.head)
        for count in 0..<bytes.count { #expect(verdict(Array(bytes[..<count])) == .needMore, "\(count)") }
    }

    @Test func wrongAnswers() {
        func replacing(_ prefix: String, _ line: String?) -> [String] {
            UpgradeTests.head.compactMap { $0.hasPrefix(prefix) ? line : $0 }
        }
        let cases: [(String, [String])] = [
            ("no Upgrade", replacing("Upgrade", nil)), ("wrong Upgrade", replacing("Upgrade", "Upgrade: h2c")),
            ("two Upgrades", UpgradeTests.head + ["Upgrade: websocket"]), ("upgrade list", replacing("Upgrade", "Upgrade: websocket, h2c")),
            ("no Connection", replacing("Connection", nil)), ("wrong Connection", replacing("Connection", "Connection: keep-alive")),
            ("Connection only looks like it", replacing("Connection", "Connection: Upgraded, xUpgrade")),
            ("no Accept", replacing("Sec", nil)), ("wrong Accept", replacing("Sec", "Sec-WebSocket-Accept: AAAALMBiTxaQ9kYGzzhZRbK+xOo=")),
            ("Accept in other case", replacing("Sec", "Sec-WebSocket-Accept: \(UpgradeTests.accept.lowercased())")),
            ("Accept with more", replacing("Sec", "Sec-WebSocket-Accept: \(UpgradeTests.accept)=")),
            ("the key back", replacing("Sec", "Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==")),
            ("empty Accept", replacing("Sec", "Sec-WebSocket-Accept:")),
            ("two Accepts", UpgradeTests.head + ["Sec-WebSocket-Accept: \(UpgradeTests.accept)"]),
            ("extension", UpgradeTests.head + ["Sec-WebSocket-Extensions: permessage-deflate"]),
            ("subprotocol", UpgradeTests.head + ["Sec-WebSocket-Protocol: chat"]),
            ("HTTP/1.0", replacing("HTTP", "HTTP/1.0 101 Switching Protocols")), ("HTTP/2", replacing("HTTP", "HTTP/2 101")),
            ("lower case", replacing("HTTP", "http/1.1 101 x")), ("no status", replacing("HTTP", "HTTP/1.1")),
            ("status of four digits", replacing("HTTP", "HTTP/1.1 1010 x")),
            ("no number", replacing("HTTP", "HTTP/1.1 1O1 x")), ("signed", replacing("HTTP", "HTTP/1.1 +11 x")),
            ("two spaces", replacing("HTTP", "HTTP/1.1  101 x")),
            ("empty first line", [""] + UpgradeTests.head), ("obsolete folding", UpgradeTests.head + ["X: a", " folded"]),
            ("folding with a colon", UpgradeTests.head + ["X: a", "\tb: folded"]), ("space before colon", UpgradeTests.head + ["X : a"]),
            ("no colon", UpgradeTests.head + ["Nothing"]), ("no name", UpgradeTests.head + [": a"]),
            ("bare line feed", UpgradeTests.head + ["X: a\nY: b"]),
            ("bare carriage return", UpgradeTests.head + ["X: a\rY: b"]), ("too many", UpgradeTests.head + (0..<126).map { "X-\($0): y" }),
            ("long line", UpgradeTests.head + ["X: " + String(repeating: "y", count: Limits.handshakeLineBytesMax)]),
        ]
        for (note, lines) in cases {
            #expect(refusal(lines) != nil, "\(note)")
            let bytes = answer(lines)
            #expect(verdict(bytes, pieces: [Int](repeating: 1, count: bytes.count)) == verdict(bytes), "\(note), byte by byte")
        }
        #expect(verdict(Array("HTTP/1.1 101 x\nUpgrade: websocket\n\n".utf8)) == .needMore, "line feeds alone end no head")
    }

    /// What the log says of a refusal, its body in pieces or in one, and whether it was known before the stream's end.
    private func refusedReason(_ lines: [String], _ body: String, pieces: [Int] = []) -> (reason: String?, early: Bool) {
        let bytes = answer(lines) + Array(body.utf8)
        var reply = UpgradeReply(to: UpgradeTests.request)
        var from = 0
        for piece in pieces + [bytes.count] where from < bytes.count {
            let until = min(bytes.count, from + piece)
            let verdict = bytes[from..<until].withUnsafeBytes { reply.feed($0) }
            from = until
            if case .refused(let refusal) = verdict { return (refusal.reason, true) }
        }
        return (reply.end()?.reason, false)
    }

    @Test func reasonsOfRefusals() {
        let long = String(repeating: "long ", count: 1_000)
        let shown = String(repeating: "long ", count: 40).dropLast()
        let words = "{\"code\":0,\"msg\":\"no\"}"
        let table: [(note: String, headers: [String], body: String, reason: String, early: Bool)] = [
            ("as long as announced", ["Content-Length: 21"], words, "HTTP status 451: \(words)", true),
            ("no length", [], words, "HTTP status 451: \(words)", false),
            ("cut off", ["Content-Length: 99"], words, "HTTP status 451: \(words)", false),
            ("longer than announced", ["Content-Length: 6"], words, "HTTP status 451: {\"code", true),
            ("no body", ["Content-Length: 0"], "", "HTTP status 451", true),
            ("more than is shown", ["Content-Length: 5000"], long, "HTTP status 451: \(shown)", true),
            ("more than is shown, no length", [], long, "HTTP status 451: \(shown)", true),
            ("a length beyond all bounds", ["Content-Length: 99999999999999999999"], words, "HTTP status 451: \(words)", false),
            ("a length that is none", ["Content-Length: -1"], words, "HTTP status 451: \(words)", false),
            ("white space", ["Content-Length: 14"], "<p>\r\n\t no\n</p>", "HTTP status 451: <p> no </p>", true),
            ("not printable", ["Content-Length: 5"], "a\u{1B}[\u{E9}", "HTTP status 451: a?[é", true),
            ("in chunks", ["Transfer-Encoding: chunked"], "3;x=y\r\nnot\r\n5\r\n here\r\n0\r\n\r\n", "HTTP status 451: not here", true),
            ("chunks without an end", ["Transfer-Encoding: chunked"], "8\r\nnot here\r\n", "HTTP status 451: not here", false),
            ("a chunk beyond all bounds", ["Transfer-Encoding: chunked"], "7fffffff\r\nnot here", "HTTP status 451: not here", false),
            ("a size that is none", ["Transfer-Encoding: chunked"], "no\r\nsize", "HTTP status 451", true),
            ("an endless size", ["Transfer-Encoding: chunked"], String(repeating: "1", count: 2_000), "HTTP status 451", true),
            (
                "headers", ["Location: https://x/y", "Retry-After: 7", "Content-Length: 2"], "no",
                "HTTP status 451: no (Location: https://x/y, Retry-After: 7)", true
            ),
        ]
        for (note, headers, body, reason, early) in table {
            let lines = ["HTTP/1.1 451 x"] + headers
            let whole = refusedReason(lines, body)
            #expect(whole.reason == reason && whole.early == early, "\(note): \(whole)")
            for size in [1, 7, 100] {
                let cut = refusedReason(lines, body, pieces: [Int](repeating: size, count: 8_000))
                #expect(cut.reason == reason && cut.early == early, "\(note), pieces of \(size): \(cut)")
            }
        }
        // By their meaning these have none.
        for status in [100, 204, 304] { #expect(refusedReason(["HTTP/1.1 \(status) x"], "").early, "\(status)") }
        let header = "HTTP status 302 (Location: " + String(repeating: "y", count: Limits.refusalShownBytesMax) + "...)"
        let location = "Location: " + String(repeating: "y", count: 1_000)
        #expect(refusedReason(["HTTP/1.1 302 x", location, "Content-Length: 0"], "").reason == header)
    }

    @Test func statuses() {
        for status in [200, 202, 301, 302, 307, 400, 401, 403, 404, 418, 429, 451, 500, 502, 503, 100] {
            let lines = ["HTTP/1.1 \(status) Whatever", "Location: wss://elsewhere/", "Content-Length: 0"] + UpgradeTests.head[1...]
            #expect(refusal(lines)?.status == status, "no redirect is followed, no status but 101 is success")
        }
        #expect(refusal(["HTTP/1.1 429 x", "Retry-After: 120", "Content-Length: 0"])?.retryAfterSeconds == 120)
        for text in ["-1", "soon", "Fri, 31 Dec 1999 23:59:59 GMT", "", "1.5", "99999999999999999999"] {
            let refusal = refusal(["HTTP/1.1 429 x", "Retry-After: \(text)", "Content-Length: 0"])
            #expect(refusal != nil && refusal?.retryAfterSeconds == nil, "\(text)")
        }
    }

    /// A head that ends just inside the limit is taken however it is cut, one byte longer is refused however it is cut.
    @Test func limitDoesNotDependOnCuts() {
        for over in -3...1 {
            var lines =
                UpgradeTests.head + ["A: " + String(repeating: "y", count: 8_000), "B: " + String(repeating: "y", count: 8_000), "C: "]
            let missing = Limits.handshakeBytesMax + over - (answer(lines).count - 4)
            lines[lines.count - 1] += String(repeating: "y", count: missing)
            let bytes = answer(lines)
            #expect((verdict(bytes) == .accepted(rest: [])) == (over <= 0), "\(over)")
            for cut in 1...6 {
                #expect(verdict(bytes, pieces: [bytes.count - cut, 1, 1, 1, 1]) == verdict(bytes), "\(over), cut \(cut) before the end")
            }
        }
    }

    @Test func endlessHeads() {
        let longest = Limits.handshakeBytesMax
        // Without an end, refused as soon as the limit is passed; with one, whatever it is cut into.
        for line in ["X: y\r\n", "", "X: " + String(repeating: "z", count: 4_000) + "\r\n"] {
            var bytes = Array("HTTP/1.1 101 x\r\n".utf8)
            // Behind the limit may still come the last three bytes of the end.
            while bytes.count <= longest + 3 { bytes += line.isEmpty ? [0x61] : Array(line.utf8) }
            guard case .refused = verdict(bytes) else {
                Issue.record("\(line.prefix(8)): \(verdict(bytes))")
                continue
            }
            guard case .refused = verdict(bytes + [13, 10, 13, 10], pieces: [1_000, 1_000, 20_000]) else {
                Issue.record("\(line.prefix(8)), ended")
                continue
            }
        }
        let start = Array("HTTP/1.1 ".utf8)
        #expect(verdict(start + [UInt8](repeating: 0x61, count: longest - start.count)) == .needMore)
    }

    /// Who speaks another protocol may never send the end of a head: judged by the first byte that differs.
    @Test func otherProtocolsAreRefusedAtOnce() {
        for start in ["", "H", "HTTP/1.", "HTTP/1.1"] {
            #expect(verdict(Array(start.utf8)) == .needMore, "\(start)")
            guard case .refused(let refusal) = verdict(Array(start.utf8) + [0x07]) else {
                Issue.record("\(start): not refused")
                continue
            }
            #expect(refusal.reason == "the answer is not HTTP/1.1")
        }
    }

    @Test func controlCharactersAreNoPartOfAHead() {
        for byte in (0..<0x20).filter({ $0 != 0x09 }) + [0x7F] {
            let character = Character(Unicode.Scalar(UInt8(byte)))
            #expect(refusal(UpgradeTests.head + ["X: a\(character)b"]) != nil, "\(byte) in a value")
            #expect(refusal(UpgradeTests.head + ["X\(character): a"]) != nil, "\(byte) in a name")
            #expect(refusal(["HTTP/1.1 101 a\(character)b"] + UpgradeTests.head[1...]) != nil, "\(byte) in the status line")
        }
    }
}
