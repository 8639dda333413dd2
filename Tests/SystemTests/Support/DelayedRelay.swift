// Stands in front of a server on 127.0.0.1 and hands on what it says later, as a slow line does: a connection stays up, and what comes
// over it is old. What is said to the server goes on at once.

import FastFeed
import Glibc
import Synchronization

final class DelayedRelay: Sendable {
    private let listener: LoopbackListener
    private let delayNs = Atomic<UInt64>(0)
    private let refuses = Atomic<Bool>(false)

    var port: UInt16 { listener.port }

    init(to server: UInt16) throws {
        listener = try LoopbackListener()
        listener.start { [self] client in
            defer { close(client) }
            guard !refuses.load(ordering: .relaxed), let upstream = DelayedRelay.connect(server) else { return }
            defer { close(upstream) }
            relay(client, upstream)
        }
    }

    /// What comes from now on.
    func setDelay(seconds: UInt64) { delayNs.store(seconds * 1_000_000_000, ordering: .relaxed) }

    /// Ends what there is, and takes nobody.
    func refuse(_ refuses: Bool) { self.refuses.store(refuses, ordering: .relaxed) }

    func stop() { listener.stop() }

    /// Until one of the two has ended.
    private func relay(_ client: Int32, _ upstream: Int32) {
        var late: ArraySlice<(dueNs: UInt64, bytes: [UInt8])> = []
        while !refuses.load(ordering: .relaxed) {
            var places = [client, upstream].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&places, 2, 20) >= 0 else { return }
            if places[0].revents != 0 {
                guard let bytes = DelayedRelay.read(client), DelayedRelay.write(bytes, to: upstream) else { return }
            }
            let nowNs = MonotonicClock.nowNs()
            if places[1].revents != 0 {
                guard let bytes = DelayedRelay.read(upstream) else { return }
                late.append((nowNs + delayNs.load(ordering: .relaxed), bytes))
            }
            while let first = late.first, first.dueNs <= nowNs {
                guard DelayedRelay.write(first.bytes, to: client) else { return }
                late.removeFirst()
            }
        }
    }

    private static func connect(_ port: UInt16) -> Int32? {
        let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if code == 0 { return number }
        close(number)
        return nil
    }

    private static func read(_ number: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 64 * 1024)
        let count = Glibc.read(number, &bytes, bytes.count)
        return count > 0 ? Array(bytes.prefix(count)) : nil
    }

    private static func write(_ bytes: [UInt8], to number: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { send(number, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}
