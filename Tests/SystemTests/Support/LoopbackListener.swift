// A TCP listener on a free port of 127.0.0.1, with one thread per connection: what scripted servers stand on.

import FastFeed
import Foundation
import Glibc
import Synchronization
import TestKit

final class LoopbackListener: Sendable {
    let port: UInt16
    private let listener: Int32
    private let stopping = Atomic<Bool>(false)
    private let threads = Lock(0)

    init() throws {
        let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(number, $0, size) == 0 && listen(number, 256) == 0 ? getsockname(number, $0, &size) : -1
            }
        }
        guard number >= 0, code == 0 else { throw FeedError(.system, "cannot listen: \(errno)") }
        listener = number
        port = UInt16(bigEndian: address.sin_port)
    }

    /// Gives each accepted socket to `serve` on a thread of its own; `serve` owns and closes it.
    func start(_ serve: @escaping @Sendable (Int32) -> Void) {
        Thread.detachNewThread { [self] in
            while true {
                let number = accept(listener, nil, nil)
                if stopping.load(ordering: .relaxed) {
                    if number >= 0 { close(number) }
                    return
                }
                guard number >= 0 else { continue }
                _ = fcntl(number, F_SETFD, FD_CLOEXEC)
                threads.withLock { $0 += 1 }
                Thread.detachNewThread { [self] in
                    serve(number)
                    threads.withLock { $0 -= 1 }
                }
            }
        }
    }

    /// Takes no more connections and waits for the threads; clients should be gone by now.
    func stop() {
        guard !stopping.exchange(true, ordering: .relaxed) else { return }
        shutdown(listener, Int32(SHUT_RDWR))
        _ = comesTrue(within: 15) { threads.withLock { $0 } == 0 }
        close(listener)
    }
}
