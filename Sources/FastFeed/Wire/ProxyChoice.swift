// Whether there is a proxy on the way to a host, and which one: decided once, at the start, for streams and REST alike. Plain values.

/// How the exchange is reached. Redis is always reached directly.
public enum ProxyChoice: Sendable {
    /// Directly, whatever the environment says.
    case off
    /// Always by this one.
    case server(ProxyEndpoint)
    /// By what these variables say to curl: `https_proxy` for wss and https, `http_proxy` for ws and http, else `all_proxy`; and not for
    /// the hosts of `no_proxy`. Names in capitals count where the others are not set, but for HTTP_PROXY: a web server's client may set it.
    /// A proxy without a scheme is one of HTTP.
    case environment([String: String])

    /// - Throws: one sentence that names the variable with a proxy that cannot be used.
    package func endpoint(for authority: Authority, isSecure: Bool) throws(FeedError) -> ProxyEndpoint? {
        switch self {
        case .off: return nil
        case .server(let endpoint): return endpoint
        case .environment(let variables):
            guard let found = ProxyChoice.variable(for: authority, isSecure: isSecure, in: variables) else { return nil }
            do {
                return try ProxyEndpoint(url: found.text.contains("://") ? found.text : "http://" + found.text)
            } catch {
                throw FeedError(.configuration, "\(found.name) in the environment: \(error.message)")
            }
        }
    }

    /// The one that has a proxy for this host.
    package static func variable(
        for authority: Authority, isSecure: Bool, in variables: [String: String]
    ) -> (name: String, text: String)? {
        func first(_ names: [String]) -> (name: String, text: String)? {
            for name in names { if let text = variables[name], !text.isEmpty { return (name, text) } }
            return nil
        }
        let named = isSecure ? ["https_proxy", "HTTPS_PROXY"] : ["http_proxy"]
        guard let found = first(named + ["all_proxy", "ALL_PROXY"]) else { return nil }
        let exceptions = first(["no_proxy", "NO_PROXY"])?.text ?? ""
        return isExcepted(authority, by: exceptions) ? nil : found
    }

    /// As curl reads `no_proxy`: `*` alone is every host; else hosts, with all below them, addresses, and networks such as 10.0.0.0/8,
    /// between commas or blanks.
    private static func isExcepted(_ authority: Authority, by list: String) -> Bool {
        let entries = list.split { ", \t".contains($0) }
        if entries == ["*"] { return true }
        if let address = authority.numericAddress { return entries.contains { isIn($0, address) } }
        let host = name(authority.host[...])
        return entries.contains { entry in
            let parent = name(entry.hasPrefix(".") ? entry.dropFirst() : entry)
            return !parent.isEmpty && (host == parent || host.hasSuffix("." + parent))
        }
    }

    /// A dot at a name's end changes nothing.
    private static func name(_ text: Substring) -> String { (text.hasSuffix(".") ? text.dropLast() : text).lowercased() }

    private static func isIn(_ network: Substring, _ address: SocketAddress) -> Bool {
        let parts = network.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let text = parts[0].hasPrefix("[") && parts[0].hasSuffix("]") ? parts[0].dropFirst().dropLast() : parts[0]
        guard let base = SocketAddress(numericHost: String(text), port: 0), base.family == address.family else { return false }
        let bitCount = base.addressBytes.count * 8
        guard let bits = parts.count == 1 ? bitCount : Int(parts[1]), (0...bitCount).contains(bits) else { return false }
        return zip(base.addressBytes, address.addressBytes).enumerated().allSatisfy { place, pair in
            let kept = min(8, max(0, bits - place * 8))
            return (pair.0 ^ pair.1) >> UInt8(8 - kept) == 0
        }
    }
}
