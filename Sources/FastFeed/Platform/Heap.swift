// The allocator's own figures (jemalloc). Any thread.

import CShims

package struct HeapStatistics: Sendable {
    package let allocatedBytes: UInt64
    package let residentBytes: UInt64

    /// Nil when the process runs on another allocator (a sanitizer's).
    package static func read() -> HeapStatistics? {
        var stats = ff_heap_stats()
        guard unsafe ff_heap_read(&stats) == 0 else { return nil }
        return HeapStatistics(allocatedBytes: stats.allocated, residentBytes: stats.resident)
    }

    /// Bytes the calling thread has ever allocated; nil as above. Equal readings prove that nothing was
    /// allocated in between.
    package static func threadAllocatedBytes() -> UInt64? {
        let bytes = ff_heap_thread_allocated()
        return bytes == .max ? nil : bytes
    }
}
