// Where Redis is, parsed once from `--redis`.

/// A Redis server: TCP, TLS or Unix socket, credentials and database.
public struct RedisEndpoint: Sendable, Equatable, CustomStringConvertible {
    public enum Place: Sendable, Equatable {
        case tcp(host: String, port: UInt16)
        case unix(path: String)
    }

    public var place: Place
    /// TLS with verified chain and host name.
    public var isSecure = false
    /// PEM file of the authority to trust instead of the system's store.
    public var authorityFile: String?
    /// Client certificate and key (PEM), where the server asks for one.
    public var certificateFile: String?
    public var keyFile: String?
    /// ACL user; nil means `default`.
    public var user: String?
    public var password: String?
    public var database = 0

    public init(place: Place) { self.place = place }

    public static let local = RedisEndpoint(place: .tcp(host: "127.0.0.1", port: 6379))

    /// - Parameter url: `redis://[user:pass@]host[:port][/db]`, `rediss://…` or `unix:///path[?db=n]`.
    /// - Throws: one sentence; it never repeats the URL's password.
    public init(url: String) throws(FeedError) {
        func refuse(_ why: String) -> FeedError { FeedError(.configuration, "the Redis URL is not valid: \(why)") }
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw refuse("a byte that is not printable ASCII") }
        if url.hasPrefix("unix://") {
            let (path, query) = RedisEndpoint.split(url.dropFirst(7), at: "?")
            guard path.hasPrefix("/") else { throw refuse("unix:// needs an absolute path (unix:///run/redis.sock)") }
            guard SocketAddress(unixPath: String(path)) != nil else { throw refuse("the socket path is longer than 107 bytes") }
            self.init(place: .unix(path: String(path)))
            if let query {
                guard query.hasPrefix("db="), let number = RedisEndpoint.database(query.dropFirst(3)) else {
                    throw refuse("after '?' only db=NUMBER is known")
                }
                database = number
            }
            return
        }
        let isSecure = url.hasPrefix("rediss://")
        guard isSecure || url.hasPrefix("redis://") else { throw refuse("it must begin with redis://, rediss:// or unix://") }
        let (authority, path) = RedisEndpoint.split(url.dropFirst(isSecure ? 9 : 8), at: "/")
        let at = authority.lastIndex(of: "@")
        let hostPart = at.map { authority[authority.index(after: $0)...] } ?? authority
        guard let (host, port) = WebSocketEndpoint.splitAuthority(hostPart) else { throw refuse("host or port is missing or malformed") }
        self.init(place: .tcp(host: host, port: port ?? 6379))
        self.isSecure = isSecure
        if let at {
            let (name, secret) = RedisEndpoint.split(authority[..<at], at: ":")
            guard let decodedName = RedisEndpoint.percentDecoded(name), let decodedSecret = RedisEndpoint.percentDecoded(secret ?? "")
            else {
                throw refuse("a broken %-escape in the credentials")
            }
            user = decodedName.isEmpty ? nil : decodedName
            password = secret == nil ? nil : decodedSecret
        }
        if let path, !path.isEmpty {
            guard let number = RedisEndpoint.database(path) else {
                throw refuse("'/\(Ascii.printable(path.utf8, limit: 40))' is no database number")
            }
            database = number
        }
    }

    private static func split(_ text: Substring, at mark: Character) -> (Substring, Substring?) {
        guard let place = text.firstIndex(of: mark) else { return (text, nil) }
        return (text[..<place], text[text.index(after: place)...])
    }

    private static func database(_ text: Substring) -> Int? {
        guard text.utf8.count <= 5, text.utf8.allSatisfy(Ascii.isDigit) else { return nil }
        return Int(text)
    }

    private static func percentDecoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            // UInt8(_:radix:) would take a sign for a digit.
            guard rest.count >= 2, rest.first != UInt8(ascii: "+"), rest.first != UInt8(ascii: "-"),
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// Without credentials: safe to log.
    public var description: String {
        switch place {
        case .tcp(let host, let port):
            "\(isSecure ? "rediss" : "redis")://\(host.contains(":") ? "[\(host)]" : host):\(port)/\(database)"
        case .unix(let path): "unix://\(path)" + (database == 0 ? "" : "?db=\(database)")
        }
    }
}
