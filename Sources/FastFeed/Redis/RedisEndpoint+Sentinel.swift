// The URLs of a Redis whose Sentinels say which server is the primary. Pure.

extension RedisEndpoint {
    static let sentinelKind = URLKind(
        name: "Redis URL", schemes: ["redis+sentinel://": 26_379, "rediss+sentinel://": 26_379], schemesListed: schemesListed,
        endMarks: "/", hasCredentials: true)

    static func isSentinelURL(_ url: String) -> Bool { sentinelKind.schemes.contains { url.hasPrefix($0.key) } }

    /// `redis+sentinel://[user:pass@]host[:port][,host[:port]…]/name[/db]`. The credentials are those of the servers.
    init(sentinelURL url: String) throws(FeedError) {
        let kind = RedisEndpoint.sentinelKind
        func refusal(_ why: String) -> FeedError { kind.refusal(url, why) }
        let (parts, addresses) = try kind.parseHosts(url, most: Limits.sentinelsMax, of: "Sentinel")
        let path = parts.rest.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        guard let name = path.first, RedisEndpoint.isPrimaryName(name), path.count <= 2 else {
            throw refusal("behind the Sentinels stands the name under which they watch the primary, as in redis+sentinel://h1,h2,h3/NAME")
        }
        self.init(place: .sentinel(Sentinels(addresses, name: String(name))))
        isSecure = parts.scheme == "rediss+sentinel://"
        (user, password) = try kind.credentials(of: parts)
        if path.count == 2, !path[1].isEmpty {
            guard let number = RedisEndpoint.database(path[1]) else {
                throw refusal("'/\(Ascii.printable(path[1].utf8, limit: 40))' is not a database number")
            }
            database = number
        }
    }

    /// What Sentinel takes for a name.
    private static func isPrimaryName(_ text: Substring) -> Bool {
        (1...128).contains(text.utf8.count)
            && text.utf8.allSatisfy { Ascii.isDigit($0) || Ascii.isLetter($0) || ".-_".utf8.contains($0) }
    }
}
