// Host names to addresses without blocking an agent: getaddrinfo runs on a thread of its own. Any thread asks; the asker polls
// `answer` in its own duty cycle. At most 16 addresses.

import Glibc

/// One question to the resolver.
package final class ResolverQuery: Sendable {
    package enum Answer: Sendable {
        case addresses([SocketAddress])
        /// One sentence.
        case failed(String)
    }

    private let result: Lock<Answer?>

    /// Asks in the background; a numeric host is answered at once. The thread lives for one question: questions are as rare as
    /// reconnects.
    package init(host: String, port: UInt16) {
        let numeric = SocketAddress(numericHost: host, port: port)
        let result = Lock<Answer?>(numeric.map { .addresses([$0]) })
        self.result = result
        guard numeric == nil else { return }
        do {
            let thread = try PinnedThread.start(name: "resolver") {
                let answer = ResolverQuery.resolve(host, port)
                result.withLock { $0 = answer }
            }
            // Not joined: it ends by itself when getaddrinfo does, and holds only its own result.
            thread.detach()
        } catch {
            result.withLock { $0 = .failed("cannot resolve '\(host)': \(error)") }
        }
    }

    package var answer: Answer? { result.withLock { $0 } }

    private static func resolve(_ host: String, _ port: UInt16) -> Answer {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(host, String(port), &hints, &list)
        guard code == 0 else { return unsafe .failed("cannot resolve '\(host)': \(String(cString: gai_strerror(code)))") }
        defer { unsafe freeaddrinfo(list) }
        var found: [SocketAddress] = []
        var next = unsafe list
        while let entry = unsafe next?.pointee, found.count < 16 {
            if let address = unsafe entry.ai_addr {
                let bytes = unsafe UnsafeRawBufferPointer(start: address, count: Int(entry.ai_addrlen))
                unsafe found.append(SocketAddress(family: entry.ai_family, bytes: Array(bytes)))
            }
            unsafe next = unsafe entry.ai_next
        }
        return .addresses(found)
    }
}
