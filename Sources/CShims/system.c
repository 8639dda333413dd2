// System calls. Any thread; those about a thread speak of the caller unless they name one. A failure is returned as -errno
// (threads: errno); no function keeps a state.

#define _GNU_SOURCE
#include "ff_system.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

int ff_poll_create(void) {
    int poller = epoll_create1(EPOLL_CLOEXEC);
    return poller < 0 ? -errno : poller;
}

int ff_poll_control(int poller, int operation, int descriptor, uint32_t interest, uint64_t token) {
    struct epoll_event event = {0};
    if (interest & FF_READABLE) event.events |= EPOLLIN | EPOLLRDHUP;
    if (interest & FF_WRITABLE) event.events |= EPOLLOUT;
    event.data.u64 = token;
    int op = operation == 1 ? EPOLL_CTL_ADD : operation == 2 ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    return epoll_ctl(poller, op, descriptor, &event) < 0 ? -errno : 0;
}

int ff_poll_wait(int poller, ff_ready *ready, int capacity, int64_t timeout_ns) {
    struct epoll_event events[FF_READY_MAX];
    if (capacity > FF_READY_MAX) capacity = FF_READY_MAX;
    int count;
    if (timeout_ns <= 0) {
        count = epoll_wait(poller, events, capacity, timeout_ns < 0 ? -1 : 0);
    } else {
        struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
        count = epoll_pwait2(poller, events, capacity, &timeout, NULL);
        if (count < 0 && (errno == ENOSYS || errno == EPERM)) {  // an old kernel or sandbox: millisecond waits
            count = epoll_wait(poller, events, capacity, (int)((timeout_ns + 999999) / 1000000));
        }
    }
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        uint32_t bits = events[i].events;
        ready[i].token = events[i].data.u64;
        ready[i].events = ((bits & (EPOLLIN | EPOLLRDHUP)) ? FF_READABLE : 0) |
                          ((bits & EPOLLOUT) ? FF_WRITABLE : 0) |
                          ((bits & (EPOLLERR | EPOLLHUP)) ? FF_HANGUP | FF_READABLE | FF_WRITABLE : 0);
    }
    return count;
}

int ff_event_create(void) {
    int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return descriptor < 0 ? -errno : descriptor;
}

int ff_random(void *bytes, size_t count) {
    for (size_t done = 0; done < count;) {
        ssize_t got = getrandom((char *)bytes + done, count - done, 0);
        if (got < 0 && errno != EINTR) return -errno;
        if (got > 0) done += (size_t)got;
    }
    return 0;
}

int ff_thread_pin(int core) { return ff_thread_bind(0, core); }

int ff_thread_bind(int thread, int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sched_setaffinity(thread, sizeof set, &set) == 0 ? 0 : errno;
}

int ff_allowed_cores(int *cores, int capacity) {
    cpu_set_t set;
    CPU_ZERO(&set);
    // Refused when the kernel knows more cores than the set has room for.
    if (sched_getaffinity(0, sizeof set, &set) != 0) CPU_SET(0, &set);
    int count = 0;
    for (int core = 0; core < CPU_SETSIZE && count < capacity; core++) {
        if (CPU_ISSET(core, &set)) cores[count++] = core;
    }
    return count;
}

void ff_refuse_core_dumps(void) { prctl(PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL); }

void ff_thread_precise_timers(void) { prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }

int ff_end_with_parent(int parent) {
    if (prctl(PR_SET_PDEATHSIG, (unsigned long)SIGTERM, 0UL, 0UL, 0UL) != 0) return -errno;
    // It may have ended before it could be watched.
    return getppid() == parent ? 0 : -ESRCH;
}

void ff_thread_name(const char *name) {
    char kept[16] = {0};
    strncpy(kept, name, sizeof kept - 1);
    pthread_setname_np(pthread_self(), kept);
}

void *ff_map(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void ff_unmap(void *memory, size_t bytes) { munmap(memory, bytes); }

void ff_map_discard(void *memory, size_t bytes) { madvise(memory, bytes, MADV_DONTNEED); }

void ff_release_code(void) {
    FILE *maps = fopen("/proc/self/smaps", "re");
    if (maps == NULL) return;
    char line[512], access[5] = "";
    unsigned long from = 0, until = 0, inode = 0, dirty = 0;
    while (fgets(line, sizeof line, maps) != NULL) {
        // A mapping begins with its addresses, in small letters; what is said of it, with a capital.
        if (line[0] < 'A' || line[0] > 'Z') {
            if (sscanf(line, "%lx-%lx %4s %*x %*s %lu", &from, &until, access, &inode) != 4) inode = 0;
            continue;
        }
        // The last word on a mapping before its flags. One page that differs from the file (a relocation, a breakpoint)
        // keeps all of its mapping: the kernel would bring the file's content back.
        if (sscanf(line, "Anonymous: %lu", &dirty) != 1) continue;
        if (inode != 0 && access[0] == 'r' && access[1] != 'w' && access[3] == 'p' && dirty == 0) madvise((void *)from, until - from, MADV_DONTNEED);
    }
    fclose(maps);
}

uint64_t ff_resident_bytes(void) {
    char text[128];
    int descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return 0;
    ssize_t count = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    if (count <= 0) return 0;
    text[count] = 0;
    char *rest = NULL;
    strtoull(text, &rest, 10);
    return strtoull(rest, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}
