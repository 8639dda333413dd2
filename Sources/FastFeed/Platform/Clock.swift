// Time. One read per duty cycle on the hot path; the result is handed down. Any thread.

import CShims
import Glibc

@inline(__always)
private func read(_ clock: clockid_t) -> UInt64 {
    var now = timespec()
    unsafe clock_gettime(clock, &now)
    return UInt64(now.tv_sec) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
}

/// Monotonic nanoseconds: for deadlines and latencies, never for candles.
package enum MonotonicClock {
    @inline(__always)
    package static func nowNs() -> UInt64 { read(CLOCK_MONOTONIC) }
}

/// The system's clock, Unix time: it may be set, and go back.
package enum WallClock {
    package static func nowNs() -> Int64 { Int64(read(CLOCK_REALTIME)) }
    package static func nowMs() -> Int64 { nowNs() / 1_000_000 }
}

/// CPU time of the calling thread, for benchmarks.
package enum ThreadClock {
    package static func nowNs() -> UInt64 { read(CLOCK_THREAD_CPUTIME_ID) }

    /// What two readings with nothing between them show: a system call's worth, to be taken off short spans.
    package static func emptySpanNs() -> UInt64 {
        let spans = (0..<1_001).map { _ in
            let startNs = nowNs()
            return nowNs() - startNs
        }
        return spans.sorted()[500]
    }
}

package enum PreciseTimers {
    /// The calling thread's waits end when they are due; by default the kernel may add 50 µs to save wake-ups.
    package static func enableOnThisThread() { ff_thread_precise_timers() }
}
