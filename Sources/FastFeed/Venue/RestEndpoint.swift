// Where the exchange's REST interface lives, parsed once from a URL. A plain value, any thread.

/// `http://` or `https://`, host and port: a base, to which paths are appended.
public struct RestEndpoint: Sendable, Equatable, CustomStringConvertible {
    public let isSecure: Bool
    /// Name or address, without the brackets of an IPv6 address.
    public let host: String
    public let port: UInt16

    public init(isSecure: Bool, host: String, port: UInt16) {
        self.isSecure = isSecure
        self.host = host
        self.port = port
    }

    /// Takes `http(s)://host[:port]`, a slash behind it and nothing more. A host is a name of letters, digits, `-` and
    /// `.`, or a numeric address: what else an HTTP library might understand (escapes, user names, `127.1`) stays out.
    /// - Throws: a sentence that names what is wrong with the URL.
    public init(url: String) throws(FeedError) {
        func refuse(_ why: String) -> FeedError {
            FeedError(.configuration, "'\(Ascii.printable(url.utf8))' is no base URL of a REST interface: \(why)")
        }
        guard url.utf8.count <= 1_024 else { throw refuse("longer than 1024 bytes") }
        var rest: Substring
        if url.hasPrefix("https://") {
            isSecure = true
            rest = url.dropFirst(8)
        } else if url.hasPrefix("http://") {
            isSecure = false
            rest = url.dropFirst(7)
        } else {
            throw refuse("it must begin with http:// or https://")
        }
        if rest.hasSuffix("/") { rest.removeLast() }
        guard !rest.contains(where: { "/?#".contains($0) }) else { throw refuse("path and query have no place here") }
        guard let (name, number) = WebSocketEndpoint.splitAuthority(rest), RestEndpoint.isHost(name, bracketed: rest.hasPrefix("[")) else {
            throw refuse("host or port is missing or malformed")
        }
        host = name
        port = number ?? (isSecure ? 443 : 80)
    }

    private static func isHost(_ text: String, bracketed: Bool) -> Bool {
        if bracketed { return text.contains(":") && SocketAddress(numericHost: text, port: 1) != nil }
        let isName = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "."): true
            default: Ascii.isDigit(byte)
            }
        }
        guard isName, !text.hasPrefix("."), !text.hasPrefix("-"), !text.contains("..") else { return false }
        // A last label that is a number makes it an address: only the full form is one.
        let last = text.split(separator: ".").last ?? ""
        let isNumeric = last.utf8.allSatisfy(Ascii.isDigit) || last.hasPrefix("0x") || last.hasPrefix("0X")
        return !isNumeric || SocketAddress(numericHost: text, port: 1) != nil
    }

    /// The exchange's own.
    public static func production(_ market: Market) -> RestEndpoint {
        switch market {
        case .spot: RestEndpoint(isSecure: true, host: "api.binance.com", port: 443)
        case .um: RestEndpoint(isSecure: true, host: "fapi.binance.com", port: 443)
        }
    }

    /// True for names and addresses that cannot leave this machine.
    public var isLoopback: Bool { host == "localhost" || SocketAddress(numericHost: host, port: port)?.isLoopback == true }

    public var description: String {
        "\(isSecure ? "https" : "http")://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }
}
