// Where Redis is, parsed once from `--redis`. A plain value, any thread.

/// A Redis server: TCP, TLS or Unix socket, credentials and database; or the Sentinels that say which server it is; or a Redis Cluster.
public struct RedisEndpoint: Sendable, Equatable, CustomStringConvertible {
    /// How a server is reached.
    public enum Place: Sendable, Equatable {
        /// By TCP, at one host and port.
        case tcp(Authority)
        /// By a Unix socket at this path.
        case unix(path: String)
        /// At the primary, wherever the Sentinels say that it is.
        case sentinel(Sentinels)
        /// A Redis Cluster: any of these nodes says which nodes there are.
        case cluster(ClusterSeeds)
    }

    /// How it is reached.
    public var place: Place
    /// TLS with verified chain and host name.
    public var isSecure = false
    /// PEM file of the authority to trust instead of the system's store.
    public var authorityFile: String?
    /// Client certificate (PEM), where the server asks for one.
    public var certificateFile: String?
    /// The private key of that certificate (PEM).
    public var keyFile: String?
    /// ACL user; nil means `default`.
    public var user: String?
    /// Nil: none is sent, unless `passwordFile` has one.
    public var password: String?
    /// The password's file, read again for each connection: whoever changes the password changes the file. While it cannot be read,
    /// `password` counts.
    public var passwordFile: String?
    /// The number that SELECT gets, 0 by default.
    public var database = 0
    /// It was named by a cluster's map.
    var isNodeOfCluster = false

    /// Without TLS, user and password, and with database 0.
    public init(place: Place) { self.place = place }

    /// 127.0.0.1, port 6379, without TLS and password.
    public static let local = RedisEndpoint(place: .tcp(Authority(host: "127.0.0.1", port: 6379)))

    static let schemesListed = "redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster://, rediss+cluster:// or unix://"
    private static let kind = URLKind(
        name: "Redis URL", schemes: ["redis://": 6379, "rediss://": 6379], schemesListed: schemesListed, endMarks: "/",
        hasCredentials: true)

    /// - Parameter url: `redis://[user:pass@]host[:port][/db]`, `rediss://…`, `unix:///path[?db=n]`, or with Sentinels
    ///   `redis+sentinel://[user:pass@]host[:port],host[:port]…/name[/db]`, `rediss+sentinel://…`, or of a cluster
    ///   `redis+cluster://[user:pass@]host[:port],host[:port]…`, `rediss+cluster://…`.
    /// - Throws: one sentence; it never repeats the URL's password.
    public init(url: String) throws(FeedError) {
        func refusal(_ why: String) -> FeedError { RedisEndpoint.kind.refusal(url, why) }
        if url.hasPrefix("unix://") {
            let parts = url.dropFirst(7).split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
            let path = parts[0]
            guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw refusal("a byte that is not printable ASCII") }
            guard path.hasPrefix("/") else { throw refusal("unix:// needs an absolute path (unix:///run/redis.sock)") }
            guard SocketAddress(unixPath: String(path)) != nil else { throw refusal("the socket path is longer than 107 bytes") }
            self.init(place: .unix(path: String(path)))
            if let query = parts.dropFirst().first {
                guard query.hasPrefix("db="), let number = RedisEndpoint.database(query.dropFirst(3)) else {
                    throw refusal("after '?' only db=NUMBER is known")
                }
                database = number
            }
            return
        }
        if RedisEndpoint.isSentinelURL(url) {
            self = try RedisEndpoint(sentinelURL: url)
            return
        }
        if RedisEndpoint.isClusterURL(url) {
            self = try RedisEndpoint(clusterURL: url)
            return
        }
        let parts = try RedisEndpoint.kind.parse(url)
        self.init(place: .tcp(parts.authority))
        isSecure = parts.scheme == "rediss://"
        (user, password) = try RedisEndpoint.kind.credentials(of: parts)
        let path = parts.rest.dropFirst()
        if !path.isEmpty {
            guard let number = RedisEndpoint.database(path) else {
                throw refusal("'/\(Ascii.printable(path.utf8, limit: 40))' is not a database number")
            }
            database = number
        }
    }

    static func database(_ text: Substring) -> Int? {
        guard text.utf8.count <= 5, text.utf8.allSatisfy(Ascii.isDigit) else { return nil }
        return Int(text)
    }

    /// Without credentials: safe to log.
    public var description: String {
        switch place {
        case .tcp(let authority): "\(isSecure ? "rediss" : "redis")://\(authority)/\(database)"
        case .unix(let path): "unix://\(path)" + (database == 0 ? "" : "?db=\(database)")
        case .sentinel(let sentinels):
            "\(isSecure ? "rediss" : "redis")+sentinel://\(sentinels.addresses.map(\.description).joined(separator: ","))"
                + "/\(sentinels.name)/\(database)"
        case .cluster(let seeds):
            "\(isSecure ? "rediss" : "redis")+cluster://\(seeds.addresses.map(\.description).joined(separator: ","))"
        }
    }

    /// The same with the server that the Sentinels have named.
    func name(_ primary: NamedPrimary?) -> String { primary.map { "\(self), primary \($0)" } ?? description }

    // MARK: Opening

    /// - Parameter primary: what the Sentinels have named, where there are any.
    func server(_ primary: NamedPrimary?) -> ServerPlace {
        switch place {
        case .tcp(let authority): .tcp(authority)
        case .unix(let path): .unix(path: path)
        case .sentinel:
            if let primary { .tcp(primary.authority) } else { preconditionFailure("which server is the primary was not asked") }
        case .cluster: preconditionFailure("which node it is was not asked")
        }
    }

    /// What TLS needs; nil for a plain connection. The files are read here.
    /// - Throws: one sentence naming the certificate or key that cannot be used.
    package func tlsContext() throws(FeedError) -> TLSContext? {
        guard isSecure else { return nil }
        if case .unix = place { throw FeedError(.configuration, "TLS needs a host name, not a socket path") }
        return try TLSContext.client(
            authorityFile: authorityFile, certificateFile: certificateFile, keyFile: keyFile, setting: "--redis-ca-file",
            namedBy: naming)
    }

    private var naming: TLSContext.Naming? {
        switch place {
        case .sentinel: .sentinels
        case .cluster: .cluster
        case .tcp: isNodeOfCluster ? .cluster : nil
        case .unix: nil
        }
    }

    /// AUTH, where there is a password. Its file is read here.
    var authentication: [[String]] {
        let password = passwordFile.flatMap { SmallFile.line($0, again: true) } ?? password
        return password.map { password in [["AUTH"] + (user.map { [$0] } ?? []) + [password]] } ?? []
    }
    /// SELECT, where it is not database 0.
    var selection: [[String]] { database == 0 ? [] : [["SELECT", String(database)]] }
    /// The first commands of every connection; each of them must succeed. PING proves that we may speak.
    var greeting: [[String]] { authentication + selection + [["PING"]] }

    /// What an error reply to the greeting means: a setting that is wrong, or a server that is not ready.
    func refusal(_ reply: String, of primary: NamedPrimary? = nil) -> FeedError {
        let name = name(primary)
        if reply.hasPrefix("ERR DB index") || reply.hasPrefix("ERR invalid DB index") {
            return FeedError(.configuration, "\(name): the server has no database \(database) (\(reply))")
        }
        let isLasting =
            switch reply.prefix(while: { $0 != " " }) {
            case "WRONGPASS", "NOAUTH", "NOPERM", "DENIED": true
            case "ERR":
                ["ERR AUTH", "ERR Client sent AUTH", "ERR invalid password", "ERR SELECT is not allowed"].contains(where: reply.hasPrefix)
            default: false
            }
        return FeedError(isLasting ? .configuration : .redis, "\(name) says: \(reply)")
    }
}
