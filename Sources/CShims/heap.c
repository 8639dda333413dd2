// The allocator's own figures. Any thread.

#include "ff_heap.h"

#include <stddef.h>

/// jemalloc's one door, as its manual describes it. Weak: NULL in a program that has not chosen jemalloc.
__attribute__((weak)) int mallctl(const char *name, void *old, size_t *old_size, void *new, size_t new_size);

uint64_t ff_heap_allocated(void) {
    uint64_t epoch = 1;
    size_t allocated, size = sizeof epoch;
    if (mallctl == NULL || mallctl("epoch", &epoch, &size, &epoch, size) != 0) return UINT64_MAX;  // the figures are renewed
    size = sizeof allocated;
    return mallctl("stats.allocated", &allocated, &size, NULL, 0) == 0 ? allocated : UINT64_MAX;
}

uint64_t ff_heap_thread_allocated(void) {
    static __thread uint64_t *counter;
    if (counter == NULL) {
        size_t size = sizeof counter;
        if (mallctl == NULL || mallctl("thread.allocatedp", &counter, &size, NULL, 0) != 0) return UINT64_MAX;
    }
    return *counter;
}

void ff_heap_give_back(void) {
    if (mallctl != NULL) mallctl("arena.4096.purge", NULL, NULL, NULL, 0);  // 4096: MALLCTL_ARENAS_ALL
}
