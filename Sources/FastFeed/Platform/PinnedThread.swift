// A thread with a name and, where asked, a core of its own. Any thread starts and joins it.

import CShims
import Glibc

package struct PinnedThread: Sendable {
    /// What the thread takes along.
    private final class Start: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private let handle: pthread_t

    /// Starts a joinable thread with all signals blocked, so that they go to the main thread.
    package static func start(
        name: String, core: Int? = nil, body: @escaping @Sendable () -> Void
    ) throws(SystemError) -> PinnedThread {
        let start = Start {
            unsafe ff_thread_name(name)
            // A refused pin (the core was taken from us meanwhile) costs speed, not correctness.
            if let core { _ = ff_thread_pin(Int32(core)) }
            body()
        }
        let context = unsafe Unmanaged.passRetained(start)
        var all = sigset_t()
        var previous = sigset_t()
        var handle = pthread_t()
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &previous)
        let code = unsafe pthread_create(
            &handle, nil,
            { context in
                unsafe Unmanaged<Start>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        unsafe pthread_sigmask(SIG_SETMASK, &previous, nil)
        guard code == 0 else {
            unsafe context.release()
            throw SystemError("pthread_create", code: code)
        }
        return PinnedThread(handle: handle)
    }

    /// Whoever asks runs on it.
    package var isCurrent: Bool { pthread_equal(handle, pthread_self()) != 0 }

    package func join() { pthread_join(handle, nil) }

    /// Gives up the right to join; the thread frees itself when it ends.
    package func detach() { pthread_detach(handle) }
}
