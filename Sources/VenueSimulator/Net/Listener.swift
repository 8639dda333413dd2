// The listening socket: loopback only.

package import FastFeed
import Glibc
import Synchronization

struct Listener: ~Copyable {
    private let descriptor: Descriptor
    let port: UInt16

    var number: Int32 { descriptor.number }

    /// - Parameter port: 0 takes any free one.
    init(port: UInt16) throws(SystemError) {
        let number = try Listener.bound(port)
        descriptor = Descriptor(owning: number)
        self.port = Listener.port(of: number)
    }

    private static func bound(_ port: UInt16) throws(SystemError) -> Int32 {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let number = socket(AF_INET, kind, 0)
        guard number >= 0 else { throw SystemError("socket") }
        var one: Int32 = 1
        unsafe setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let code = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic -> Int32 in
                if unsafe bind(number, generic, socklen_t(MemoryLayout<sockaddr_in>.size)) != 0 { return errno }
                return listen(number, 1_024) == 0 ? 0 : errno
            }
        }
        guard code == 0 else {
            _ = Glibc.close(number)
            throw SystemError("listen on port \(port)", code: code)
        }
        return number
    }

    private static func port(of number: Int32) -> UInt16 {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe getsockname(number, $0, &size) }
        }
        precondition(code == 0, "a bound socket has a name")
        return UInt16(bigEndian: address.sin_port)
    }

    /// Whoever is at the other end: `127.0.0.1`, or another address of the loopback net. What the exchange counts is counted by it.
    static func peerAddress(of number: Int32) -> String {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe getpeername(number, $0, &size) }
        }
        let bits = UInt32(bigEndian: address.sin_addr.s_addr)
        return [24, 16, 8, 0].map { String(bits >> UInt32($0) & 0xFF) }.joined(separator: ".")
    }

    /// An accepted, non-blocking socket, or nil when none waits.
    func accept() -> Int32? {
        let accepted = Glibc.accept(number, nil, nil)
        guard accepted >= 0 else { return nil }
        _ = fcntl(accepted, F_SETFL, O_NONBLOCK)
        _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
        return accepted
    }
}

/// For servers that must be told their port: tests and benchmarks start some.
///
/// Linux gives an outgoing connection a port from 32,768 on (`net.ipv4.ip_local_port_range`). A port from there can be gone before its
/// server starts, or while it starts again: these lie below.
package enum FreePort {
    private static let count = 10_000
    /// Processes that are started one after the other begin far from each other: by the golden ratio.
    private static let next = Mutex(Int(getpid()) * 6_181 % count)

    /// A TCP port of 127.0.0.1 that is free, and so is the one 10,000 above, where a node of a Redis Cluster has its bus. One process gets
    /// none twice.
    package static func find() throws(SystemError) -> UInt16 {
        for _ in 0..<count {
            let place = next.withLock { next in
                next += 1
                return next % count
            }
            let port = UInt16(10_000 + place)
            if isFree(port), isFree(port + 10_000) { return port }
        }
        throw SystemError("find a free port", code: EADDRINUSE)
    }

    private static func isFree(_ port: UInt16) -> Bool { (try? Listener(port: port)) != nil }
}
