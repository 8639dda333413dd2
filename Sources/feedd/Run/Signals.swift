// How the program is told to end: SIGTERM, SIGINT, and SIGHUP when its terminal goes (not under nohup, which ignores it). They are
// blocked in every thread and fetched by the main thread between its other duties, so that no code ever runs inside a signal handler.

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
        case SIGHUP: return "SIGHUP"
        default: return nil
        }
    }

    /// Waits until a signal asks for the end.
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

    /// Nobody has told it to live on without its terminal.
    private static let takesHangUp: Bool = {
        var action = sigaction()
        guard unsafe sigaction(SIGHUP, nil, &action) == 0 else { return false }
        let handlers = unsafe (unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self), unsafeBitCast(SIG_IGN, to: Int.self))
        return handlers.0 != handlers.1
    }()

    private static var set: sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGTERM)
        unsafe sigaddset(&set, SIGINT)
        if takesHangUp { unsafe sigaddset(&set, SIGHUP) }
        return set
    }
}
