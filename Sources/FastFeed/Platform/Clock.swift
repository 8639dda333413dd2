// Time. One read per duty cycle on the hot path; the result is handed down.

import Glibc

/// Monotonic nanoseconds: for deadlines and latencies, never for candles.
package enum MonotonicClock {
    @inline(__always)
    package static func nowNs() -> UInt64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
    }
}

/// Unix milliseconds.
package enum WallClock {
    package static func nowMs() -> Int64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000 + Int64(now.tv_nsec) / 1_000_000
    }
}

/// CPU time of the calling thread, for benchmarks.
package enum ThreadClock {
    package static func nowNs() -> UInt64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
        return UInt64(now.tv_sec) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
    }

    /// What two readings with nothing between them show: a system call's worth, to be taken off short spans.
    package static func emptySpanNs() -> UInt64 {
        let spans = (0..<1_001).map { _ in
            let startNs = nowNs()
            return nowNs() - startNs
        }
        return spans.sorted()[500]
    }
}

/// CPU time and memory of the whole process (getrusage).
package struct ProcessUsage: Sendable {
    package let userNs: UInt64
    package let systemNs: UInt64

    package static func now() -> ProcessUsage {
        var usage = rusage()
        unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func ns(_ time: timeval) -> UInt64 { UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_usec) * 1_000 }
        return ProcessUsage(userNs: ns(usage.ru_utime), systemNs: ns(usage.ru_stime))
    }
}

/// Letting time pass, on threads that may.
package enum Pause {
    package static func milliseconds(_ count: UInt32) { usleep(count * 1_000) }
}
