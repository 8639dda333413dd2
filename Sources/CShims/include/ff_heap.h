// jemalloc, the process's allocator: its statistics, and what one thread has allocated.
#ifndef FF_HEAP_H
#define FF_HEAP_H

#include <stdint.h>

typedef struct ff_heap_stats {
    uint64_t allocated;  ///< bytes in live allocations
    uint64_t active;     ///< bytes in pages that hold them
    uint64_t resident;   ///< bytes of physical memory mapped by the allocator
    uint64_t mapped;     ///< bytes of address space mapped by the allocator
} ff_heap_stats;

/// Refreshes and reads the process-wide statistics. Returns 0, or -1 when malloc is not jemalloc's.
int ff_heap_read(ff_heap_stats *out);

/// Bytes ever allocated by the calling thread; two readings with the same value prove that nothing was
/// allocated in between. UINT64_MAX when malloc is not jemalloc's.
uint64_t ff_heap_thread_allocated(void);

/// Gives pages that hold no allocation back to the system at once. By itself jemalloc does so ten seconds later, and
/// only in threads that go on allocating.
void ff_heap_give_back(void);

#endif
