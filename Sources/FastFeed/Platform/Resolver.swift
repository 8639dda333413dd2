// Host names to addresses without blocking an agent: getaddrinfo runs on a thread of its own. Any thread asks; the asker polls
// `answer` in its own duty cycle. At most 16 addresses. Who gives up leaves the thread behind until getaddrinfo ends, so who asks for the
// same meanwhile joins it. Bound: `Limits.resolverThreadsMax`.

import Glibc

/// One question to the resolver.
package final class ResolverQuery: Sendable {
    package enum Answer: Sendable {
        case addresses([SocketAddress])
        /// The reason in one sentence.
        case failed(String)
    }

    private let result: Lock<Answer?>

    /// Asks in the background; a numeric host is answered at once. The thread lives for one question: questions are as rare as
    /// reconnects.
    package init(host: String, port: UInt16, board: ResolverBoard = .process) {
        let numeric = SocketAddress(numericHost: host, port: port)
        result = numeric.map { Lock(.addresses([$0])) } ?? board.ask(host, port)
    }

    package var answer: Answer? { result.withLock { $0 } }

    package static func resolve(_ host: String, _ port: UInt16) -> Answer {
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

/// The questions that are under way.
package final class ResolverBoard: Sendable {
    package static let process = ResolverBoard()

    private struct Question: Hashable {
        let host: String
        let port: UInt16
    }

    private let resolve: @Sendable (String, UInt16) -> ResolverQuery.Answer
    private let running = Lock<[Question: Lock<ResolverQuery.Answer?>]>([:])

    package init(resolve: @escaping @Sendable (String, UInt16) -> ResolverQuery.Answer = ResolverQuery.resolve) { self.resolve = resolve }

    /// Asks, unless somebody is asking already; the answer will stand in what is returned.
    func ask(_ host: String, _ port: UInt16) -> Lock<ResolverQuery.Answer?> {
        let question = Question(host: host, port: port)
        return running.withLock { running in
            if let known = running[question] { return known }
            guard running.count < Limits.resolverThreadsMax else {
                return Lock(.failed("cannot resolve '\(host)': \(running.count) names are being looked up already"))
            }
            let result = Lock<ResolverQuery.Answer?>(nil)
            do {
                let thread = try PinnedThread.start(name: "resolver") { [self] in
                    let answer = resolve(host, port)
                    self.running.withLock { $0[question] = nil }
                    result.withLock { $0 = answer }
                }
                // Not joined: it ends by itself when getaddrinfo does, and holds only the board and the result.
                thread.detach()
            } catch {
                return Lock(.failed("cannot resolve '\(host)': \(error)"))
            }
            running[question] = result
            return result
        }
    }
}
