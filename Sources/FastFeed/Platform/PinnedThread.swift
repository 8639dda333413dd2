// A thread with a name and, where asked, a core of its own.

import CShims
import Glibc
import Synchronization

package final class PinnedThread: @unchecked Sendable {
    // `handle` is written before `start` returns and only read afterwards.
    private var handle = pthread_t()
    private let name: String
    private let core: Int?
    private let body: @Sendable () -> Void

    private init(name: String, core: Int?, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.core = core
        self.body = body
    }

    /// Starts a joinable thread with all signals blocked, so that they go to the main thread.
    package static func start(
        name: String, core: Int? = nil, body: @escaping @Sendable () -> Void
    ) throws(SystemError) -> PinnedThread {
        let thread = PinnedThread(name: name, core: core, body: body)
        let context = unsafe Unmanaged.passRetained(thread).toOpaque()
        var all = sigset_t()
        var previous = sigset_t()
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &previous)
        let code = unsafe pthread_create(&thread.handle, nil, { unsafe PinnedThread.run($0) }, unsafe context)
        unsafe pthread_sigmask(SIG_SETMASK, &previous, nil)
        guard code == 0 else {
            unsafe Unmanaged<PinnedThread>.fromOpaque(context).release()
            throw SystemError("pthread_create", code: code)
        }
        return thread
    }

    /// Whoever asks runs on it.
    package var isCurrent: Bool { pthread_equal(handle, pthread_self()) != 0 }

    package func join() { pthread_join(handle, nil) }

    /// Gives up the right to join; the thread frees itself when it ends.
    package func detach() { pthread_detach(handle) }

    private static func run(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        let thread = unsafe Unmanaged<PinnedThread>.fromOpaque(context!).takeRetainedValue()
        unsafe ff_thread_name(thread.name)
        // A refused pin (the core was taken from us meanwhile) costs speed, not correctness.
        if let core = thread.core { _ = ff_thread_pin(Int32(core)) }
        thread.body()
        return nil
    }
}
