// The allocator's own figures. Any thread.

#include "ff_heap.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

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

static pthread_once_t lean_once = PTHREAD_ONCE_INIT;
static unsigned lean_arena;
static bool has_lean_arena;

static void make_lean_arena(void) {
    size_t size = sizeof lean_arena;
    if (mallctl("arenas.create", &lean_arena, &size, NULL, 0) != 0) return;
    has_lean_arena = true;
    const char *const kinds[] = {"dirty", "muzzy"};
    for (int i = 0; i < 2; i++) {
        char name[48];
        ssize_t at_once = 0;
        snprintf(name, sizeof name, "arena.%u.%s_decay_ms", lean_arena, kinds[i]);
        mallctl(name, NULL, NULL, &at_once, sizeof at_once);
    }
}

void ff_heap_lean_thread(void) {
    bool has_cache = false;
    if (mallctl == NULL) return;
    pthread_once(&lean_once, make_lean_arena);
    if (!has_lean_arena) return;
    mallctl("thread.arena", NULL, NULL, &lean_arena, sizeof lean_arena);
    mallctl("thread.tcache.enabled", NULL, NULL, &has_cache, sizeof has_cache);
}
