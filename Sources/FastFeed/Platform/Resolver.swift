// Host names to addresses without blocking an agent: getaddrinfo runs on a thread of its own.

import Glibc

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
