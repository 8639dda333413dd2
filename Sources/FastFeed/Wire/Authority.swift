// Host and port, and the one parser of the URLs that have them. Plain values, any thread.

/// A host and a port.
public struct Authority: Sendable, Equatable, CustomStringConvertible {
    /// Name or address, without the brackets of an IPv6 address.
    public let host: String
    /// 1 to 65535.
    public let port: UInt16

    /// Neither is looked at: `RedisEndpoint(url:)` and others read and check a text.
    public init(host: String, port: UInt16) { (self.host, self.port) = (host, port) }

    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`; nil when the text is none of them.
    package init?(_ text: Substring, portElse: UInt16) {
        var name = text
        var rest = Substring()
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            name = text[..<end].dropFirst()
            rest = text[end...].dropFirst()
            guard name.contains(":"), rest.isEmpty || rest.first == ":" else { return nil }
        } else if let colon = text.firstIndex(of: ":") {
            (name, rest) = (text[..<colon], text[colon...])
        }
        // Letters, digits and the marks of names and addresses: what is written out again reads the same.
        let marks = text.first == "[" ? ":.%-_~" : ".-_"
        guard (1...255).contains(name.utf8.count),
            name.utf8.allSatisfy({ Ascii.isDigit($0) || Ascii.isLetter($0) || marks.utf8.contains($0) })
        else { return nil }
        guard let port = rest.isEmpty ? portElse : UInt16(rest.dropFirst()), port > 0, !rest.hasPrefix(":+") else { return nil }
        self.init(host: String(name), port: port)
    }

    /// The host as it stands in a URL or a header.
    package var name: String { host.contains(":") ? "[\(host)]" : host }
    /// `host:port`, an IPv6 address in brackets.
    public var description: String { "\(name):\(port)" }

    /// Nil for a name.
    package var numericAddress: SocketAddress? { SocketAddress(numericHost: host, port: port) }
    /// True for names and addresses that cannot leave this machine.
    package var isLoopback: Bool { host == "localhost" || numericAddress?.isLoopback == true }

    /// A name of letters, digits, `-` and `.`, or a numeric address in full. What else an HTTP library might understand
    /// (escapes, `127.1`) is not plain.
    package var isPlain: Bool {
        if numericAddress != nil { return true }
        let isName = host.utf8.allSatisfy { Ascii.isDigit($0) || Ascii.isLetter($0) || "-.".utf8.contains($0) }
        guard isName, !host.hasPrefix("."), !host.hasPrefix("-"), !host.contains("..") else { return false }
        // A last label that is a number makes it an address, and only the full form is one.
        let last = host.split(separator: ".").last ?? ""
        return !last.utf8.allSatisfy(Ascii.isDigit) && !last.lowercased().hasPrefix("0x")
    }
}

/// Where a server listens.
public enum ServerPlace: Sendable, Equatable {
    /// By TCP, host and port.
    case tcp(Authority)
    /// By a Unix socket at this path.
    case unix(path: String)
}

/// A kind of URL that names an endpoint: `scheme://[credentials@]host[:port][rest]`.
package struct URLKind: Sendable {
    /// What the URL is called in a sentence, as in "is not a WebSocket URL".
    let name: String
    /// With `://`, and the port where none is named; 0: one must be.
    let schemes: KeyValuePairs<String, UInt16>
    /// The schemes as a sentence lists them.
    let schemesListed: String
    var bytesMax = 16_384
    /// What ends the authority.
    var endMarks = "/?#"
    /// Credentials may stand in front of the host: then no sentence repeats the URL.
    var hasCredentials = false

    package struct Parts {
        /// With `://` behind it.
        let scheme: String
        let credentials: Substring?
        let authority: Authority
        /// What follows the authority, beginning with the mark that ended it.
        let rest: Substring
    }

    func refusal(_ url: String, _ why: String) -> FeedError {
        let subject = hasCredentials ? "the \(name) is not valid" : "'\(Ascii.printable(url.utf8))' is not a \(name)"
        return FeedError(.configuration, "\(subject): \(why)")
    }

    /// - Throws: a sentence that names what is wrong with the URL.
    func parse(_ url: String) throws(FeedError) -> Parts {
        guard url.utf8.count <= bytesMax else { throw refusal(url, "longer than \(bytesMax) bytes") }
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw refusal(url, "a byte that is not printable ASCII") }
        guard let (scheme, port) = schemes.first(where: { url.hasPrefix($0.key) }) else {
            throw refusal(url, "it must begin with \(schemesListed)")
        }
        let all = url.dropFirst(scheme.count)
        let end = all.firstIndex { endMarks.contains($0) } ?? all.endIndex
        let at = hasCredentials ? all[..<end].lastIndex(of: "@") : nil
        guard let authority = Authority(at.map { all[$0..<end].dropFirst() } ?? all[..<end], portElse: port) else {
            throw refusal(url, "host or port is missing or malformed")
        }
        return Parts(scheme: scheme, credentials: at.map { all[..<$0] }, authority: authority, rest: all[end...])
    }

    /// User and password, decoded. An empty user is none; a password may be empty.
    func credentials(of parts: Parts) throws(FeedError) -> (user: String?, password: String?) {
        guard let credentials = parts.credentials else { return (nil, nil) }
        let texts = credentials.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let names = texts.compactMap(URLKind.percentDecoded)
        guard names.count == texts.count else { throw refusal("", "a broken %-escape in the credentials") }
        return (names[0].isEmpty ? nil : names[0], names.dropFirst().first)
    }

    package static func percentDecoded(_ text: Substring) -> String? {
        let parts = text.split(separator: "%", omittingEmptySubsequences: false)
        var bytes = Array(parts[0].utf8)
        for part in parts.dropFirst() {
            // UInt8(_:radix:) would take a sign for a digit.
            guard part.utf8.count >= 2, !"+-".contains(part.first!), let value = UInt8(part.prefix(2), radix: 16) else { return nil }
            bytes += [value] + part.dropFirst(2).utf8
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
