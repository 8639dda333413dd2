// Inside COps: what its three files share. ops_http.c keeps connections and their deadlines, ops_request.c takes requests and answers
// them, ops_stream.c feeds answers that have no end. Everything belongs to one thread.
#ifndef FF_OPS_HTTP_INNER_H
#define FF_OPS_HTTP_INNER_H

#include "ops_http.h"
#include "microhttpd_calls.h"

#include <netinet/in.h>

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

enum { OWN_STATUSES = 16 };

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

// MARK: ops_http.c

struct timer ops_after(const ops_http *http, int64_t after_ms);
/// The library meets it as an end that its peer has made.
void ops_cut(struct connection *connection);
/// Of a connection that is suspended: the library goes on with it in the next turn.
void ops_resume(struct connection *connection);
/// It takes what is sent from now on.
void ops_begin_sending(struct connection *connection);
/// An answer that nobody has asked of us.
void ops_count_own(ops_http *http, int status);

// MARK: ops_request.c

/// The library's calls: with a request line, with its head and each piece of its body, and when it has been answered.
void *ops_on_line(void *context, const char *uri, struct MHD_Connection *handle);
enum MHD_Result ops_on_request(void *context, struct MHD_Connection *handle, const char *url, const char *method, const char *version,
                               const char *bytes, size_t *size, void **request_context);
void ops_on_completed(void *context, struct MHD_Connection *handle, void **request_context, enum MHD_RequestTerminationCode code);
/// Its connection has no more to do with it: whoever holds it keeps it.
void ops_part(struct connection *connection);
void ops_free_request(ops_request *request);
/// Hands the response over, or cuts the connection if there is none.
void ops_send_response(struct connection *connection, int status, const char *const *headers, struct MHD_Response *response);

// MARK: ops_stream.c

/// What was put is still sent.
void ops_end_stream(ops_request *request);

#endif
