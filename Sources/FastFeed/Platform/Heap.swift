// The allocator's own figures, where the program has chosen jemalloc; nil where it has not. Any thread.

import CShims

package enum HeapStatistics {
    /// Bytes in live allocations of the process.
    package static func allocatedBytes() -> UInt64? { known(ff_heap_allocated()) }

    /// Bytes the calling thread has ever allocated. Equal readings prove that nothing was allocated in between.
    package static func threadAllocatedBytes() -> UInt64? { known(ff_heap_thread_allocated()) }

    private static func known(_ bytes: UInt64) -> UInt64? { bytes == .max ? nil : bytes }
}
