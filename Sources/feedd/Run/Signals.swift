// How the program is told to end. SIGTERM and SIGINT are blocked in every thread and fetched by the main
// thread between its other duties, so that no code ever runs inside a signal handler.

import FastFeed
import Glibc

enum Signals {
    /// Call once, before any thread exists.
    static func claim() {
        signal(SIGPIPE, SIG_IGN)
        var mine = set
        unsafe pthread_sigmask(SIG_BLOCK, &mine, nil)
    }

    /// Waits for a request to end. Nil when none came in time.
    static func wait(milliseconds: Int) -> String? {
        var mine = set
        var time = timespec(tv_sec: milliseconds / 1_000, tv_nsec: milliseconds % 1_000 * 1_000_000)
        switch unsafe sigtimedwait(&mine, nil, &time) {
        case SIGTERM: return "SIGTERM"
        case SIGINT: return "SIGINT"
        default: return nil
        }
    }

    /// Waits until there is one.
    static func waitForOne() {
        while wait(milliseconds: 3_600_000) == nil {}
    }

    /// From now on the next request ends the process without further ado.
    static func endAtOnceOnNext() {
        let watch = try? PinnedThread.start(name: "second-signal") {
            waitForOne()
            _exit(130)
        }
        watch?.detach()
    }

    private static var set: sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGTERM)
        unsafe sigaddset(&set, SIGINT)
        return set
    }
}
