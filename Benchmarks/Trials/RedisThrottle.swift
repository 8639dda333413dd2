// A Redis that is too slow, by a measure: it gets a fixed share of one core (SIGSTOP, SIGCONT). What counts is the CPU time
// that it has used, so that other programs' load does not change how much it can do. A thread of its own.

import FastFeed
import Foundation
import Synchronization

final class RedisThrottle: Sendable {
    /// Between two looks. Short: while it stands still only a socket's buffer (some 200 KB) is there for a subscriber to read.
    private static let tickMicroseconds: UInt32 = 2_000
    /// What it did not use is not saved up for longer than this.
    private static let savedNs = 20_000_000.0

    private let pid: Int32
    private let stopping = Atomic<Bool>(false)
    private let thread = Lock<PinnedThread?>(nil)

    /// - Parameter share: of a core that the server may have, between 0 and 1.
    init(pid: Int32, share: Double) throws {
        precondition(share > 0 && share < 1)
        self.pid = pid
        let started = try PinnedThread.start(name: "throttle") { self.run(share) }
        thread.withLock { $0 = started }
    }

    /// The server runs again when this returns.
    func stop() {
        stopping.store(true, ordering: .releasing)
        thread.withLock { $0.take()?.join() }
        kill(pid, SIGCONT)
    }

    private func run(_ share: Double) {
        PreciseTimers.enableOnThisThread()
        var balanceNs = 0.0
        var (lastNs, lastUsedNs) = (MonotonicClock.nowNs(), usedNs())
        while !stopping.load(ordering: .acquiring) {
            let (nowNs, nowUsedNs) = (MonotonicClock.nowNs(), usedNs())
            balanceNs += Double(nowNs - lastNs) * share - Double(nowUsedNs - lastUsedNs)
            balanceNs = min(balanceNs, RedisThrottle.savedNs * share)
            (lastNs, lastUsedNs) = (nowNs, nowUsedNs)
            kill(pid, balanceNs > 0 ? SIGCONT : SIGSTOP)
            usleep(RedisThrottle.tickMicroseconds)
        }
    }

    /// Of the server's main thread, which does all the work. (The kernel adds up when it stops, at the latest.)
    private func usedNs() -> UInt64 { ProcessorTime.ofTask("/proc/\(pid)") ?? 0 }
}
