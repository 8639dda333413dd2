// Requests: they come, in pieces; whole ones wait, and are answered. A request that has come whole suspends its connection, which the
// library then leaves alone: what it has read stays where it is until the answer is there. Everything belongs to one thread.

#define _GNU_SOURCE
#include "ops_http_inner.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { NO_TIME_LIMIT_S = 7 * 86400 };

// MARK: They come

static enum MHD_Result refuse(struct connection *connection, int status, const char *text) {
    struct MHD_Response *response = mhd.create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) return MHD_NO;
    mhd.add_response_header(response, "Content-Type", "text/plain");
    mhd.add_response_header(response, "Connection", "close");
    enum MHD_Result result = mhd.queue_response(connection->handle, (unsigned)status, response);
    mhd.destroy_response(response);
    ops_count_own(connection->http, status);
    ops_begin_sending(connection);
    return result;
}

void ops_free_request(ops_request *request) {
    free(request->path);
    free(request->body);
    free(request->put);
    free(request);
}

void ops_part(struct connection *connection) {
    ops_request *request = connection->request;
    if (request == NULL) return;
    connection->request = NULL;
    request->connection = NULL;
    if (!request->is_handed_out || request->is_released) ops_free_request(request);
}

/// A request line is here, before the library has decoded it.
void *ops_on_line(void *context, const char *uri, struct MHD_Connection *handle) {
    ops_http *http = context;
    struct connection *connection = mhd.get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    ops_request *request = connection != NULL ? calloc(1, sizeof *request) : NULL;
    if (request == NULL) return NULL;
    request->connection = connection;
    request->life = never;
    request->path = uri != NULL ? strndup(uri, strcspn(uri, "?")) : NULL;
    if (request->path == NULL) {
        ops_free_request(request);
        return NULL;
    }
    connection->request = request;
    if (connection->phase == IDLE && !connection->is_cut) {
        connection->phase = HEAD;
        connection->deadline = ops_after(http, http->options.head_ms);
    }
    return request;
}

/// An answer has been sent, or nothing more can be.
void ops_on_completed(void *context, struct MHD_Connection *handle, void **request_context, enum MHD_RequestTerminationCode code) {
    (void)code;
    ops_http *http = context;
    ops_request *request = *request_context;
    *request_context = NULL;
    if (request == NULL) return;
    struct connection *connection = request->connection;
    ops_part(connection);
    if (connection->is_cut) return;
    connection->phase = IDLE;
    connection->since_ms = http->now_ms;
    connection->deadline = ops_after(http, http->options.idle_ms);
    mhd.set_connection_option(handle, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
}

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
    connection->deadline = ops_after(connection->http, options->head_ms);
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
enum MHD_Result ops_on_request(void *context, struct MHD_Connection *handle, const char *url, const char *method, const char *version,
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

// MARK: They are answered

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

void ops_send_response(struct connection *connection, int status, const char *const *headers, struct MHD_Response *response) {
    int is_queued = 0;
    if (response != NULL) {
        for (; headers != NULL && headers[0] != NULL; headers += 2) mhd.add_response_header(response, headers[0], headers[1]);
        is_queued = mhd.queue_response(connection->handle, (unsigned)status, response) == MHD_YES;
        mhd.destroy_response(response);
    }
    if (!is_queued) ops_cut(connection);
    ops_resume(connection);
}

void ops_request_answer(ops_request *request, int status, const char *const *headers, const uint8_t *body, size_t length) {
    struct connection *connection = request->connection;
    if (connection == NULL) {
        ops_free_request(request);
        return;
    }
    request->is_released = 1;
    ops_begin_sending(connection);
    ops_send_response(connection, status, headers, mhd.create_response_from_buffer(length, (void *)body, MHD_RESPMEM_MUST_COPY));
}
