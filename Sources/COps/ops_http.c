// An HTTP server on libmicrohttpd's external epoll loop. A request that has come whole suspends its connection, which the library
// then leaves alone: what it has read stays where it is until the answer is there. The library times out a silent connection
// only, never a slow one: deadlines are kept here, and a connection that is late is cut by shutting its socket down, which the
// library meets as an end of its own. Everything belongs to one thread.

#define _GNU_SOURCE
#include "ops_http.h"
#include "microhttpd_calls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTED_MAX = 64,             // the library's bound above ours: connections that are cut but not yet closed
    STREAM_SEND_BUFFER = 64 << 10, // the kernel grows a socket's buffer to megabytes, all of it old news to a slow reader
    OWN_STATUSES = 16,
    HURRIED_MAX = 16,
    SLOW_SENDERS_MAX = 16,         // each holds an answer of its own
    SLOW_SENDER_MS = 1000,
    NO_TIME_LIMIT_S = 7 * 86400,
};

enum phase { HEAD, IDLE, BODY, WAITING, SENDING, STREAMING };

/// An end of time. What the caller does between two turns counts from the next turn, for only that one brings the time.
struct timer {
    int64_t at_ms;     // -1: none
    int64_t after_ms;  // -1: `at_ms` holds; else from the next turn
};

static const struct timer never = {-1, -1};

struct connection {
    ops_http *http;
    struct MHD_Connection *handle;
    struct connection *previous, *next;
    ops_request *request;  // NULL: between two requests, or its request line has not come
    int descriptor;
    enum phase phase;
    int is_cut;
    int64_t since_ms;  // without a whole request since then
    struct timer deadline;
};

struct ops_request {
    struct connection *connection;  // NULL: gone
    ops_request *next;              // in the list of those that wait
    const char *method;             // the library's
    char *path;
    char peer[INET6_ADDRSTRLEN], local[INET6_ADDRSTRLEN];
    uint8_t *body;
    size_t length, capacity, discarded;
    int has_head, is_whole, is_handed_out;
    // A stream's; `put` has what its reader has not taken.
    uint8_t *put;
    size_t put_length, taken;
    int is_stream, is_suspended, is_ending, is_released;
    struct timer life;
};

struct ops_http {
    ops_http_options options;  // its address is the caller's: not used after the start
    struct MHD_Daemon *daemon;
    struct connection *first, *last;      // in the order in which they were accepted
    ops_request *first_whole, *last_whole;
    int descriptor, connections, uncut, is_turning;
    int has_resumed;  // the library's descriptor does not tell of that
    int hurried;      // turns in a row after which the library wanted another one at once
    uint16_t port;
    int64_t now_ms;
    uint64_t evicted;
    struct { int status; uint64_t count; } own[OWN_STATUSES];
};

// MARK: Time

static struct timer after(const ops_http *http, int64_t after_ms) {
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

static void cut(struct connection *connection) {
    if (connection->is_cut) return;
    connection->is_cut = 1;
    connection->deadline = never;
    connection->http->uncut--;
    shutdown(connection->descriptor, SHUT_RDWR);
}

static void resume(struct connection *connection) {
    connection->request->is_suspended = 0;
    connection->http->has_resumed = 1;
    mhd.resume_connection(connection->handle);
}

static void end_stream(ops_request *request) {
    struct connection *connection = request->connection;
    request->is_ending = 1;
    request->life = never;
    connection->phase = SENDING;
    connection->deadline = after(connection->http, connection->http->options.send_ms);
    if (request->is_suspended) resume(connection);
}

static void expire(struct connection *connection, int64_t now_ms) {
    ops_request *request = connection->request;
    if (connection->is_cut) return;
    if (connection->deadline.at_ms >= 0 && now_ms >= connection->deadline.at_ms) {
        cut(connection);
    } else if (connection->phase == STREAMING && request->life.at_ms >= 0 && now_ms >= request->life.at_ms) {
        // A reader that keeps up gets a proper end.
        if (request->is_suspended) end_stream(request);
        else cut(connection);
    }
}

// MARK: Own answers

static void count_own(ops_http *http, int status) {
    for (int i = 0; i < OWN_STATUSES; i++) {
        if (http->own[i].count == 0) http->own[i].status = status;
        if (http->own[i].status != status) continue;
        http->own[i].count++;
        return;
    }
}

/// The library tells only its log of the answers that it gives by itself.
static void on_log(void *context, const char *format, va_list arguments) {
    if (strstr(format, "HTTP response code is %u") != NULL) count_own(context, (int)va_arg(arguments, unsigned));
}

static enum MHD_Result refuse(struct connection *connection, int status, const char *text) {
    struct MHD_Response *response = mhd.create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) return MHD_NO;
    mhd.add_response_header(response, "Content-Type", "text/plain");
    mhd.add_response_header(response, "Connection", "close");
    enum MHD_Result result = mhd.queue_response(connection->handle, (unsigned)status, response);
    mhd.destroy_response(response);
    count_own(connection->http, status);
    connection->phase = SENDING;
    connection->deadline = after(connection->http, connection->http->options.send_ms);
    return result;
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
    cut(oldest);
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
        cut(oldest);
        http->evicted++;
    }
}

static void free_request(ops_request *request) {
    free(request->path);
    free(request->body);
    free(request->put);
    free(request);
}

/// Its connection has no more to do with it: whoever holds it keeps it.
static void part(struct connection *connection) {
    ops_request *request = connection->request;
    if (request == NULL) return;
    connection->request = NULL;
    request->connection = NULL;
    if (!request->is_handed_out || request->is_released) free_request(request);
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
            .deadline = after(http, http->options.head_ms),
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
        part(connection);  // the library does not always tell before that a request has ended
        free(connection);
        *socket_context = NULL;
    }
}

/// A request line is here, before the library has decoded it.
static void *on_line(void *context, const char *uri, struct MHD_Connection *handle) {
    ops_http *http = context;
    struct connection *connection = mhd.get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    ops_request *request = connection != NULL ? calloc(1, sizeof *request) : NULL;
    if (request == NULL) return NULL;
    request->connection = connection;
    request->life = never;
    request->path = uri != NULL ? strndup(uri, strcspn(uri, "?")) : NULL;
    if (request->path == NULL) {
        free_request(request);
        return NULL;
    }
    connection->request = request;
    if (connection->phase == IDLE && !connection->is_cut) {
        connection->phase = HEAD;
        connection->deadline = after(http, http->options.head_ms);
    }
    return request;
}

/// An answer has been sent, or nothing more can be.
static void on_completed(void *context, struct MHD_Connection *handle, void **request_context, enum MHD_RequestTerminationCode code) {
    (void)code;
    ops_http *http = context;
    ops_request *request = *request_context;
    *request_context = NULL;
    if (request == NULL) return;
    struct connection *connection = request->connection;
    part(connection);
    if (connection->is_cut) return;
    connection->phase = IDLE;
    connection->since_ms = http->now_ms;
    connection->deadline = after(http, http->options.idle_ms);
    mhd.set_connection_option(handle, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
}

// MARK: Requests come

struct named {
    const char *name, *value;
    int count;
};

static enum MHD_Result on_named(void *context, enum MHD_ValueKind kind, const char *name, size_t name_size, const char *value,
                                size_t value_size) {
    (void)value_size;
    struct named *named = context;
    size_t length = strlen(named->name);
    int is_same = length == name_size &&
                  (kind == MHD_HEADER_KIND ? strncasecmp(name, named->name, length) : memcmp(name, named->name, length)) == 0;
    if (is_same && named->count++ == 0) named->value = value != NULL ? value : "";
    return MHD_YES;
}

static const char *find(struct MHD_Connection *handle, enum MHD_ValueKind kind, const char *name, int *count) {
    struct named named = {.name = name};
    mhd.get_connection_values_n(handle, kind, on_named, &named);
    if (count != NULL) *count = named.count;
    return named.value;
}

static int is_token(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        int is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_word && (c == 0 || strchr("!#$%&'*+-.^_`|~", c) == NULL)) return 0;
    }
    return size > 0;
}

/// The library takes names with a space before the colon, and control characters in values.
static enum MHD_Result on_header(void *context, enum MHD_ValueKind kind, const char *name, size_t name_size, const char *value,
                                 size_t value_size) {
    (void)kind;
    int *is_sound = context;
    if (!is_token(name, name_size)) *is_sound = 0;
    for (size_t i = 0; i < value_size; i++) {
        unsigned char c = (unsigned char)value[i];
        if ((c < ' ' && c != '\t') || c == 127) *is_sound = 0;
    }
    return *is_sound ? MHD_YES : MHD_NO;
}

/// `%00` would end a string of C too early.
static enum MHD_Result on_query(void *context, enum MHD_ValueKind kind, const char *name, size_t name_size, const char *value,
                                size_t value_size) {
    (void)kind;
    int *is_sound = context;
    if (memchr(name, 0, name_size) != NULL || (value != NULL && memchr(value, 0, value_size) != NULL)) *is_sound = 0;
    return *is_sound ? MHD_YES : MHD_NO;
}

/// Two readings of where a body ends, or of what a header is called, are for whoever wants to deceive a proxy before us.
static int is_sound(struct MHD_Connection *handle, const char *version) {
    int is_sound = 1, lengths, encodings;
    mhd.get_connection_values_n(handle, MHD_HEADER_KIND, on_header, &is_sound);
    mhd.get_connection_values_n(handle, MHD_GET_ARGUMENT_KIND, on_query, &is_sound);
    find(handle, MHD_HEADER_KIND, "Content-Length", &lengths);
    const char *encoding = find(handle, MHD_HEADER_KIND, "Transfer-Encoding", &encodings);
    if (lengths + encodings > 1) return 0;
    if (encodings == 1 && (strcasecmp(encoding, "chunked") != 0 || strcmp(version, "HTTP/1.0") == 0)) return 0;
    return is_sound;
}

static enum MHD_Result take_head(ops_request *request, const char *method, const char *version) {
    struct connection *connection = request->connection;
    const ops_http_options *options = &connection->http->options;
    request->has_head = 1;
    request->method = method;
    const union MHD_ConnectionInfo *head = mhd.get_connection_info(connection->handle, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (head != NULL && head->header_size > options->head_bytes_max) return refuse(connection, 431, "The head is too long.\n");
    if (!is_sound(connection->handle, version)) return refuse(connection, 400, "The head is malformed.\n");
    const char *length = find(connection->handle, MHD_HEADER_KIND, "Content-Length", NULL);
    if (length != NULL && strtoull(length, NULL, 10) > options->body_bytes_max) return refuse(connection, 413, "The body is too long.\n");
    if (connection->is_cut) return MHD_YES;
    connection->phase = BODY;
    connection->deadline = after(connection->http, options->head_ms);
    return MHD_YES;
}

static enum MHD_Result take_body(ops_request *request, const char *bytes, size_t size) {
    size_t most = request->connection->http->options.body_bytes_max;
    if (request->discarded > 0 || size > most - request->length) {
        // Chunks that have become too many. The library lets us answer only at their end: so far they may come, within bounds.
        request->discarded += size;
        return request->discarded <= 4 * most + 4096 ? MHD_YES : MHD_NO;
    }
    if (request->length + size > request->capacity) {
        size_t capacity = request->capacity * 2 > request->length + size ? request->capacity * 2 : request->length + size;
        if (capacity > most) capacity = most;
        uint8_t *body = realloc(request->body, capacity);
        if (body == NULL) return MHD_NO;
        request->body = body;
        request->capacity = capacity;
    }
    memcpy(request->body + request->length, bytes, size);
    request->length += size;
    return MHD_YES;
}

/// An IPv4 address that has come over an IPv6 socket is written as IPv4.
static void write_address(const struct sockaddr *address, char text[INET6_ADDRSTRLEN]) {
    text[0] = 0;
    if (address->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, INET6_ADDRSTRLEN);
    } else if (address->sa_family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(six)) inet_ntop(AF_INET, six->s6_addr + 12, text, INET6_ADDRSTRLEN);
        else inet_ntop(AF_INET6, six, text, INET6_ADDRSTRLEN);
    }
}

static enum MHD_Result take_whole(ops_request *request) {
    struct connection *connection = request->connection;
    ops_http *http = connection->http;
    if (request->discarded > 0) return refuse(connection, 413, "The body is too long.\n");
    if (connection->is_cut) return MHD_NO;
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
    } address = {.any.sa_family = AF_UNSPEC};
    socklen_t size = sizeof address;
    write_address(mhd.get_connection_info(connection->handle, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr, request->peer);
    if (getsockname(connection->descriptor, &address.any, &size) == 0) write_address(&address.any, request->local);
    request->is_whole = 1;
    *(http->last_whole != NULL ? &http->last_whole->next : &http->first_whole) = request;
    http->last_whole = request;
    connection->phase = WAITING;
    connection->deadline = never;
    // A connection that is resumed is read from before its answer is looked at, and a client that has closed its sending side would
    // go without. Only a connection with a time limit of its own is asked for progress before that: it gets one, out of reach.
    mhd.set_connection_option(connection->handle, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned)NO_TIME_LIMIT_S);
    mhd.suspend_connection(connection->handle);
    return MHD_YES;
}

/// Called with the head, with each piece of the body, and at the end. MHD_NO closes the connection.
static enum MHD_Result on_request(void *context, struct MHD_Connection *handle, const char *url, const char *method, const char *version,
                                  const char *bytes, size_t *size, void **request_context) {
    (void)context, (void)handle, (void)url;
    ops_request *request = *request_context;
    if (request == NULL || request->is_whole) return MHD_NO;
    if (!request->has_head) return take_head(request, method, version);
    if (*size == 0) return take_whole(request);
    size_t count = *size;
    *size = 0;
    return take_body(request, bytes, count);
}

// MARK: The server

static pthread_once_t once = PTHREAD_ONCE_INIT;

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
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, http,
        MHD_OPTION_EXTERNAL_LOGGER, on_log, (void *)http,
        MHD_OPTION_LISTEN_SOCKET, listener,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)options->connections_max + ACCEPTED_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory,
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, (void *)http,
        MHD_OPTION_URI_LOG_CALLBACK, on_line, (void *)http,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, (void *)http,
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
        if (each->phase == WAITING || (each->request != NULL && each->request->is_suspended)) resume(each);
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

// MARK: Requests are answered

ops_request *ops_http_next(ops_http *http) {
    ops_request *request = http->first_whole;
    if (request == NULL) return NULL;
    http->first_whole = request->next;
    if (http->first_whole == NULL) http->last_whole = NULL;
    request->next = NULL;
    request->is_handed_out = 1;
    return request;
}

const char *ops_request_method(const ops_request *request) { return request->connection != NULL ? request->method : ""; }

const char *ops_request_path(const ops_request *request) { return request->path; }

static const char *find_of(const ops_request *request, enum MHD_ValueKind kind, const char *name, int *count) {
    if (request->connection != NULL) return find(request->connection->handle, kind, name, count);
    if (count != NULL) *count = 0;
    return NULL;
}

const char *ops_request_query(const ops_request *request, const char *name, int *count) {
    return find_of(request, MHD_GET_ARGUMENT_KIND, name, count);
}

const char *ops_request_header(const ops_request *request, const char *name, int *count) {
    return find_of(request, MHD_HEADER_KIND, name, count);
}

const uint8_t *ops_request_body(const ops_request *request, size_t *length) {
    *length = request->length;
    return request->body;
}

const char *ops_request_peer(const ops_request *request) { return request->peer; }

const char *ops_request_local(const ops_request *request) { return request->local; }

/// Hands the response over, or cuts the connection if there is none.
static void send_response(struct connection *connection, int status, const char *const *headers, struct MHD_Response *response) {
    int is_queued = 0;
    if (response != NULL) {
        for (; headers != NULL && headers[0] != NULL; headers += 2) mhd.add_response_header(response, headers[0], headers[1]);
        is_queued = mhd.queue_response(connection->handle, (unsigned)status, response) == MHD_YES;
        mhd.destroy_response(response);
    }
    if (!is_queued) cut(connection);
    resume(connection);
}

void ops_request_answer(ops_request *request, int status, const char *const *headers, const uint8_t *body, size_t length) {
    struct connection *connection = request->connection;
    if (connection == NULL) {
        free_request(request);
        return;
    }
    request->is_released = 1;
    connection->phase = SENDING;
    connection->deadline = after(connection->http, connection->http->options.send_ms);
    send_response(connection, status, headers, mhd.create_response_from_buffer(length, (void *)body, MHD_RESPMEM_MUST_COPY));
}

// MARK: Streams

/// The reader can take up to `most` bytes.
static ssize_t on_wanted(void *context, uint64_t position, char *bytes, size_t most) {
    (void)position;
    ops_request *request = context;
    struct connection *connection = request->connection;
    size_t left = request->put_length - request->taken;
    if (left == 0) {
        free(request->put);
        request->put = NULL;
        request->put_length = request->taken = 0;
        if (request->is_ending) return MHD_CONTENT_READER_END_OF_STREAM;
        connection->deadline = never;
        request->is_suspended = 1;
        mhd.suspend_connection(connection->handle);
        return 0;
    }
    if (left > most) left = most;
    memcpy(bytes, request->put + request->taken, left);
    request->taken += left;
    if (connection->phase == STREAMING && !connection->is_cut) {
        connection->deadline = after(connection->http, connection->http->options.stream_stall_ms);
    }
    return (ssize_t)left;
}

void ops_request_stream(ops_request *request, const char *const *headers) {
    struct connection *connection = request->connection;
    request->is_stream = 1;
    if (connection == NULL) return;
    const ops_http_options *options = &connection->http->options;
    int size = STREAM_SEND_BUFFER;
    setsockopt(connection->descriptor, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    connection->phase = STREAMING;
    connection->deadline = after(connection->http, options->stream_stall_ms);
    request->life = after(connection->http, options->stream_life_ms);
    send_response(connection, MHD_HTTP_OK, headers, mhd.create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, on_wanted, request, NULL));
}

int ops_stream_wants(const ops_request *request) {
    if (request->connection == NULL || request->connection->is_cut || request->is_ending) return -1;
    return request->is_suspended;
}

void ops_stream_put(ops_request *request, const uint8_t *bytes, size_t length) {
    if (ops_stream_wants(request) != 1 || length == 0) return;
    struct connection *connection = request->connection;
    request->put = malloc(length);
    if (request->put == NULL) {
        end_stream(request);
        return;
    }
    memcpy(request->put, bytes, length);
    request->put_length = length;
    connection->deadline = after(connection->http, connection->http->options.stream_stall_ms);
    resume(connection);
}

void ops_stream_release(ops_request *request) {
    if (request->connection == NULL) {
        free_request(request);
        return;
    }
    request->is_released = 1;
    if (!request->is_ending && !request->connection->is_cut) end_stream(request);
}
