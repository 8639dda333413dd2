// A transport and what its poller is asked to report about it. Its owner's thread.

import Glibc

/// Without a port nobody is asked: its owner polls `number` for `interest` by other means.
@safe package struct PolledTransport: ~Copyable {
    package var transport: Transport
    package private(set) var interest: Readiness
    private let port: PollerPort?
    private let token: PollToken

    /// Begins to connect, and waits for the outcome: it is known when the socket is writable.
    static func connect(to address: SocketAddress, port: PollerPort?, token: PollToken) throws(SystemError) -> PolledTransport {
        let made = try Transport.connect(to: address, kernel: port?.poller.kernel)
        try port?.poller.add(made.number, .writable, token: token)
        return PolledTransport(transport: made, interest: .writable, port: port, token: token)
    }

    package var number: Int32 { transport.number }

    /// For owners without a poller: waits until a descriptor is ready, or until the instant (a minute at most).
    static func wait(_ number: Int32, _ interest: Readiness, nowNs: UInt64, untilNs: UInt64) {
        let events = (interest.contains(.readable) ? POLLIN : 0) | (interest.contains(.writable) ? POLLOUT : 0)
        var entry = pollfd(fd: number, events: Int16(events), revents: 0)
        unsafe _ = Glibc.poll(&entry, 1, nowNs < untilNs ? Int32(min(60_000, (untilNs - nowNs) / 1_000_000 + 1)) : 0)
    }

    /// A descriptor without interest is taken out of the poller, which would report a hang-up all the same.
    package mutating func setInterest(_ wanted: Readiness) {
        guard wanted != interest else { return }
        change(to: wanted)
    }

    private mutating func change(to wanted: Readiness) {
        defer { interest = wanted }
        guard let poller = port?.poller else { return }
        if wanted.isEmpty {
            poller.remove(number)
        } else if interest.isEmpty {
            // It was registered before; the kernel can only be out of memory, and then the deadlines notice.
            try? poller.add(number, wanted, token: token)
        } else {
            poller.change(number, wanted, token: token)
        }
    }
}
