// The cores of this machine that are ours. Any thread.

import CShims
import Glibc

package enum Cores {
    /// The cores this process may use, lowest first.
    package static func allowed() -> [Int] {
        let cores = unsafe [Int32](unsafeUninitializedCapacity: 1_024) { cores, count in
            count = unsafe Int(ff_allowed_cores(cores.baseAddress, Int32(cores.count)))
        }
        return cores.map(Int.init)
    }

    /// How many may work at once: a control group's quota may be smaller than the number of cores.
    package static func usableCount() -> Int {
        min(allowed().count, ProcessorQuota().processors() ?? .max)
    }

    /// Binds a thread of any process; one that has ended meanwhile needs no core.
    package static func bind(thread: Int32, to core: Int) throws(SystemError) {
        let code = ff_thread_bind(thread, Int32(core))
        guard code == 0 || code == ESRCH else { throw SystemError("sched_setaffinity", code: code) }
    }

    @inline(__always)
    package static func pause() { ff_cpu_pause() }
}
