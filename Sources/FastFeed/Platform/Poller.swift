// Readiness of descriptors (epoll, level-triggered). One poller per thread, shared by its agents.
//
// The registered word carries who asked (agent), for what (slot) and which use of the slot (generation):
// a report for a connection that has been replaced in the same turn is recognised and dropped.

import CShims
import Glibc

/// What a descriptor is ready for.
package struct Readiness: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let readable = Readiness(rawValue: 1)
    package static let writable = Readiness(rawValue: 2)
    /// Error or hang-up; reported together with the other two so that the next read or write names it.
    package static let hangUp = Readiness(rawValue: 4)
}

/// The 64-bit word behind a registration.
package struct PollToken: Sendable, Equatable {
    package let rawValue: UInt64

    package init(agent: UInt8, generation: UInt32, slot: UInt32) {
        rawValue = UInt64(agent) << 56 | UInt64(generation & 0xFF_FFFF) << 32 | UInt64(slot)
    }

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package var agent: Int { Int(rawValue >> 56) }
    package var generation: UInt32 { UInt32(rawValue >> 32 & 0xFF_FFFF) }
    /// It is of this use of its slot; the token keeps 24 bits of the generation.
    package func matches(_ generation: UInt32) -> Bool { self.generation == generation & 0xFF_FFFF }
    package var slot: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
}

@safe package final class Poller {
    private let descriptor: Int32
    private let ready: UnsafeMutablePointer<ff_ready>
    /// Nil for the real one. A virtual kernel keeps the registrations itself, and whoever runs it hands out the reports.
    package let kernel: (any VirtualKernel)?

    package init() throws(SystemError) {
        let created = ff_poll_create()
        guard created >= 0 else { throw SystemError("epoll_create", code: -created) }
        descriptor = created
        kernel = nil
        unsafe ready = .allocate(capacity: Int(FF_READY_MAX))
        unsafe ready.initialize(repeating: ff_ready(), count: Int(FF_READY_MAX))
    }

    package init(_ kernel: any VirtualKernel) {
        descriptor = -1
        self.kernel = kernel
        unsafe ready = .allocate(capacity: 0)
    }

    deinit {
        unsafe ready.deallocate()
        if kernel == nil { _ = Glibc.close(descriptor) }
    }

    package var nowNs: UInt64 { kernel == nil ? MonotonicClock.nowNs() : virtualNowNs() }

    /// Apart, so that reading the clock counts no reference on the hot path.
    @inline(never)
    private func virtualNowNs() -> UInt64 { kernel!.nowNs }

    package func add(_ number: Int32, _ interest: Readiness, token: PollToken) throws(SystemError) {
        if let kernel { return kernel.add(number, interest, token: token) }
        let code = ff_poll_control(descriptor, 1, number, interest.rawValue, token.rawValue)
        if code != 0 { throw SystemError("epoll_ctl", code: -code) }
    }

    /// Changes the interest of a registered descriptor. Failing here can only be a bug.
    package func change(_ number: Int32, _ interest: Readiness, token: PollToken) {
        if let kernel { return kernel.change(number, interest, token: token) }
        let code = ff_poll_control(descriptor, 2, number, interest.rawValue, token.rawValue)
        precondition(code == 0, "epoll_ctl on a descriptor that is not registered")
    }

    package func remove(_ number: Int32) {
        if let kernel { return kernel.remove(number) }
        _ = ff_poll_control(descriptor, 3, number, 0, 0)
    }

    /// Waits and returns how many reports `report(_:)` can be asked for. A negative time waits for ever.
    package func wait(timeoutNs: Int64) -> Int {
        let count = unsafe ff_poll_wait(descriptor, ready, Int32(FF_READY_MAX), timeoutNs)
        precondition(count >= 0, "epoll_wait refused a valid call")
        return Int(count)
    }

    @inline(__always)
    package func report(_ index: Int) -> (token: PollToken, readiness: Readiness) {
        unsafe (PollToken(rawValue: ready[index].token), Readiness(rawValue: ready[index].events))
    }
}
