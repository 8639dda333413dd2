// What the process holds, and what its allocator says of it. Any thread.

import CShims

package enum ProcessMemory {
    /// Resident set size in bytes.
    package static func residentBytes() -> UInt64 { ff_resident_bytes() }

    /// Gives back what only the start needed, code and heap; what is used again comes back by itself. For once, when all
    /// is under way.
    package static func giveBackStart() {
        ff_release_code()
        ff_heap_give_back()
    }

    /// Gives back what all threads have freed.
    package static func giveBackHeap() { ff_heap_give_back() }

    /// A core would hold passwords: none is written of this process, and nobody but root reads its memory.
    package static func refuseCoreDumps() { ff_refuse_core_dumps() }

    /// The calling thread keeps nothing of what it frees. For threads that need much at a time and seldom.
    package static func keepNothing() { ff_heap_lean_thread() }
}

/// The allocator's own figures, where the program has chosen jemalloc; nil where it has not.
package enum HeapStatistics {
    /// Bytes in live allocations of the process.
    package static func allocatedBytes() -> UInt64? { known(ff_heap_allocated()) }

    /// Bytes the calling thread has ever allocated. Equal readings prove that nothing was allocated in between.
    package static func threadAllocatedBytes() -> UInt64? { known(ff_heap_thread_allocated()) }

    private static func known(_ bytes: UInt64) -> UInt64? { bytes == .max ? nil : bytes }
}
