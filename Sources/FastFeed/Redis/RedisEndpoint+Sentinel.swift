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
        // The parser of one host: the first of the list stands for all of them.
        guard let scheme = kind.schemes.first(where: { url.hasPrefix($0.key) })?.key else { throw refusal("another scheme") }
        let all = url.dropFirst(scheme.count)
        let end = all.firstIndex(of: "/") ?? all.endIndex
        let hostsStart = all[..<end].lastIndex(of: "@").map { all.index(after: $0) } ?? all.startIndex
        let hosts = all[hostsStart..<end].split(separator: ",", omittingEmptySubsequences: false)
        guard hosts.count <= Limits.sentinelsMax else { throw refusal("more than \(Limits.sentinelsMax) Sentinels") }
        let parts = try kind.parse(scheme + all[..<hostsStart] + (hosts.first ?? "") + all[end...])
        let port = kind.schemes.first { $0.key == parts.scheme }?.value ?? 0
        let addresses = hosts.compactMap { Authority($0, portElse: port) }
        guard addresses.count == hosts.count else { throw refusal("host or port of a Sentinel is missing or malformed") }
        guard Set(addresses.map(\.description)).count == addresses.count else { throw refusal("a Sentinel is named twice") }
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
