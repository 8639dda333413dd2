// Where the exchange's REST interface lives, parsed once from a URL. A plain value, any thread.

/// `http://` or `https://`, host and port: a base, to which paths are appended.
public struct RestEndpoint: Sendable, Equatable, CustomStringConvertible {
    package let isSecure: Bool
    package let authority: Authority

    package init(isSecure: Bool, host: String, port: UInt16) {
        self.isSecure = isSecure
        authority = Authority(host: host, port: port)
    }

    private static let kind = URLKind(
        name: "base URL of a REST interface", schemes: ["http://": 80, "https://": 443], schemesListed: "http:// or https://",
        bytesMax: 1_024)

    /// Takes `http(s)://host[:port]`, a slash behind it and nothing more. The host must be plain: it goes to an HTTP library.
    /// - Throws: a sentence that names what is wrong with the URL.
    public init(url: String) throws(FeedError) {
        let parts = try RestEndpoint.kind.parse(url)
        guard parts.authority.isPlain else { throw RestEndpoint.kind.refusal(url, "host or port is missing or malformed") }
        guard ["", "/"].contains(parts.rest) else { throw RestEndpoint.kind.refusal(url, "path and query have no place here") }
        isSecure = parts.scheme == "https://"
        authority = parts.authority
    }

    /// The URL with its port and without a path, `https://host:443`.
    public var description: String { "\(isSecure ? "https" : "http")://\(authority)" }
}
