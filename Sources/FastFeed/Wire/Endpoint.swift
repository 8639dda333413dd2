// Where a WebSocket lives, parsed once from a URL.

/// `ws://` or `wss://` host, port and request target.
public struct WebSocketEndpoint: Sendable, Equatable, CustomStringConvertible {
    public let isSecure: Bool
    /// Name or address, without the brackets of an IPv6 address.
    public let host: String
    public let port: UInt16
    /// Path and query, beginning with `/`.
    public let target: String

    public init(isSecure: Bool, host: String, port: UInt16, target: String = "/") {
        self.isSecure = isSecure
        self.host = host
        self.port = port
        self.target = target
    }

    /// - Throws: a sentence that names what is wrong with the URL.
    public init(url: String) throws(FeedError) {
        func refuse(_ why: String) -> FeedError {
            FeedError(.configuration, "'\(Ascii.printable(url.utf8))' is no WebSocket URL: \(why)")
        }
        guard url.utf8.count <= 16_384 else { throw refuse("longer than 16384 bytes") }
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw refuse("a byte that is not printable ASCII") }
        let rest: Substring
        if url.hasPrefix("wss://") {
            isSecure = true
            rest = url.dropFirst(6)
        } else if url.hasPrefix("ws://") {
            isSecure = false
            rest = url.dropFirst(5)
        } else {
            throw refuse("it must begin with ws:// or wss://")
        }
        let authorityEnd = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let path = rest[authorityEnd...]
        guard !path.contains("#") else { throw refuse("a fragment (#) has no meaning here") }
        target = path.isEmpty ? "/" : path.hasPrefix("?") ? "/" + path : String(path)
        guard let (name, number) = WebSocketEndpoint.splitAuthority(rest[..<authorityEnd]) else {
            throw refuse("host or port is missing or malformed")
        }
        host = name
        port = number ?? (isSecure ? 443 : 80)
    }

    /// Host and port of `host`, `host:port`, `[v6]` or `[v6]:port`; nil when it is none of them.
    static func splitAuthority(_ text: Substring) -> (String, UInt16?)? {
        var host = text
        var port: Substring?
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.first == ":" else { return nil }
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        guard !host.isEmpty, host.utf8.count <= 255, isHost(host, inBrackets: text.first == "[") else { return nil }
        guard let port else { return (String(host), nil) }
        guard let number = UInt16(port), number > 0, !port.hasPrefix("+") else { return nil }
        return (String(host), number)
    }

    /// Letters, digits and the marks of names and addresses: what is written out again reads the same.
    private static func isHost(_ text: Substring, inBrackets: Bool) -> Bool {
        let marks = inBrackets ? ":.%-_~" : ".-_"
        return text.utf8.allSatisfy { byte in
            Ascii.isDigit(byte) || Ascii.isLetter(byte) || marks.utf8.contains(byte)
        } && (!inBrackets || text.contains(":"))
    }

    /// The value of the Host header.
    package var hostHeader: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    public var description: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return "\(isSecure ? "wss" : "ws")://\(name):\(port)\(target)"
    }

    /// True for names and addresses that cannot leave this machine.
    public var isLoopback: Bool {
        host == "localhost" || SocketAddress(numericHost: host, port: port)?.isLoopback == true
    }

    /// The same place with another path appended to this base.
    package func appending(_ path: String) -> WebSocketEndpoint {
        let base = target.hasSuffix("/") ? String(target.dropLast()) : target
        return WebSocketEndpoint(isSecure: isSecure, host: host, port: port, target: base + path)
    }
}
