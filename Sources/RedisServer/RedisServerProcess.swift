// A redis-server of our own, as a child process: what `--redis embedded` and the tests talk to.
//
// Control path only; any thread, one call at a time (a lock). The server never outlives us: the shell that
// becomes the server first leaves a watcher behind, which waits on a socket whose other end only this process
// holds. However we end, kill -9 included, that end closes, and the watcher stops the server and removes a
// temporary directory. The lock file is inherited by the server, so it is free again only when the server,
// too, has ended: a successor in the same directory waits for that instead of writing beside it.

package import FastFeed
import Glibc

package final class RedisServerProcess: Sendable {
    package struct Options: Sendable {
        /// Where data, log and socket live; made with mode 0700 if it is not there. Nil: a fresh temporary
        /// directory, removed at the end.
        package var directory: String?
        package var password: String?
        /// Whose password it is; nil means `default`.
        package var user: String?
        /// Further redis-server arguments, as in `["--appendonly", "no"]`; they win over everything else.
        package var arguments: [String] = []

        package init(directory: String? = nil) { self.directory = directory }
    }

    package let options: Options
    /// Absolute path of the directory in use.
    package let directory: String
    let executable: String
    let isTemporary: Bool
    /// Held for our whole life; also open in the server.
    let lockFile: Lock<Descriptor>

    struct Child: ~Copyable {
        let pid: pid_t
        /// Our end of the watcher's socket.
        let leash: Descriptor
    }
    let child = Lock<Child?>(nil)

    static let startTimeoutMs = 30_000
    /// A predecessor in the directory may take this long to end after its parent did.
    static let lockTimeoutMs = 8_000

    /// Starts the server and waits until it answers.
    /// - Throws: one sentence; with the last line of the server's log when it did not come up.
    package init(_ options: Options = Options()) throws(FeedError) {
        self.options = options
        executable = try RedisServerProcess.findExecutable()
        isTemporary = options.directory == nil
        directory = try RedisServerProcess.makeDirectory(options.directory)
        lockFile = Lock(try RedisServerProcess.takeLock(directory))
        guard SocketAddress(unixPath: directory + "/redis.sock") != nil else {
            throw FeedError(.configuration, "the directory '\(directory)' is too long for a Unix socket path (107 bytes)")
        }
        do {
            try launch()
        } catch {
            // deinit does not run for an object whose init throws.
            finish(timeoutMs: 1_000)
            throw error
        }
    }

    deinit { finish(timeoutMs: 2_000) }

    // MARK: Where to find it

    package var socketPath: String { directory + "/redis.sock" }
    package var logPath: String { directory + "/redis.log" }

    /// Over the Unix socket, with the password.
    package var endpoint: RedisEndpoint {
        var endpoint = RedisEndpoint(place: .unix(path: socketPath))
        (endpoint.user, endpoint.password) = (options.user, options.password)
        return endpoint
    }

    /// Process id while the server runs.
    package var pid: Int32? {
        child.withLock { child in
            RedisServerProcess.reapIfEnded(&child)
            return child?.pid
        }
    }

    // MARK: Ending and coming back

    /// Asks for SHUTDOWN, then SIGTERM, then SIGKILL, within about `timeoutMs` in all. Data stays; a temporary
    /// directory goes when this object does.
    package func stop(timeoutMs: Int = 4_000) {
        let deadlineNs = MonotonicClock.nowNs() + .ns(ms: timeoutMs)
        guard pid != nil else { return }
        if let client = try? RedisClient.connect(endpoint, timeout: .milliseconds(max(50, timeoutMs / 4))) {
            // The answer to SHUTDOWN is the end of the connection.
            _ = try? client.command(["SHUTDOWN"])
            client.close()
            if waitUntilEnded(untilNs: MonotonicClock.nowNs() + .ns(ms: timeoutMs / 2)) { return }
        }
        if let pid { kill(pid, SIGTERM) }
        if !waitUntilEnded(untilNs: deadlineNs) { kill9() }
    }

    /// kill -9, as a crash would be; returns when the process is gone.
    package func kill9() {
        guard let pid else { return }
        kill(pid, SIGKILL)
        _ = waitUntilEnded(untilNs: MonotonicClock.nowNs() + .ns(ms: 5_000))
    }

    /// Starts again in the same directory with the same options, after `stop` or `kill9` (or stops first).
    /// - Parameter waitsForAnswer: false returns as soon as the process runs; it may load its data for long.
    package func restart(waitsForAnswer: Bool = true) throws(FeedError) {
        stop()
        try launch(waitsForAnswer: waitsForAnswer)
    }

    private func waitUntilEnded(untilNs: UInt64) -> Bool {
        while pid != nil {
            if MonotonicClock.nowNs() >= untilNs { return false }
            usleep(2_000)
        }
        return true
    }

    private func finish(timeoutMs: Int) {
        stop(timeoutMs: timeoutMs)
        if isTemporary { RedisServerProcess.removeTree(directory) }
    }

    /// Takes the exit status of an ended server and lets the watcher go: from then on the pid may be anyone's.
    private static func reapIfEnded(_ child: inout Child?) {
        guard let pid = child?.pid, let leash = child?.leash.number else { return }
        // Look without reaping, tell the watcher, then reap: it must never signal a pid that is someone else's.
        var info = unsafe siginfo_t()
        guard unsafe waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_signo == SIGCHLD else { return }
        _ = unsafe write(leash, "\n", 1)
        child = nil
        waitpid(pid, nil, 0)
    }
}
