// An HTTP server on libmicrohttpd's external epoll loop: the library, connections and their deadlines. The library times out a silent
// connection only, never a slow one: deadlines are kept here, and a connection that is late is cut by shutting its socket down, which
// the library meets as an end of its own. Everything belongs to one thread.

#define _GNU_SOURCE
#include "ops_http_inner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTED_MAX = 64,      // the library's bound above ours: connections that are cut but not yet closed
    HURRIED_MAX = 16,
    SLOW_SENDERS_MAX = 16,  // each holds an answer of its own
    SLOW_SENDER_MS = 1000,
};

// MARK: The library

struct microhttpd mhd;
static char loading_error[160];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load_mhd(void) {
    void *library = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
#define FF_FIND(name)                                                                    \
    if (library != NULL && (mhd.name = (__typeof__(mhd.name))dlsym(library, "MHD_" #name)) == NULL) library = NULL;
    FF_MHD_CALLS(FF_FIND)
#undef FF_FIND
    if (library == NULL) {
        const char *reason = dlerror();
        snprintf(loading_error, sizeof loading_error, "libmicrohttpd cannot be loaded: %s", reason != NULL ? reason : "no reason given");
    }
}

// MARK: Time

struct timer ops_after(const ops_http *http, int64_t after_ms) {
    return http->is_turning ? (struct timer){http->now_ms + after_ms, -1} : (struct timer){-1, after_ms};
}

static void begin(struct timer *timer, int64_t now_ms) {
    if (timer->after_ms >= 0) *timer = (struct timer){now_ms + timer->after_ms, -1};
}

/// The earlier one of what is left; -1: nothing ends.
static int64_t earlier(int64_t left_ms, const struct timer *timer, int64_t now_ms) {
    if (timer->after_ms < 0 && timer->at_ms < 0) return left_ms;
    int64_t mine = timer->after_ms >= 0 ? timer->after_ms : timer->at_ms > now_ms ? timer->at_ms - now_ms : 0;
    return left_ms < 0 || mine < left_ms ? mine : left_ms;
}

void ops_cut(struct connection *connection) {
    if (connection->is_cut) return;
    connection->is_cut = 1;
    connection->deadline = never;
    connection->http->uncut--;
    shutdown(connection->descriptor, SHUT_RDWR);
}

void ops_resume(struct connection *connection) {
    connection->request->is_suspended = 0;
    connection->http->has_resumed = 1;
    mhd.resume_connection(connection->handle);
}

void ops_begin_sending(struct connection *connection) {
    connection->phase = SENDING;
    connection->deadline = ops_after(connection->http, connection->http->options.send_ms);
}

static void expire(struct connection *connection, int64_t now_ms) {
    ops_request *request = connection->request;
    if (connection->is_cut) return;
    if (connection->deadline.at_ms >= 0 && now_ms >= connection->deadline.at_ms) {
        ops_cut(connection);
    } else if (connection->phase == STREAMING && request->life.at_ms >= 0 && now_ms >= request->life.at_ms) {
        // A reader that keeps up gets a proper end.
        if (request->is_suspended) ops_end_stream(request);
        else ops_cut(connection);
    }
}

// MARK: Own answers

void ops_count_own(ops_http *http, int status) {
    for (int i = 0; i < OWN_STATUSES; i++) {
        if (http->own[i].count == 0) http->own[i].status = status;
        if (http->own[i].status != status) continue;
        http->own[i].count++;
        return;
    }
}

/// The library tells only its log of the answers that it gives by itself.
static void on_log(void *context, const char *format, va_list arguments) {
    if (strstr(format, "HTTP response code is %u") != NULL) ops_count_own(context, (int)va_arg(arguments, unsigned));
}

// MARK: Connections

/// The one that has been without a whole request for the longest.
static void evict(ops_http *http) {
    struct connection *oldest = NULL;
    for (struct connection *each = http->first; each != NULL; each = each->next) {
        if (each->is_cut || each->phase > BODY) continue;
        if (oldest == NULL || each->since_ms < oldest->since_ms) oldest = each;
    }
    if (oldest == NULL) return;
    ops_cut(oldest);
    http->evicted++;
}

/// Readers that take their answer bit by bit, the oldest first, when there are many.
static void evict_slow_senders(ops_http *http) {
    for (;;) {
        struct connection *oldest = NULL;
        int count = 0;
        for (struct connection *each = http->first; each != NULL; each = each->next) {
            if (each->is_cut || each->phase != SENDING || each->deadline.at_ms < 0) continue;
            if (each->deadline.at_ms - http->options.send_ms > http->now_ms - SLOW_SENDER_MS) continue;
            count++;
            if (oldest == NULL || each->deadline.at_ms < oldest->deadline.at_ms) oldest = each;
        }
        if (count <= SLOW_SENDERS_MAX) return;
        ops_cut(oldest);
        http->evicted++;
    }
}

static void on_connection(void *context, struct MHD_Connection *handle, void **socket_context, enum MHD_ConnectionNotificationCode code) {
    ops_http *http = context;
    struct connection *connection = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        int descriptor = mhd.get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        connection = calloc(1, sizeof *connection);
        *socket_context = connection;
        if (connection == NULL) {
            shutdown(descriptor, SHUT_RDWR);
            return;
        }
        *connection = (struct connection){
            .http = http, .handle = handle, .descriptor = descriptor, .previous = http->last, .since_ms = http->now_ms,
            .deadline = ops_after(http, http->options.head_ms),
        };
        *(http->last != NULL ? &http->last->next : &http->first) = connection;
        http->last = connection;
        http->connections++;
        if (++http->uncut > http->options.connections_max) evict(http);
    } else if (connection != NULL) {
        *(connection->previous != NULL ? &connection->previous->next : &http->first) = connection->next;
        *(connection->next != NULL ? &connection->next->previous : &http->last) = connection->previous;
        http->connections--;
        if (!connection->is_cut) http->uncut--;
        ops_part(connection);  // the library does not always tell before that a request has ended
        free(connection);
        *socket_context = NULL;
    }
}

// MARK: The server

static int open_listener(const ops_http_options *options, uint16_t *port, int *code) {
    char service[8];
    snprintf(service, sizeof service, "%u", options->port);
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found = NULL;
    if (getaddrinfo(options->address, service, &hints, &found) != 0) {
        *code = EINVAL;
        return -1;
    }
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } bound;
    socklen_t size = sizeof bound;
    int on = 1, descriptor = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0 || setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(descriptor, found->ai_addr, found->ai_addrlen) != 0 || listen(descriptor, SOMAXCONN) != 0 ||
        getsockname(descriptor, &bound.any, &size) != 0) {
        *code = errno;
        if (descriptor >= 0) close(descriptor);
        descriptor = -1;
    } else {
        *port = ntohs(bound.any.sa_family == AF_INET6 ? bound.six.sin6_port : bound.four.sin_port);
    }
    freeaddrinfo(found);
    return descriptor;
}

ops_http *ops_http_start(const ops_http_options *options, int *code, char *error, size_t size) {
    *code = 0;
    pthread_once(&once, load_mhd);
    if (loading_error[0] != 0) {
        snprintf(error, size, "%s", loading_error);
        return NULL;
    }
    ops_http *http = calloc(1, sizeof *http);
    if (http == NULL) {
        *code = ENOMEM;
        snprintf(error, size, "out of memory");
        return NULL;
    }
    http->options = *options;
    int listener = open_listener(options, &http->port, code);
    if (listener < 0) {
        snprintf(error, size, "%s", *code == EINVAL ? "not a numeric address, or not one of this machine" : strerror(*code));
        free(http);
        return NULL;
    }
    // A connection's memory holds its head, an entry for each header and query item, and then what is sent.
    size_t memory = options->head_bytes_max + options->head_bytes_max / 2 + 4096;
    http->daemon = mhd.start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, ops_on_request, http,
        MHD_OPTION_EXTERNAL_LOGGER, on_log, (void *)http,
        MHD_OPTION_LISTEN_SOCKET, listener,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)options->connections_max + ACCEPTED_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory,
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, (void *)http,
        MHD_OPTION_URI_LOG_CALLBACK, ops_on_line, (void *)http,
        MHD_OPTION_NOTIFY_COMPLETED, ops_on_completed, (void *)http,
        MHD_OPTION_END);
    if (http->daemon == NULL) {
        // Whether the listener is closed by now only the library knows, so it is left alone: its number may be another's.
        *code = errno != 0 ? errno : ENOMEM;
        snprintf(error, size, "libmicrohttpd cannot be started: %s", strerror(*code));
        free(http);
        return NULL;
    }
    http->descriptor = mhd.get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return http;
}

void ops_http_stop(ops_http *http) {
    // The library aborts the process if it is stopped while a connection is suspended.
    for (struct connection *each = http->first; each != NULL; each = each->next) {
        if (each->phase == WAITING || (each->request != NULL && each->request->is_suspended)) ops_resume(each);
    }
    mhd.stop_daemon(http->daemon);
    free(http);
}

uint16_t ops_http_port(const ops_http *http) { return http->port; }

int ops_http_descriptor(const ops_http *http) { return http->descriptor; }

void ops_http_turn(ops_http *http, int64_t now_ms) {
    http->now_ms = now_ms;
    http->is_turning = 1;
    http->has_resumed = 0;
    for (struct connection *each = http->first; each != NULL; each = each->next) {
        begin(&each->deadline, now_ms);
        if (each->request != NULL) begin(&each->request->life, now_ms);
    }
    mhd.run(http->daemon);
    for (struct connection *each = http->first; each != NULL; each = each->next) expire(each, now_ms);
    evict_slow_senders(http);
    http->is_turning = 0;
    MHD_UNSIGNED_LONG_LONG library_ms;
    http->hurried = mhd.get_timeout(http->daemon, &library_ms) == MHD_YES && library_ms == 0 ? http->hurried + 1 : 0;
}

int64_t ops_http_timeout_ms(const ops_http *http, int64_t now_ms) {
    // A request that became whole in the last turn waits to be taken.
    if (http->has_resumed || http->first_whole != NULL) return 0;
    MHD_UNSIGNED_LONG_LONG library_ms;
    int64_t left_ms = mhd.get_timeout(http->daemon, &library_ms) == MHD_YES ? (int64_t)library_ms : -1;
    // A query of too many items for the connection's memory leaves the library in a hurry that leads nowhere until the deadline.
    if (left_ms == 0 && http->hurried > HURRIED_MAX) left_ms = 1;
    for (const struct connection *each = http->first; each != NULL; each = each->next) {
        if (each->is_cut) continue;
        left_ms = earlier(left_ms, &each->deadline, now_ms);
        if (each->request != NULL) left_ms = earlier(left_ms, &each->request->life, now_ms);
    }
    return left_ms;
}

int ops_http_connections(const ops_http *http) { return http->connections; }

uint64_t ops_http_evicted(const ops_http *http) { return http->evicted; }

int ops_http_own_answers(const ops_http *http, int *statuses, uint64_t *counts, int count) {
    int copied = 0;
    for (; copied < OWN_STATUSES && copied < count && http->own[copied].count > 0; copied++) {
        statuses[copied] = http->own[copied].status;
        counts[copied] = http->own[copied].count;
    }
    return copied;
}
