// The figures of jemalloc, where the program has linked it as its allocator: what lives, and what one thread has allocated.
#ifndef FF_HEAP_H
#define FF_HEAP_H

#include <stdint.h>

/// Bytes in live allocations of the process. UINT64_MAX when jemalloc is not linked.
uint64_t ff_heap_allocated(void);

/// Bytes ever allocated by the calling thread; two readings with the same value prove that nothing was
/// allocated in between. UINT64_MAX when jemalloc is not linked.
uint64_t ff_heap_thread_allocated(void);

/// Gives pages that hold no allocation back to the system at once; nothing without jemalloc. By itself jemalloc does so ten
/// seconds later, and only in threads that go on allocating.
void ff_heap_give_back(void);

/// From now on what the calling thread frees goes back to the system at once; such threads share one arena. For threads that need much
/// at a time and seldom: by itself jemalloc keeps it for them. Nothing without jemalloc.
void ff_heap_lean_thread(void);

#endif
