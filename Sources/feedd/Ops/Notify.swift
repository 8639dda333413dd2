// What a supervisor is told (sd_notify): ready, how it stands, alive, stopping. Main thread only. (Processes that are started from here have
// an environment of their own: RedisServer/ChildProcess.)

import FastFeed
import Glibc

struct Notify {
    private let path: String?
    /// Nil: nobody watches.
    let watchdogNs: UInt64?

    init(_ environment: [String: String]) {
        path = environment["NOTIFY_SOCKET"].flatMap { $0.hasPrefix("/") || $0.hasPrefix("@") ? $0 : nil }
        let isOurs = environment["WATCHDOG_PID"].map { $0 == String(getpid()) } ?? true
        let micros = environment["WATCHDOG_USEC"].flatMap { UInt64($0) }
        watchdogNs = path != nil && isOurs ? micros.flatMap { $0 > 0 && $0 < 86_400_000_000 ? $0 * 1_000 : nil } : nil
    }

    var isWanted: Bool { path != nil }

    /// A supervisor that does not listen is none: what cannot be sent is not said.
    func say(_ text: String) {
        guard let path else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
        // An abstract name begins with a zero.
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let number = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { return }
        defer { close(number) }
        let message = Array(text.utf8)
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                _ = unsafe sendto(number, message, message.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), generic, length)
            }
        }
    }
}
