// For servers that must be told their port: tests and benchmarks start some. Any thread.

import FastFeed
import Glibc

package enum FreePort {
    /// A TCP port of 127.0.0.1 that was free a moment ago.
    package static func find() throws -> UInt16 {
        let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(number) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = unsafe withUnsafeMutablePointer(to: &address) { place in
            unsafe place.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(number, $0, size) == 0 ? getsockname(number, $0, &size) : -1
            }
        }
        guard code == 0 else { throw FeedError(.system, "no free TCP port") }
        return UInt16(bigEndian: address.sin_port)
    }
}
