// A small HTTP/1.1 server: libmicrohttpd, loaded when it is wanted (as libcurl is, by rest.c). Fixed by design: no TLS, no
// threads of its own, no file is ever served. Everything belongs to one thread; nothing blocks. Limits and deadlines are
// enforced here, so that whoever answers sees only whole requests within their bounds.
#ifndef OPS_HTTP_H
#define OPS_HTTP_H

#include <stddef.h>
#include <stdint.h>

typedef struct ops_http ops_http;
/// One request, whole, from `ops_http_next` until it is answered; or a stream, until it is let go.
typedef struct ops_request ops_request;

typedef struct {
    const char *address;         ///< numeric, IPv4 or IPv6
    uint16_t port;               ///< 0: a free one
    size_t head_bytes_max;       ///< longer: 431
    size_t body_bytes_max;       ///< longer: 413
    int connections_max;         ///< at the bound the oldest one without a whole request is ended
    int64_t head_ms;             ///< by then a head is complete, and so long later its body
    int64_t idle_ms;             ///< a connection between two requests is ended after that
    int64_t send_ms;             ///< an answer is taken by then
    int64_t stream_stall_ms;     ///< a stream whose reader takes nothing for so long is ended
    int64_t stream_life_ms;      ///< the longest stream
} ops_http_options;

/// NULL: `error` has a sentence, `*code` the errno of bind or listen, or 0 for a library that is not there.
ops_http *ops_http_start(const ops_http_options *options, int *code, char *error, size_t size);
/// Cuts what is under way. A request that was handed out is still to be answered or released, then or later: that frees it.
void ops_http_stop(ops_http *http);

uint16_t ops_http_port(const ops_http *http);
/// For a poller: readable when there is something to do.
int ops_http_descriptor(const ops_http *http);
/// Does what can be done now. `now_ms` is monotonic.
void ops_http_turn(ops_http *http, int64_t now_ms);
/// So long nothing has to be done unless the descriptor is readable; -1: for ever. To be asked again after answers, puts and releases.
int64_t ops_http_timeout_ms(const ops_http *http, int64_t now_ms);

int ops_http_connections(const ops_http *http);
uint64_t ops_http_evicted(const ops_http *http);
/// Answers that were not asked of us: 431, 413, 400 and the like, by status; copies up to `count` pairs, returns how many.
int ops_http_own_answers(const ops_http *http, int *statuses, uint64_t *counts, int count);

// MARK: Requests

/// The next one that has come whole; NULL: none. What its functions return is valid until it is answered.
ops_request *ops_http_next(ops_http *http);
const char *ops_request_method(const ops_request *request);
/// As it was sent, without the query and not decoded.
const char *ops_request_path(const ops_request *request);
/// Decoded; NULL: not there. `*count`: how many of this name.
const char *ops_request_query(const ops_request *request, const char *name, int *count);
/// The first one of this name, whatever its case; NULL: not there. `*count`: how many.
const char *ops_request_header(const ops_request *request, const char *name, int *count);
const uint8_t *ops_request_body(const ops_request *request, size_t *length);
/// The peer's address and the one that it has reached, as numbers: `127.0.0.1`, `::1`.
const char *ops_request_peer(const ops_request *request);
const char *ops_request_local(const ops_request *request);

/// Once; frees it. `headers`: names and values in turns, NULL at the end. The body is copied. To HEAD its length alone is sent.
void ops_request_answer(ops_request *request, int status, const char *const *headers, const uint8_t *body, size_t length);

// MARK: Streams

/// Answers 200 with a body that has no end yet. The request lives on until `ops_stream_release`.
void ops_request_stream(ops_request *request, const char *const *headers);
/// 1: its reader has taken all that was put and wants more; 0: not yet; -1: it is gone.
int ops_stream_wants(const ops_request *request);
/// Only when it wants. Copied.
void ops_stream_put(ops_request *request, const uint8_t *bytes, size_t length);
/// Ends it if it is not gone, and lets go of it.
void ops_stream_release(ops_request *request);

#endif
