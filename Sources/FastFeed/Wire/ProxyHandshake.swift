// What is said to a proxy before the exchange's own bytes: CONNECT (RFC 9110, 9.3.6) or SOCKS 5 (RFC 1928, 1929). Pure: bytes in, verdict
// out; in pieces of any size. At most a head of `Limits.handshakeBytesMax`, or 262 bytes of SOCKS, are kept.

package struct ProxyHandshake: ~Copyable {
    package enum Step: Equatable {
        /// More has to come, once these bytes have gone out.
        case pending(send: [UInt8])
        /// From here on the connection is one to the place.
        case through
        /// The reason in one sentence.
        case failed(String)
    }

    private enum Phase {
        case connect, method, credentials, reply
    }

    /// What we begin with.
    package let opening: [UInt8]
    private let proxy: ProxyEndpoint
    private let place: Authority
    private let address: SocketAddress?
    private var phase: Phase
    private var head = ResponseHeadDecoder(versions: ["HTTP/1.1", "HTTP/1.0"])
    /// SOCKS bytes that are not understood yet.
    private var bytes: [UInt8] = []

    /// - Parameter address: the place's, where its name was resolved here.
    package init(_ proxy: ProxyEndpoint, to place: Authority, at address: SocketAddress? = nil) {
        (self.proxy, self.place, self.address) = (proxy, place, address ?? place.numericAddress)
        if proxy.scheme == .http {
            (opening, phase) = (ProxyHandshake.connectRequest(proxy, place), .connect)
        } else {
            (opening, phase) = (proxy.user == nil ? [5, 1, 0] : [5, 2, 0, 2], .method)
        }
    }

    package mutating func feed(_ chunk: some Collection<UInt8>) -> Step {
        if phase == .connect { return takeHead(chunk) }
        bytes.append(contentsOf: chunk)
        let step = takeMessage()
        // An answer to what has not gone out yet is none.
        if case .pending(let send) = step, !send.isEmpty, !bytes.isEmpty { return refuse(.malformed(ProxyHandshake.surplus)) }
        return step
    }

    private static let surplus = "bytes behind its end"

    private func refuse(_ refusal: ProxyRefusal) -> Step { .failed(proxy.sentence(refusal, place)) }

    /// What comes before anything was asked of the place cannot be the place's.
    private func end(rest count: Int) -> Step { count == 0 ? .through : refuse(.malformed(ProxyHandshake.surplus)) }

    // MARK: HTTP

    private static func connectRequest(_ proxy: ProxyEndpoint, _ place: Authority) -> [UInt8] {
        var text = "CONNECT \(place) HTTP/1.1\r\nHost: \(place)\r\nUser-Agent: FastFeed/\(FastFeedVersion.text)\r\n"
        if let user = proxy.user, let password = proxy.password {
            text += "Proxy-Authorization: Basic \(UpgradeRequest.base64(Array("\(user):\(password)".utf8)))\r\n"
        }
        return Array((text + "\r\n").utf8)
    }

    private mutating func takeHead(_ chunk: some Collection<UInt8>) -> Step {
        switch head.feed(chunk) {
        case .needMore: return .pending(send: [])
        case .otherProtocol: return refuse(.otherProtocol)
        case .malformed(let what): return refuse(.malformed(what))
        case .complete(let head, let rest) where (200...299).contains(head.status): return end(rest: rest.count)
        case .complete(let head, _):
            let phrase = Ascii.printable(head.phrase.utf8, limit: Limits.proxyPhraseShownBytesMax)
            let schemes = head.values("proxy-authenticate").map { value in
                Ascii.printable(value.prefix { $0 != " " }.utf8, limit: Limits.proxyPhraseShownBytesMax)
            }
            return refuse(.status(head.status, phrase: phrase, schemes: Array(schemes.prefix(4))))
        }
    }

    // MARK: SOCKS

    /// The next whole message of the proxy: `.pending` with what it asks for, or with nothing when it has not come yet.
    private mutating func takeMessage() -> Step {
        guard let version = bytes.first else { return .pending(send: []) }
        // The second of the two protocols has a version of its own, and servers that write 5 for it.
        guard version == 5 || phase == .credentials && version == 1 else { return refuse(.otherProtocol) }
        guard bytes.count >= 2 else { return .pending(send: []) }
        switch (phase, bytes[1]) {
        case (.method, 0): return go(to: .reply, send: connectCommand)
        case (.method, 2) where proxy.user != nil: return go(to: .credentials, send: credentials)
        case (.method, _): return refuse(.credentials)
        case (.credentials, 0): return go(to: .reply, send: connectCommand)
        case (.credentials, _): return refuse(.credentials)
        case (_, 0): return takeReply()
        case (_, let code): return refuse(.socks(code))
        }
    }

    private mutating func go(to next: Phase, send: [UInt8]) -> Step {
        bytes.removeFirst(2)
        phase = next
        return .pending(send: send)
    }

    private func takeReply() -> Step {
        guard bytes.count >= 5 else { return .pending(send: []) }
        let length: Int
        switch bytes[3] {
        case 1: length = 10
        case 3: length = 7 + Int(bytes[4])
        case 4: length = 22
        case let kind: return refuse(.malformed("an address of kind \(kind)"))
        }
        return bytes.count < length ? .pending(send: []) : end(rest: bytes.count - length)
    }

    private var credentials: [UInt8] {
        // Their lengths were checked with the URL.
        [1] + [proxy.user, proxy.password].flatMap { text in [UInt8((text ?? "").utf8.count)] + (text ?? "").utf8 }
    }

    private var connectCommand: [UInt8] {
        let name = Array(place.host.utf8)
        let target: [UInt8] =
            if let address { [address.addressBytes.count == 4 ? 1 : 4] + address.addressBytes } else { [3, UInt8(name.count)] + name }
        return [5, 1, 0] + target + [UInt8(place.port >> 8), UInt8(place.port & 0xFF)]
    }
}
