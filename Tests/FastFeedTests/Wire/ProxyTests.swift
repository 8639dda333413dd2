// Proxies by table: their URLs, the variables of the environment, and the handshake, whole and in pieces, with all the wrong answers.

import FastFeed
import TestKit
import Testing

struct ProxyURLTests {
    @Test func good() throws {
        let table: [(url: String, scheme: ProxyEndpoint.Scheme, host: String, port: UInt16, user: String?, password: String?)] = [
            ("http://h:3128", .http, "h", 3128, nil, nil), ("http://h:3128/", .http, "h", 3128, nil, nil),
            ("http://my_proxy.internal:1", .http, "my_proxy.internal", 1, nil, nil), ("socks5://h", .socks5, "h", 1080, nil, nil),
            ("socks5h://h", .socks5h, "h", 1080, nil, nil), ("socks5h://[::1]:9", .socks5h, "::1", 9, nil, nil),
            ("http://u:p%40%3A%2f@h:1", .http, "h", 1, "u", "p@:/"), ("http://token:@h:1", .http, "h", 1, "token", ""),
            ("socks5://a%3Ab:p@h", .socks5, "h", 1080, "a:b", "p"),
            ("http://u:p?#[é@h:1".replacing("é", with: "%C3%A9"), .http, "h", 1, "u", "p?#[é"),
        ]
        for (url, scheme, host, port, user, password) in table {
            let endpoint = try ProxyEndpoint(url: url)
            #expect(endpoint.scheme == scheme && endpoint.authority == Authority(host: host, port: port), "\(url)")
            #expect(endpoint.user == user && endpoint.password == password, "\(url)")
            #expect(endpoint.description == "\(scheme.rawValue)\(endpoint.authority)")
        }
        #expect(try ProxyEndpoint(url: "http://u@h:1", password: "from a file").password == "from a file")
    }

    @Test(arguments: [
        "", "h:3128", "http://", "http://h", "http://h:", "http://h:0", "http://h:65536", "http://:1", "https://h:1", "socks4://h",
        "socks://h",
        "HTTP://h:1", "http://h:1/path", "http://h:1?x", "http://h:1#x", "http://u@h:1", "http://:p@h:1", "http://u:%4@h:1",
        "http://u:%0a@h:1", "http://%0du:p@h:1", "http://u:p%7f@h:1", "http://a%3Ab:p@h:1", "http://h:1\r\nX: y", "http://h :1",
        "http://hé:1",
        "http://[::1:1", "http://[fe80::1%251]:1",
        "socks5://u:\(String(repeating: "p", count: 256))@h", "socks5://\(String(repeating: "u", count: 256)):p@h",
        "http://\(String(repeating: "h", count: 2_048)):1",
    ])
    func bad(_ url: String) { #expect(throws: FeedError.self) { try ProxyEndpoint(url: url) } }

    @Test func secretsStayOutOfTexts() throws {
        let endpoint = try ProxyEndpoint(url: "http://user:canary@h:7")
        #expect(!"\(endpoint)".contains("canary") && !"\(ProxyChoice.server(endpoint))".contains("canary"))
        for url in ["http://u:canary@h", "http://u:canary@h:1/x", "http://u:canary%zz@h:1", "ftp://u:canary@h:1", "http://u:canary%0a@h:1"]
        {
            let error = #expect(throws: FeedError.self) { try ProxyEndpoint(url: url) }
            #expect(error?.message.contains("canary") == false, "\(url)")
            let variable = #expect(throws: FeedError.self) {
                try ProxyChoice.environment(["https_proxy": url]).endpoint(for: Authority(host: "h", port: 1), isSecure: true)
            }
            #expect(variable?.message.contains("canary") == false && variable?.message.hasPrefix("https_proxy ") == true, "\(url)")
        }
    }
}

struct ProxyChoiceTests {
    private func choice(_ variables: [String: String], isSecure: Bool = true, host: String = "stream.binance.com") throws -> String? {
        try ProxyChoice.environment(variables).endpoint(for: Authority(host: host, port: 443), isSecure: isSecure)?.authority.host
    }

    @Test func variables() throws {
        let all = [
            "https_proxy": "http://s:1", "HTTPS_PROXY": "http://S:1", "http_proxy": "http://p:1", "HTTP_PROXY": "http://P:1",
            "all_proxy": "socks5://a", "ALL_PROXY": "socks5://A",
        ]
        func without(_ names: String...) -> [String: String] { all.filter { !names.contains($0.key) } }
        #expect(try choice(all) == "s" && choice(all, isSecure: false) == "p")
        #expect(try choice(without("https_proxy")) == "S")
        #expect(try choice(without("https_proxy", "HTTPS_PROXY")) == "a")
        #expect(try choice(["ALL_PROXY": "socks5://A"]) == "A")
        #expect(try choice(without("http_proxy"), isSecure: false) == "a", "HTTP_PROXY is what a request's Proxy header becomes in CGI")
        #expect(try choice(["HTTP_PROXY": "http://P:1"], isSecure: false) == nil)
        #expect(try choice(["https_proxy": "", "all_proxy": "http://a:1"]) == "a", "empty is not set")
        #expect(try choice(["https_proxy": "proxy:3128"]) == "proxy")
        #expect(try choice([:]) == nil)
        // What is not used is not judged.
        #expect(try choice(["https_proxy": "http://s:1", "all_proxy": "socks4://a"]) == "s")
        #expect(throws: FeedError.self) { try choice(["all_proxy": "socks4://a"]) }
        let off = try ProxyChoice.off.endpoint(for: Authority(host: "h", port: 1), isSecure: true)
        #expect(off == nil)
        // A named one is for all hosts.
        let server = try ProxyChoice.server(ProxyEndpoint(url: "http://s:1")).endpoint(
            for: Authority(host: "127.0.0.1", port: 1), isSecure: true)
        #expect(server?.authority.host == "s")
    }

    @Test func exceptions() throws {
        let table: [(list: String, host: String, isExcepted: Bool)] = [
            ("*", "stream.binance.com", true), (" * ", "10.0.0.1", true), ("a,*", "stream.binance.com", false),
            ("binance.com", "stream.binance.com", true), (".binance.com", "stream.binance.com", true), ("binance.com", "binance.com", true),
            (".binance.com", "binance.com", true), ("binance.com.", "stream.binance.com", true),
            ("Binance.COM", "STREAM.binance.com.", true),
            ("nance.com", "stream.binance.com", false), ("com", "stream.binance.com", true),
            ("stream.binance.com.evil", "stream.binance.com", false),
            ("a, b  binance.com", "stream.binance.com", true), ("*.binance.com", "stream.binance.com", false), ("", "h", false),
            (",, ,.", "h", false),
            ("127.0.0.1", "127.0.0.1", true), ("127.0.0.1", "127.0.0.11", false), ("0.0.1", "127.0.0.1", false),
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.0/8", "11.0.0.1", false), ("192.168.4.0/22", "192.168.7.255", true), ("192.168.4.0/22", "192.168.8.0", false),
            ("0.0.0.0/0", "9.9.9.9", true), ("10.0.0.0/33", "10.0.0.0", false), ("10.0.0.0/x", "10.0.0.0", false),
            ("10.0.0.0/-1", "10.0.0.0", false),
            ("::1", "::1", true), ("[::1]", "::1", true), ("fd00::/8", "fdab::1", true), ("fd00::/8", "fe80::1", false),
            ("::/0", "127.0.0.1", false),
            ("localhost", "127.0.0.1", false),
        ]
        for (list, host, isExcepted) in table {
            for name in ["no_proxy", "NO_PROXY"] {
                let found = try choice(["https_proxy": "http://s:1", name: list], host: host)
                #expect((found == nil) == isExcepted, "\(name)='\(list)' \(host)")
            }
        }
        #expect(try choice(["https_proxy": "http://s:1", "no_proxy": "a", "NO_PROXY": "*"]) == "s")
    }
}

struct ProxyHandshakeTests {
    private static let place = Authority(host: "stream.binance.com", port: 9443)

    /// What one says to it, piece by piece, and what it comes to; the answers it has sent in between.
    private func run(
        _ url: String, _ bytes: [UInt8], pieces: [Int]? = nil, place: Authority = place, at address: SocketAddress? = nil
    ) throws -> (sent: [UInt8], end: ProxyHandshake.Step) {
        var handshake = ProxyHandshake(try ProxyEndpoint(url: url), to: place, at: address)
        var (sent, from) = (handshake.opening, 0)
        for piece in pieces ?? proxyMessages(url, bytes) {
            let step = bytes[from..<(from + piece)].withUnsafeBytes { handshake.feed($0) }
            from += piece
            guard case .pending(let more) = step else { return (sent, step) }
            sent += more
        }
        return (sent, .pending(send: []))
    }

    private func sentence(_ url: String, _ bytes: [UInt8]) throws -> String {
        if case .failed(let sentence) = try run(url, bytes).end { sentence } else { "no failure" }
    }

    private func head(_ lines: String...) -> [UInt8] { Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) }

    private func bytewise(_ count: Int) -> [Int] { [Int](repeating: 1, count: count) }

    // MARK: HTTP

    @Test func connect() throws {
        let plain = try run("http://h:1", head("HTTP/1.1 200 Connection established"))
        let request = String(decoding: plain.sent, as: UTF8.self)
        #expect(
            request.hasPrefix("CONNECT stream.binance.com:9443 HTTP/1.1\r\nHost: stream.binance.com:9443\r\n")
                && request.hasSuffix("\r\n\r\n"))
        #expect(!request.contains("Authorization"))
        #expect(plain.end == .through)
        // The example of RFC 7617.
        let named = try run("http://Aladdin:open%20sesame@h:1", [])
        #expect(String(decoding: named.sent, as: UTF8.self).contains("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"))
        #expect(
            try String(decoding: run("http://h:1", [], place: Authority(host: "::1", port: 5)).sent, as: UTF8.self).hasPrefix(
                "CONNECT [::1]:5 "))
        for answer in [
            head("HTTP/1.0 200 OK"), head("HTTP/1.1 200"), head("HTTP/1.1 299 x", "Content-Length: 5", "Via: 1.1 x"),
            head("HTTP/1.1 200 " + String(repeating: "x", count: 8_000)),
        ] {
            #expect(try run("http://h:1", answer).end == .through)
            #expect(try run("http://h:1", answer, pieces: bytewise(answer.count)).end == .through)
        }
        let longest = String(repeating: "h", count: 255)
        let credentials = String(repeating: "x", count: Limits.proxyCredentialBytesMax)
        let opening = try run("http://\(credentials):\(credentials)@h:1", [], place: Authority(host: longest, port: 65_535)).sent
        #expect(opening.count <= Limits.proxyRequestBytesMax)
    }

    @Test func connectRefused() throws {
        let table: [(url: String, answer: [UInt8], words: String)] = [
            ("http://h:1", head("HTTP/1.1 407 x"), "the proxy http://h:1 wants a user and a password (407)"),
            (
                "http://u:p@h:1", head("HTTP/1.1 407 x", "Proxy-Authenticate: basic realm=\"x\""),
                "refuses the given user and password (407)"
            ),
            ("http://u:p@h:1", head("HTTP/1.1 401 Unauthorized"), "refuses the given user and password (401)"),
            ("http://u:p@h:1", head("HTTP/1.1 407 x", "Proxy-Authenticate: Negotiate", "Proxy-Authenticate: NTLM"), "Negotiate, NTLM"),
            ("http://h:1", head("HTTP/1.1 403 Filtered"), "does not allow connections to stream.binance.com:9443 (403)"),
            (
                "http://h:1", head("HTTP/1.0 500 Unable to connect"),
                "cannot reach or resolve stream.binance.com:9443 (500 Unable to connect)"
            ),
            ("http://h:1", head("HTTP/1.1 502 Bad Gateway"), "(502 Bad Gateway)"),
            ("http://h:1", head("HTTP/1.1 503"), "cannot reach or resolve"),
            ("http://h:1", head("HTTP/1.1 504 x"), "cannot reach or resolve"),
            ("http://h:1", head("HTTP/1.1 302 Found"), "it answers 302 Found"),
            ("http://h:1", head("HTTP/1.1 101 x"), "it answers 101"),
            ("http://h:1", [5, 0xFF], "is it a SOCKS proxy?"), ("http://h:1", head("HTTP/2 200"), "does not speak HTTP"),
            ("http://h:1", head("HTTP/1.1 2x0 OK"), "does not speak HTTP"), ("http://h:1", head("SSH-2.0"), "does not speak HTTP"),
            ("http://h:1", head("HTTP/1.1 200 OK", "no colon"), "cannot be used: a malformed header line"),
            ("http://h:1", head("HTTP/1.1 200 OK", "X: \u{1B}[2J"), "malformed"),
            ("http://h:1", head("HTTP/1.1 200 OK") + [0x16], "bytes behind its end"),
            ("http://h:1", head("HTTP/1.1 200 OK", "X: " + String(repeating: "x", count: 9_000)), "longer than"),
        ]
        for (url, answer, words) in table {
            let long = try sentence(url, answer)
            #expect(long.contains(words), "\(long)")
            #expect(long.utf8.count < 250 && long.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
        }
    }

    @Test func endlessHeads() throws {
        for line in ["X: y\r\n", String(repeating: "x", count: 97), "\r"] {
            let flood = Array("HTTP/1.1 200 OK\r\n".utf8) + Array(String(repeating: line, count: 200_000 / line.utf8.count).utf8)
            let pieces = [Int](repeating: 100, count: flood.count / 100)
            guard case .failed(let sentence) = try run("http://h:1", flood, pieces: pieces).end else {
                Issue.record("\(line)")
                continue
            }
            #expect(sentence.contains("longer than") || sentence.contains("more than") || sentence.contains("malformed"), "\(sentence)")
        }
    }

    // MARK: SOCKS

    @Test func socks() throws {
        let bound: [[UInt8]] = [
            [1, 10, 0, 0, 1, 4, 5], [4] + [UInt8](repeating: 9, count: 18), [3, 3] + Array("abc".utf8) + [4, 5], [3, 0, 0, 0],
        ]
        let name: [UInt8] = [3, 18] + Array("stream.binance.com".utf8) + [0x24, 0xE3]
        for address in bound {
            let answer: [UInt8] = [5, 0, 5, 0, 0] + address
            for pieces in [nil, bytewise(answer.count)] {
                let open = try run("socks5h://h", answer, pieces: pieces)
                #expect(open.sent == [5, 1, 0] + [5, 1, 0] + name && open.end == .through)
            }
            #expect(try run("socks5h://h", answer + [0]).end != .through, "\(address)")
            #expect(try run("socks5h://h", answer, pieces: [answer.count]).end != .through, "answered before it was asked")
            for count in 0..<answer.count {
                #expect(try run("socks5h://h", Array(answer[..<count])).end == .pending(send: []), "\(address)")
            }
        }
        let answer: [UInt8] = [5, 2, 1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        let named = try run("socks5h://feed:s3cret@h", answer, pieces: bytewise(answer.count))
        #expect(
            named.sent == [5, 2, 0, 2] + [1, 4] + Array("feed".utf8) + [6] + Array("s3cret".utf8) + [5, 1, 0] + name
                && named.end == .through)
        // Some write the other protocol's version; some want no password although one is there.
        #expect(try run("socks5://u:p@h", [5, 2, 5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).end == .through)
        #expect(try run("socks5://u:p@h", [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).end == .through)
        // An address, resolved here or written as one.
        let v4 = try run("socks5://h", [5, 0], at: SocketAddress(numericHost: "1.2.3.4", port: 7))
        #expect(v4.sent.dropFirst(3) == [5, 1, 0, 1, 1, 2, 3, 4, 0x24, 0xE3])
        let v6 = try run("socks5h://h", [5, 0], place: Authority(host: "::2", port: 1))
        let expected: [UInt8] = [5, 1, 0, 4] + [UInt8](repeating: 0, count: 15) + [2, 0, 1]
        #expect(Array(v6.sent.dropFirst(3)) == expected)
    }

    @Test func socksRefused() throws {
        let table: [(url: String, answer: [UInt8], words: String)] = [
            ("socks5://h", [5, 0xFF], "the proxy socks5://h:1080 wants a user and a password"),
            ("socks5://h", [5, 2], "wants a user and a password"),
            ("socks5://u:p@h", [5, 0xFF], "refuses the given user and password"),
            ("socks5://u:p@h", [5, 2, 1, 1], "refuses the given user and password"),
            ("socks5://h", Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), "is it an HTTP proxy?"),
            ("socks5://h", [4], "does not speak SOCKS 5"),
            ("socks5://h", [0], "does not speak SOCKS 5"), ("socks5://u:p@h", [5, 2, 0], "does not speak SOCKS 5"),
            ("socks5://h", [5, 0, 1, 0], "does not speak SOCKS 5"),
            ("socks5://h", [5, 0, 5, 1], "cannot reach or resolve stream.binance.com:9443 (SOCKS code 1)"),
            ("socks5://h", [5, 0, 5, 2], "does not allow connections"), ("socks5://h", [5, 0, 5, 3], "no way to the network"),
            ("socks5://h", [5, 0, 5, 4], "cannot reach or resolve"),
            ("socks5://h", [5, 0, 5, 5], "was refused by stream.binance.com:9443"),
            ("socks5://h", [5, 0, 5, 6], "(SOCKS code 6)"), ("socks5://h", [5, 0, 5, 7], "(SOCKS code 7)"),
            ("socks5://h", [5, 0, 5, 8], "(SOCKS code 8)"),
            ("socks5://h", [5, 0, 5, 0xFE], "(SOCKS code 254)"), ("socks5://h", [5, 0, 5, 0, 0, 9, 0], "an address of kind 9"),
            ("socks5://h", [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x16, 3], "bytes behind its end"),
        ]
        for (url, answer, words) in table {
            let said = try sentence(url, answer)
            #expect(said.contains(words), "\(said)")
        }
    }

    /// Whatever comes, and however it is cut: one verdict.
    @Test(arguments: seeds) func anyBytes(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let urls = ["http://h:1", "http://u:p@h:1", "socks5://h", "socks5h://u:p@h"]
        let starts: [[UInt8]] = [
            [], [5, 0, 5, 0, 0], [5, 2, 1, 0, 5, 0, 0], Array("HTTP/1.1 200 OK\r\n".utf8), Array("HTTP/1.1 200 OK\r\n\r".utf8),
        ]
        var complaints = Complaints()
        for _ in 0..<5_000 {
            let (url, bytes) = (
                random.pick(urls), random.pick(starts) + random.bytes(random.below(40)).map { random.chance(30) ? $0 % 6 : $0 }
            )
            let whole = try run(url, bytes)
            let cut = try run(url, bytes, pieces: proxyMessages(url, bytes).flatMap { random.pieces(of: $0, longest: 5) })
            // In pieces nothing is known of what comes behind the end.
            let isSame = whole.end == cut.end || cut.end == .through
            complaints.check(isSame && whole.sent == cut.sent, "\(url) \(bytes): \(whole), \(cut)")
        }
        #expect(complaints.isEmpty, "seed \(seed): \(complaints.summary)")
    }
}
