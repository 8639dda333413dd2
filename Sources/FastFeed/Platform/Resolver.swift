// Host names to addresses without blocking an agent: getaddrinfo runs on a thread of its own.

import Glibc

/// A socket address of either family, or a Unix path.
package struct SocketAddress: Sendable, Equatable {
    package let family: Int32
    package let bytes: [UInt8]

    package init(family: Int32, bytes: [UInt8]) {
        self.family = family
        self.bytes = bytes
    }

    /// A numeric IPv4 or IPv6 address; nil for a name.
    package init?(numericHost host: String, port: UInt16) {
        var v4 = sockaddr_in()
        v4.sin_family = sa_family_t(AF_INET)
        v4.sin_port = port.bigEndian
        if unsafe inet_pton(AF_INET, host, &v4.sin_addr) == 1 {
            unsafe self.init(family: AF_INET, bytes: withUnsafeBytes(of: v4) { unsafe Array($0) })
            return
        }
        var v6 = sockaddr_in6()
        v6.sin6_family = sa_family_t(AF_INET6)
        v6.sin6_port = port.bigEndian
        guard unsafe inet_pton(AF_INET6, host, &v6.sin6_addr) == 1 else { return nil }
        unsafe self.init(family: AF_INET6, bytes: withUnsafeBytes(of: v6) { unsafe Array($0) })
    }

    /// A Unix socket path; nil when it is longer than the kernel takes (107 bytes).
    package init?(unixPath path: String) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        unsafe self.init(family: AF_UNIX, bytes: withUnsafeBytes(of: address) { unsafe Array($0) })
    }

    /// True for 127.0.0.0/8, ::1 and Unix sockets.
    package var isLoopback: Bool {
        switch family {
        case AF_UNIX: true
        case AF_INET: bytes.count > 4 && bytes[4] == 127
        case AF_INET6: bytes.count >= 24 && bytes[8..<23].allSatisfy { $0 == 0 } && bytes[23] == 1
        default: false
        }
    }
}

/// One question to the resolver; the asker polls `answer` in its own duty cycle.
package final class ResolverQuery: Sendable {
    package enum Answer: Sendable {
        case addresses([SocketAddress])
        case failed(String)
    }

    package let host: String
    package let port: UInt16
    fileprivate let result = Lock<Answer?>(nil)
    private let wakeUp: WakeUp?

    init(host: String, port: UInt16, wakeUp: WakeUp?) {
        self.host = host
        self.port = port
        self.wakeUp = wakeUp
    }

    package var answer: Answer? { result.withLock { $0 } }

    func resolve() {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(host, String(port), &hints, &list)
        let answer: Answer
        if code == 0 {
            answer = unsafe .addresses(ResolverQuery.addresses(of: list))
            unsafe freeaddrinfo(list)
        } else {
            answer = unsafe .failed(String(cString: gai_strerror(code)))
        }
        result.withLock { $0 = answer }
        wakeUp?.signal()
    }

    private static func addresses(of list: UnsafeMutablePointer<addrinfo>?) -> [SocketAddress] {
        var found: [SocketAddress] = []
        var next = unsafe list
        while let entry = unsafe next?.pointee, found.count < 16 {
            if let address = unsafe entry.ai_addr {
                let bytes = unsafe UnsafeRawBufferPointer(start: address, count: Int(entry.ai_addrlen))
                unsafe found.append(SocketAddress(family: entry.ai_family, bytes: Array(bytes)))
            }
            unsafe next = unsafe entry.ai_next
        }
        return found
    }
}

package enum Resolver {
    /// Asks in the background. A numeric host is answered at once. The thread lives for one question:
    /// questions are as rare as reconnects.
    package static func ask(host: String, port: UInt16, wakeUp: WakeUp?) -> ResolverQuery {
        let query = ResolverQuery(host: host, port: port, wakeUp: wakeUp)
        if SocketAddress(numericHost: host, port: port) != nil {
            query.resolve()
        } else {
            do {
                // Not joined: it ends by itself when getaddrinfo does, and holds only its own query.
                let thread = try PinnedThread.start(name: "resolver") { query.resolve() }
                thread.detach()
            } catch {
                query.fail("\(error)")
            }
        }
        return query
    }
}

extension ResolverQuery {
    func fail(_ reason: String) { result.withLock { $0 = .failed(reason) } }
}
