#include "ff_heap.h"

#include <jemalloc/jemalloc.h>
#include <stddef.h>

static int read_size(const char *name, uint64_t *out) {
    size_t value = 0, size = sizeof value;
    if (mallctl(name, &value, &size, NULL, 0) != 0) return -1;
    *out = value;
    return 0;
}

int ff_heap_read(ff_heap_stats *out) {
    uint64_t epoch = 1;
    size_t size = sizeof epoch;
    if (mallctl("epoch", &epoch, &size, &epoch, size) != 0) return -1;
    return read_size("stats.allocated", &out->allocated) | read_size("stats.active", &out->active) |
           read_size("stats.resident", &out->resident) | read_size("stats.mapped", &out->mapped);
}

#define TEXT_OF(number) #number
#define ARENA(number) "arena." TEXT_OF(number) ".purge"

void ff_heap_give_back(void) { mallctl(ARENA(MALLCTL_ARENAS_ALL), NULL, NULL, NULL, 0); }

uint64_t ff_heap_thread_allocated(void) {
    static __thread uint64_t *counter;
    if (counter == NULL) {
        size_t size = sizeof counter;
        if (mallctl("thread.allocatedp", &counter, &size, NULL, 0) != 0) return UINT64_MAX;
    }
    return *counter;
}
