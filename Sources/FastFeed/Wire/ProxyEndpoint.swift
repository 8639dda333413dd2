// A proxy on the way to the exchange, parsed once from a URL. A plain value, any thread. Bounded by `Limits`; no sentence has its password.

/// `http://` (CONNECT), `socks5://` (names are resolved here) or `socks5h://` (at the proxy), with or without credentials.
public struct ProxyEndpoint: Sendable, Equatable, CustomStringConvertible {
    package enum Scheme: String, Sendable {
        case http = "http://"
        case socks5 = "socks5://"
        case socks5h = "socks5h://"
    }

    package let scheme: Scheme
    package let authority: Authority
    package let user: String?
    package let password: String?
    /// The URL itself has a password: whoever sees the one knows the other.
    package let isSecretURL: Bool

    // HTTP proxies listen at many ports, and those who guess one guess differently.
    private static let kind = URLKind(
        name: "proxy URL", schemes: [Scheme.http.rawValue: 0, Scheme.socks5.rawValue: 1080, Scheme.socks5h.rawValue: 1080],
        schemesListed: "http://, socks5:// or socks5h://", bytesMax: Limits.proxyURLBytesMax, endMarks: "/", hasCredentials: true)

    /// - Parameters:
    ///   - url: `http://[user:pass@]host:port`, `socks5://[user:pass@]host[:1080]` or `socks5h://…`.
    ///   - password: instead of the URL's.
    /// - Throws: one sentence; it never repeats the URL.
    public init(url: String, password: String? = nil) throws(FeedError) {
        func check(_ ok: Bool, _ why: String) throws(FeedError) { if !ok { throw ProxyEndpoint.kind.refusal(url, why) } }
        let parts = try ProxyEndpoint.kind.parse(url)
        try check(["", "/"].contains(parts.rest), "a path has no place here")
        scheme = Scheme(rawValue: parts.scheme)!
        authority = parts.authority
        try check(!authority.host.contains(":") || authority.numericAddress != nil, "the address in brackets is not one of IPv6")
        let credentials = try ProxyEndpoint.kind.credentials(of: parts)
        user = credentials.user
        isSecretURL = credentials.password != nil
        self.password = password ?? credentials.password
        try check((user == nil) == (self.password == nil), "a user and a password belong together: one of them is missing")
        for text in [user, self.password].compactMap({ $0 }) {
            try check(
                text.utf8.count <= Limits.proxyCredentialBytesMax, "a user or password of more than \(Limits.proxyCredentialBytesMax) bytes"
            )
            try check(text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }, "a control character in the credentials")
        }
        try check(scheme != .http || user?.contains(":") != true, "a colon in the user's name, where HTTP has none")
    }

    /// Without credentials: safe to log.
    public var description: String { scheme.rawValue + authority.description }
}

// MARK: - Refusals

/// What a proxy says instead of connecting us.
enum ProxyRefusal {
    /// Of CONNECT; `schemes` are those that a 407 offers.
    case status(Int, phrase: String = "", schemes: [String] = [])
    /// A code of RFC 1928, section 6.
    case socks(UInt8)
    case credentials
    case otherProtocol
    case malformed(String)
    case closed
    case silent(milliseconds: Int)
}

extension ProxyEndpoint {
    /// The refusal in one sentence.
    func sentence(_ refusal: ProxyRefusal, _ place: Authority) -> String { "the proxy \(self) \(words(refusal, place))" }

    private func words(_ refusal: ProxyRefusal, _ place: Authority) -> String {
        let unwelcome = user == nil ? "wants a user and a password" : "refuses the given user and password"
        return switch refusal {
        case .status(407, _, let schemes) where !schemes.isEmpty && !schemes.contains { $0.lowercased() == "basic" }:
            "takes no password as it is (407): it offers \(schemes.joined(separator: ", ")), and only Basic is spoken here"
        // tinyproxy's word for a wrong password is 401.
        case .status(let status, _, _) where [401, 407].contains(status): "\(unwelcome) (\(status))"
        case .status(403, _, _): "does not allow connections to \(place) (403)"
        case .status(let status, let phrase, _) where [500, 502, 503, 504].contains(status):
            "cannot reach or resolve \(place) (\(status)\(phrase.isEmpty ? "" : " \(phrase)"))"
        case .status(let status, let phrase, _):
            "does not connect to \(place): it answers \(status)\(phrase.isEmpty ? "" : " \(phrase)")"
        case .socks(let code): "\(ProxyEndpoint.words(socks: code, place)) (SOCKS code \(code))"
        case .credentials: unwelcome
        case .otherProtocol: scheme == .http ? "does not speak HTTP: is it a SOCKS proxy?" : "does not speak SOCKS 5: is it an HTTP proxy?"
        case .malformed(let what): "gives an answer that cannot be used: \(what)"
        case .closed: "closes the connection without an answer"
        case .silent(let milliseconds): "has not answered within \(milliseconds) ms"
        }
    }

    private static func words(socks code: UInt8, _ place: Authority) -> String {
        switch code {
        case 2: "does not allow connections to \(place)"
        case 3: "has no way to the network of \(place)"
        case 5: "was refused by \(place)"
        case 6: "has too long a way to \(place)"
        case 7: "does not know CONNECT"
        case 8: "takes no address of this kind for \(place)"
        // 1 and 4; servers give either where they cannot resolve a name.
        default: "cannot reach or resolve \(place)"
        }
    }
}
