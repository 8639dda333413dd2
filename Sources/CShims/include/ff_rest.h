// GET requests through libcurl: several at once, driven by one thread. What an answer may cost is bounded while
// it comes in, after decompression too.
//
// Fixed by design: no redirect is followed, no cookie, password file, HSTS or Alt-Svc entry is used, and no proxy but the one
// that is given, whatever the environment says.
#ifndef FF_REST_H
#define FF_REST_H

#include "ff_tls.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ff_rest ff_rest;

typedef struct ff_rest_options {
    const ff_tls_context *tls;     ///< whom to trust over https, borrowed for the client's life; NULL: no https
    const char *user_agent;
    const char *used_weight_header; ///< the answers' header that tells the weight used, in any case of letters
    long connect_timeout_ms;       ///< TCP and TLS
    size_t header_bytes_max;       ///< all header lines of one answer together
    int connections_max;
    int allows_plain_remote;       ///< http to other machines; otherwise only to loopback addresses
} ff_rest_options;

/// A SOCKS proxy takes no one without a user and a password, or not with these.
#define FF_SOCKS_CREDENTIALS 255

typedef enum ff_rest_failure {
    FF_REST_OK = 0,        ///< a whole answer, whatever its status
    FF_REST_TRANSPORT = 1, ///< not reached, cut off, too slow, not HTTP: may work next time
    FF_REST_TOO_LARGE = 2, ///< body or headers beyond their limits
    FF_REST_REFUSED = 3    ///< against the rules above: scheme, plain text to a remote host, nested encodings
} ff_rest_failure;

typedef struct ff_rest_response {
    uint64_t token;        ///< as given to ff_rest_get
    uint8_t failure;       ///< ff_rest_failure
    uint16_t status;
    int64_t retry_after_s; ///< whole seconds; -1 when absent or not a number
    int64_t used_weight;   ///< that header; -1 likewise
    int64_t date_s;        ///< Date as Unix seconds; -1 likewise
    char *body;            ///< decompressed; FF_JSON_PADDING zero bytes stand behind it; never NULL when OK
    size_t length;
    char reason[128];      ///< why it failed
    uint16_t connect_status; ///< of an HTTP proxy's answer; 0: none
    uint8_t socks_code;    ///< why a SOCKS proxy refused (RFC 1928, 6), or FF_SOCKS_CREDENTIALS; 0: it did not
} ff_rest_response;

/// NULL on failure, with one sentence in `error`.
ff_rest *ff_rest_create(const ff_rest_options *options, char *error, size_t error_size);
/// Before the first request: all of them go through this proxy (http://, socks5:// or socks5h://, host and port). The strings are copied.
/// Plain http is then the caller's to refuse: where a name leads to is not known here.
void ff_rest_use_proxy(ff_rest *rest, const char *proxy, const char *user, const char *password);
/// Breaks off what is under way.
void ff_rest_free(ff_rest *rest);

/// Starts a request. `body_bytes_max` counts decompressed bytes; the time-out runs to the last byte. 0, or -1 when
/// libcurl cannot start it.
int ff_rest_get(ff_rest *rest, const char *url, uint64_t token, size_t body_bytes_max, long timeout_ms);
/// Sends and receives; then, when nothing has finished, waits for sockets, for ff_rest_wake or for the time-out.
void ff_rest_turn(ff_rest *rest, int timeout_ms);
/// From any thread: ends the wait of the present or the next ff_rest_turn.
void ff_rest_wake(ff_rest *rest);
/// The next finished request; 0 when there is none. The body is the caller's: ff_rest_response_free.
int ff_rest_take(ff_rest *rest, ff_rest_response *out);
void ff_rest_response_free(ff_rest_response *response);

#endif
