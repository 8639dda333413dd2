// Who is let in, and to do what: by Host, token, session and origin. Pure but for the table of sessions, which the ops thread owns.

import FastFeed

/// How one proves to be allowed.
struct AccessRules: Sendable {
    /// Nil: who reaches the address may look, and nobody may change anything.
    var token: String?
    /// Names besides this machine's own under which the server is reached, in lower case.
    var hosts: Set<String> = []

    /// Nil when the request may go on; else the answer.
    /// - Parameter isSession: its cookie is that of a session.
    func refusal(_ head: RequestHead, isSession: Bool) -> HTTPAnswer? {
        guard isOurHost(head) else { return .refusal(421, "this server is not called by that name (see --ops-host)") }
        // A page of somebody else's may ask without seeing the answer, and questions cost weight at the exchange.
        if let site = head.fetchSite, site != "same-origin" && site != "none" && head.path != "/" {
            return .refusal(403, "the request comes from another site")
        }
        guard let token else { return nil }
        // The page holds nothing of the service: it asks for the token.
        if AccessRules.isOpen(head.path) || ["/", "/login"].contains(head.path) || head.path.hasPrefix("/assets/") { return nil }
        if isSession || AccessRules.bearer(head).map({ AccessRules.equals($0, token) }) ?? false { return nil }
        var answer = HTTPAnswer.refusal(401, "a token is needed: Authorization: Bearer, or POST /login")
        answer.headers = [("WWW-Authenticate", "Bearer")]
        return answer
    }

    /// What changes something: nil when it may.
    func writeRefusal(_ head: RequestHead) -> HTTPAnswer? {
        guard token != nil else {
            return .refusal(403, "this server only shows: --ops-token-file lets those who know the token change something")
        }
        if let origin = head.origin, !isSameOrigin(origin, head) { return .refusal(403, "the request comes from another origin") }
        guard head.contentType?.split(separator: ";").first?.lowercased() == "application/json" else {
            return .refusal(415, "Content-Type must be application/json")
        }
        return nil
    }

    /// Supervisors ask these two without a token; they say one word then.
    static func isOpen(_ path: String) -> Bool { path == "/livez" || path == "/readyz" }

    static func bearer(_ head: RequestHead) -> String? {
        guard let text = head.authorization, text.lowercased().hasPrefix("bearer ") else { return nil }
        return String(text.dropFirst(7).drop { $0 == " " })
    }

    /// Takes as long for a wrong text as for the right one.
    static func equals(_ text: String, _ secret: String) -> Bool {
        let (a, b) = (Array(text.utf8), Array(secret.utf8))
        var difference = a.count ^ b.count
        for index in b.indices { difference |= Int(b[index] ^ (index < a.count ? a[index] : 0)) }
        return difference == 0
    }

    /// A name that leads here is not proof: under DNS rebinding a foreign page has one, too.
    private func isOurHost(_ head: RequestHead) -> Bool {
        guard head.hostCount == 1, let host = head.host, let name = AccessRules.name(of: host) else { return false }
        if hosts.contains(name) { return true }
        let isLoopback = SocketAddress(numericHost: head.local, port: 0)?.isLoopback ?? false
        if isLoopback && ["localhost", "127.0.0.1", "::1"].contains(name) { return true }
        guard let named = SocketAddress(numericHost: name, port: 0), let local = SocketAddress(numericHost: head.local, port: 0) else {
            return false
        }
        return named.addressBytes == local.addressBytes
    }

    /// The host of `host[:port]` in lower case, without the brackets of an IPv6 address; nil for another text.
    static func name(of host: String) -> String? { Authority(Substring(host), portElse: 80)?.host.lowercased() }

    private func isSameOrigin(_ origin: String, _ head: RequestHead) -> Bool {
        guard let host = head.host, let scheme = ["http://", "https://"].first(where: origin.hasPrefix) else { return false }
        return origin.dropFirst(scheme.count).lowercased() == host.lowercased()
    }
}

/// Who has shown the token to `/login`. Bounded: the oldest session goes first.
struct SessionBook {
    private static let lifeNs: UInt64 = 12 * 3_600 * 1_000_000_000
    private static let failuresMax = 5
    private static let addressesMax = 1_024
    static let cookieName = "feedd_session"

    private var sessions: [(id: String, untilNs: UInt64)] = []
    /// By address: when it has failed within the last minute.
    private var failures: [String: [UInt64]] = [:]

    mutating func begin(nowNs: UInt64) -> String {
        let id = (0..<4).map { _ in Ascii.hex(SystemRandom.word()) }.joined()
        sessions.removeAll { $0.untilNs <= nowNs }
        if sessions.count >= OpsLimits.sessionsMax { sessions.removeFirst() }
        sessions.append((id, nowNs + SessionBook.lifeNs))
        return id
    }

    mutating func end(_ head: RequestHead) {
        guard let id = SessionBook.cookie(head) else { return }
        sessions.removeAll { AccessRules.equals(id, $0.id) }
    }

    func holds(_ head: RequestHead, nowNs: UInt64) -> Bool {
        guard let id = SessionBook.cookie(head) else { return false }
        return sessions.contains { $0.untilNs > nowNs && AccessRules.equals(id, $0.id) }
    }

    /// True when the address has failed too often to be listened to.
    mutating func isBarred(_ peer: String, nowNs: UInt64) -> Bool {
        failures[peer]?.removeAll { nowNs &- $0 > 60_000_000_000 }
        if failures[peer]?.isEmpty == true { failures[peer] = nil }
        return failures[peer]?.count ?? 0 >= SessionBook.failuresMax
    }

    mutating func noteFailure(_ peer: String, nowNs: UInt64) {
        if failures.count >= SessionBook.addressesMax && failures[peer] == nil { failures.removeAll() }
        failures[peer, default: []].append(nowNs)
    }

    private static func cookie(_ head: RequestHead) -> String? {
        let pairs = (head.cookie ?? "").split(separator: ";").map { $0.drop { $0 == " " } }
        return pairs.first { $0.hasPrefix(cookieName + "=") }.map { String($0.dropFirst(cookieName.count + 1)) }
    }
}
