// The one place that spawns processes. Any thread.

import Glibc

enum ChildProcess {
    /// POSIX_SPAWN_SETSID, which the C library declares only for GNU sources.
    private static let setsidFlag: Int16 = 0x80

    /// Starts a program with no signal blocked, default actions, a session of its own (the terminal's Ctrl-C
    /// is for us alone), standard input from nowhere, and the given descriptors under the given numbers.
    /// - Returns: the pid, or nil and an errno.
    static func spawn(_ path: String, _ arguments: [String], descriptors: [(ours: Int32, theirs: Int32)]) -> (pid: pid_t?, code: Int32) {
        var actions = unsafe posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawnattr_init(&attributes)
        defer {
            unsafe posix_spawn_file_actions_destroy(&actions)
            unsafe posix_spawnattr_destroy(&attributes)
        }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        // A number that a later step still needs must not be overwritten by an earlier one, so everything
        // moves out of the way first.
        let base = (descriptors.map(\.ours).max() ?? 0) + 1
        for (ours, theirs) in descriptors { unsafe posix_spawn_file_actions_adddup2(&actions, ours, base + theirs) }
        for (_, theirs) in descriptors {
            unsafe posix_spawn_file_actions_adddup2(&actions, base + theirs, theirs)
            unsafe posix_spawn_file_actions_addclose(&actions, base + theirs)
        }
        var none = sigset_t()
        var all = sigset_t()
        unsafe sigemptyset(&none)
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) | setsidFlag)
        var pid = pid_t()
        // Of our environment only what finds programs: it may hold secrets.
        var vector: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) } + [nil]
        let searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        var environment: [UnsafeMutablePointer<CChar>?] = unsafe [strdup(searchPath), nil]
        defer {
            for index in unsafe vector.indices { unsafe free(vector[index]) }
            unsafe free(environment[0])
        }
        let code = unsafe posix_spawn(&pid, path, &actions, &attributes, &vector, &environment)
        return code == 0 ? (pid, 0) : (nil, code)
    }
}
