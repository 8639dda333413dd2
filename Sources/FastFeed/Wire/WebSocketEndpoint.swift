// Where a WebSocket lives, parsed once from a URL. A plain value, any thread.

/// `ws://` or `wss://`, an authority and a request target.
public struct WebSocketEndpoint: Sendable, Equatable, CustomStringConvertible {
    package let isSecure: Bool
    package let authority: Authority
    /// Path and query, beginning with `/`.
    package let target: String

    package init(isSecure: Bool, host: String, port: UInt16, target: String = "/") {
        self.isSecure = isSecure
        authority = Authority(host: host, port: port)
        self.target = target
    }

    private static let kind = URLKind(
        name: "WebSocket URL", schemes: ["ws://": 80, "wss://": 443], schemesListed: "ws:// or wss://")

    /// - Throws: a sentence that names what is wrong with the URL.
    public init(url: String) throws(FeedError) {
        let parts = try WebSocketEndpoint.kind.parse(url)
        guard !parts.rest.contains("#") else { throw WebSocketEndpoint.kind.refusal(url, "a fragment (#) has no meaning here") }
        isSecure = parts.scheme == "wss://"
        authority = parts.authority
        target = parts.rest.hasPrefix("/") ? String(parts.rest) : "/" + parts.rest
    }

    /// The value of the Host header.
    package var hostHeader: String { authority.port == (isSecure ? 443 : 80) ? authority.name : authority.description }

    /// The URL with its port and path, `wss://host:443/`.
    public var description: String { "\(isSecure ? "wss" : "ws")://\(authority)\(target)" }

    /// The same place with another path appended to this base.
    package func appending(_ path: String) -> WebSocketEndpoint {
        let base = target.hasSuffix("/") ? String(target.dropLast()) : target
        return WebSocketEndpoint(isSecure: isSecure, host: authority.host, port: authority.port, target: base + path)
    }
}
