// Where a socket connects to, as the kernel has it. A plain value, any thread.

import Glibc

/// A socket address of either family, or a Unix path.
package struct SocketAddress: Sendable, Equatable {
    package let family: Int32
    package let bytes: [UInt8]

    package init(family: Int32, bytes: [UInt8]) {
        (self.family, self.bytes) = (family, bytes)
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

    /// The address alone: 4 or 16 bytes, as they travel.
    package var addressBytes: ArraySlice<UInt8> { family == AF_INET ? bytes[4..<8] : family == AF_INET6 ? bytes[8..<24] : [] }

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
