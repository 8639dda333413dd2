// System calls and structures that Swift cannot name: macros, unions and variadic functions of libc.
#ifndef FF_SYSTEM_H
#define FF_SYSTEM_H

#include <stdint.h>
#include <stddef.h>

/// A hint to the core that this is a wait loop.
static inline void ff_cpu_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/// One readiness report: the registered 64-bit token and the EPOLL bits.
typedef struct ff_ready {
    uint64_t token;
    uint32_t events;
    uint32_t reserved;
} ff_ready;

enum { FF_READABLE = 1, FF_WRITABLE = 2, FF_HANGUP = 4 };
enum { FF_READY_MAX = 256 };

/// epoll instance, close-on-exec. Returns the descriptor or -errno.
int ff_poll_create(void);
/// Adds (operation 1), changes (2) or removes (3) a descriptor; `interest` is of FF_READABLE and
/// FF_WRITABLE, level-triggered. Returns 0 or -errno.
int ff_poll_control(int poller, int operation, int descriptor, uint32_t interest, uint64_t token);
/// Waits at most `timeout_ns` (negative: for ever). Returns how many of `ready` were filled, or -errno.
int ff_poll_wait(int poller, ff_ready *ready, int capacity, int64_t timeout_ns);

/// A counter that a poller can wait for (eventfd, non-blocking, close-on-exec), or -errno.
int ff_event_create(void);
/// `count` unpredictable bytes from the kernel. Returns 0 or -errno.
int ff_random(void *bytes, size_t count);

/// Binds the calling thread to one core. Returns 0 or an errno.
int ff_thread_pin(int core);
/// The same for a thread of any process, by its id; 0 is the calling one.
int ff_thread_bind(int thread, int core);
/// Writes the numbers of the cores this process may run on, lowest first, at most `capacity`. Returns how many.
int ff_allowed_cores(int *cores, int capacity);
/// Lets the calling thread's timers end when they are due, not up to 50 microseconds later (Linux's timer slack).
void ff_thread_precise_timers(void);
/// The process gets SIGTERM when the thread that started it ends. Returns 0, -ESRCH when `parent` is no longer (or
/// never was) its parent, or another -errno.
int ff_end_with_parent(int parent);
/// Names the calling thread (at most 15 bytes are kept).
void ff_thread_name(const char *name);

/// Reserves `bytes` of zeroed memory that costs nothing until touched. NULL on failure.
void *ff_map(size_t bytes);
void ff_unmap(void *memory, size_t bytes);
/// Gives touched pages back to the system; they read as zero afterwards.
void ff_map_discard(void *memory, size_t bytes);

/// Takes code and constants of the program and its libraries out of the process's memory: mappings of files that cannot be
/// written and are as in the file. What is used again comes back from the page cache, some pages at a time; what only the
/// start needed does not.
void ff_release_code(void);

/// No core is written of this process, whatever its limits and the system's collector; only root's debuggers read its memory.
/// What it starts by exec is its own affair.
void ff_refuse_core_dumps(void);

/// Resident set size in bytes, from /proc/self/statm; 0 if unreadable.
uint64_t ff_resident_bytes(void);

#endif
