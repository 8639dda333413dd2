// GET requests through libcurl. Everything but ff_rest_wake belongs to one thread; limits are enforced in the
// callbacks, where bytes arrive decompressed and at most 16 KiB at a time.

#include "ff_rest.h"
#include "curl_calls.h"
#include "ff_json.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct ff_rest {
    CURLM *multi;
    ff_rest_options options;
    char *user_agent, *used_weight_header;
    char *proxy, *proxy_user, *proxy_password;  // NULL: none
    struct request *first;  // under way, doubly linked
};

struct request {
    ff_rest *rest;
    CURL *easy;
    struct request *previous, *next;
    uint64_t token;
    size_t body_bytes_max, header_bytes, length, capacity;
    char *body;
    int64_t retry_after_s, used_weight, date_s;
    int is_plain, encodings;
    uint8_t failure;
    const char *reason;
    char error[CURL_ERROR_SIZE];
};

// MARK: Callbacks

static size_t fail(struct request *request, ff_rest_failure failure, const char *reason) {
    request->failure = (uint8_t)failure;
    request->reason = reason;
    return 0;  // fewer bytes than were offered: libcurl breaks off
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
    struct request *request = context;
    size_t added = size * count;
    if (added > request->body_bytes_max - request->length) return fail(request, FF_REST_TOO_LARGE, "the body is longer than its limit");
    if (request->length + added > request->capacity) {
        size_t capacity = request->capacity < 32768 ? 65536 : request->capacity * 2;
        while (capacity < request->length + added) capacity *= 2;
        if (capacity > request->body_bytes_max) capacity = request->body_bytes_max;
        char *body = realloc(request->body, capacity + FF_JSON_PADDING);
        if (body == NULL) return fail(request, FF_REST_TOO_LARGE, "out of memory");
        request->body = body;
        request->capacity = capacity;
    }
    memcpy(request->body + request->length, bytes, added);
    request->length += added;
    return added;
}

/// The value of a header line if its name is this one; white space around it is cut.
static int is_header(const char *line, size_t length, const char *name, char *value, size_t size) {
    size_t name_length = strlen(name);
    if (length <= name_length || line[name_length] != ':' || strncasecmp(line, name, name_length) != 0) return 0;
    const char *from = line + name_length + 1, *end = line + length;
    while (from < end && (*from == ' ' || *from == '\t')) from++;
    while (end > from && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t')) end--;
    size_t kept = (size_t)(end - from) < size - 1 ? (size_t)(end - from) : size - 1;
    memcpy(value, from, kept);
    value[kept] = 0;
    return 1;
}

/// A number of at most nine digits, else -1.
static int64_t whole_number(const char *text) {
    size_t length = strspn(text, "0123456789");
    return length > 0 && length <= 9 && text[length] == 0 ? atoll(text) : -1;
}

static size_t on_header(char *line, size_t size, size_t count, void *context) {
    struct request *request = context;
    size_t length = size * count;
    char value[64];
    request->header_bytes += length;
    if (request->header_bytes > request->rest->options.header_bytes_max) return fail(request, FF_REST_TOO_LARGE, "the headers are longer than their limit");
    if (length > 5 && memcmp(line, "HTTP/", 5) == 0) {
        // A new answer (after 100 Continue and the like): what the one before said counts for nothing.
        request->retry_after_s = request->used_weight = request->date_s = -1;
    } else if (is_header(line, length, "retry-after", value, sizeof value)) {
        request->retry_after_s = whole_number(value);
    } else if (is_header(line, length, request->rest->used_weight_header, value, sizeof value)) {
        request->used_weight = whole_number(value);
    } else if (is_header(line, length, "date", value, sizeof value)) {
        request->date_s = (int64_t)curl.getdate(value, NULL);
    } else if (is_header(line, length, "content-encoding", value, sizeof value) ||
               is_header(line, length, "transfer-encoding", value, sizeof value)) {
        // One layer of compression can be cut off as it unfolds; layers inside layers could keep the thread busy
        // without a byte of output.
        if (strcasecmp(value, "gzip") == 0 || strcasecmp(value, "x-gzip") == 0) request->encodings++;
        else if (strcasecmp(value, "chunked") != 0 && strcasecmp(value, "identity") != 0) return fail(request, FF_REST_REFUSED, "an encoding that was not asked for");
        if (request->encodings > 1) return fail(request, FF_REST_REFUSED, "nested encodings");
    }
    return length;
}

/// libcurl's own counters: of the compressed bytes, in case they unfold to nothing.
static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now) {
    (void)total, (void)up_total, (void)up_now;
    struct request *request = context;
    if (now <= 0 || (size_t)now <= request->body_bytes_max) return 0;
    fail(request, FF_REST_TOO_LARGE, "more bytes than the body may have");
    return 1;
}

static int is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET) return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

/// The last word on plain text: the address that is really connected to, not the name.
static curl_socket_t on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    struct request *request = context;
    (void)purpose;
    // With a proxy it is the proxy's address.
    if (request->is_plain && request->rest->proxy == NULL && !request->rest->options.allows_plain_remote && !is_loopback(&address->addr)) {
        fail(request, FF_REST_REFUSED, "http only to this machine");
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static CURLcode on_tls(CURL *easy, void *ssl_context, void *context) {
    (void)easy;
    const struct request *request = context;
    if (request->rest->options.tls == NULL) return CURLE_SSL_CERTPROBLEM;
    return ff_tls_trust_like(ssl_context, request->rest->options.tls) == 0 ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

// MARK: The client

static pthread_once_t once = PTHREAD_ONCE_INIT;

ff_rest *ff_rest_create(const ff_rest_options *options, char *error, size_t size) {
    pthread_once(&once, load_curl);
    ff_rest *rest = calloc(1, sizeof *rest);
    if (rest == NULL) abort();
    rest->options = *options;
    rest->user_agent = strdup(options->user_agent);
    rest->used_weight_header = strdup(options->used_weight_header);
    rest->multi = loading_error[0] == 0 ? curl.multi_init() : NULL;
    if (rest->multi == NULL || rest->user_agent == NULL || rest->used_weight_header == NULL) {
        snprintf(error, size, "%s", loading_error[0] != 0 ? loading_error : "libcurl cannot be started");
        ff_rest_free(rest);
        return NULL;
    }
    curl.multi_setopt(rest->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)options->connections_max);
    curl.multi_setopt(rest->multi, CURLMOPT_MAXCONNECTS, (long)options->connections_max);
    return rest;
}

static char *copy(const char *text) {
    char *made = text != NULL ? strdup(text) : NULL;
    if (text != NULL && made == NULL) abort();
    return made;
}

void ff_rest_use_proxy(ff_rest *rest, const char *proxy, const char *user, const char *password) {
    rest->proxy = copy(proxy);
    rest->proxy_user = copy(user);
    rest->proxy_password = copy(password);
}

static void forget(struct request *request) {
    ff_rest *rest = request->rest;
    if (request->previous != NULL) request->previous->next = request->next;
    else rest->first = request->next;
    if (request->next != NULL) request->next->previous = request->previous;
    curl.multi_remove_handle(rest->multi, request->easy);
    curl.easy_cleanup(request->easy);
    free(request->body);
    free(request);
}

void ff_rest_free(ff_rest *rest) {
    if (rest == NULL) return;
    while (rest->first != NULL) forget(rest->first);
    if (rest->multi != NULL) curl.multi_cleanup(rest->multi);
    free(rest->user_agent);
    free(rest->used_weight_header);
    free(rest->proxy);
    free(rest->proxy_user);
    free(rest->proxy_password);
    free(rest);
}

/// By CONNECT, plain http too, as the streams go. Without the last word libcurl would ask the environment for exceptions.
static CURLcode configure_proxy(CURL *easy, const ff_rest *rest) {
    CURLcode code = curl.easy_setopt(easy, CURLOPT_PROXY, rest->proxy != NULL ? rest->proxy : "");
    if (rest->proxy == NULL || code != CURLE_OK) return code;
#define SET(option, value) if (code == CURLE_OK) code = curl.easy_setopt(easy, option, value)
    SET(CURLOPT_HTTPPROXYTUNNEL, 1L);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
    SET(CURLOPT_SOCKS5_AUTH, (long)CURLAUTH_BASIC);
    SET(CURLOPT_PROXYUSERNAME, rest->proxy_user);
    SET(CURLOPT_PROXYPASSWORD, rest->proxy_password);
    SET(CURLOPT_NOPROXY, "");
#undef SET
    return code;
}

static CURLcode configure(struct request *request, const char *url, long timeout_ms) {
    CURL *easy = request->easy;
    const ff_rest_options *options = &request->rest->options;
    CURLcode code = CURLE_OK;
#define SET(option, value) if (code == CURLE_OK) code = curl.easy_setopt(easy, option, value)
    SET(CURLOPT_URL, url);
    SET(CURLOPT_PRIVATE, request);
    SET(CURLOPT_ERRORBUFFER, request->error);
    SET(CURLOPT_USERAGENT, request->rest->user_agent);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L);  // a name being looked up does not hold up the end
    SET(CURLOPT_PROTOCOLS_STR, request->rest->options.tls != NULL ? "http,https" : "http");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    if (code == CURLE_OK) code = configure_proxy(easy, request->rest);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(CURLOPT_ACCEPT_ENCODING, "gzip");
    SET(CURLOPT_CONNECTTIMEOUT_MS, options->connect_timeout_ms);
    SET(CURLOPT_TIMEOUT_MS, timeout_ms);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, request);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, request);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, request);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_socket);
    SET(CURLOPT_OPENSOCKETDATA, request);
    if (options->tls == NULL) return code;
    // The chain is judged by our own context's store and rules (on_tls); libcurl checks the host name.
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_CAINFO, NULL);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_SSL_CTX_FUNCTION, on_tls);
    SET(CURLOPT_SSL_CTX_DATA, request);
#undef SET
    return code;
}

int ff_rest_get(ff_rest *rest, const char *url, uint64_t token, size_t body_bytes_max, long timeout_ms) {
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL) abort();
    request->rest = rest;
    request->token = token;
    request->body_bytes_max = body_bytes_max;
    request->retry_after_s = request->used_weight = request->date_s = -1;
    request->is_plain = strncmp(url, "https:", 6) != 0;
    request->easy = curl.easy_init();
    if (request->easy != NULL && configure(request, url, timeout_ms) == CURLE_OK && curl.multi_add_handle(rest->multi, request->easy) == CURLM_OK) {
        request->next = rest->first;
        if (rest->first != NULL) rest->first->previous = request;
        rest->first = request;
        return 0;
    }
    if (request->easy != NULL) curl.easy_cleanup(request->easy);
    free(request);
    return -1;
}

void ff_rest_turn(ff_rest *rest, int timeout_ms) {
    int running = 0, before = 0;
    for (struct request *r = rest->first; r != NULL; r = r->next) before++;
    curl.multi_perform(rest->multi, &running);
    if (running < before) return;
    curl.multi_poll(rest->multi, NULL, 0, timeout_ms, NULL);
    curl.multi_perform(rest->multi, &running);
}

void ff_rest_wake(ff_rest *rest) { curl.multi_wakeup(rest->multi); }

/// As RFC 1928 has it; 0: no refusal.
static uint8_t socks_code(long reason) {
    switch (reason) {
    case CURLPX_REPLY_GENERAL_SERVER_FAILURE: return 1;
    case CURLPX_REPLY_NOT_ALLOWED: return 2;
    case CURLPX_REPLY_NETWORK_UNREACHABLE: return 3;
    case CURLPX_REPLY_HOST_UNREACHABLE: return 4;
    case CURLPX_REPLY_CONNECTION_REFUSED: return 5;
    case CURLPX_REPLY_TTL_EXPIRED: return 6;
    case CURLPX_REPLY_COMMAND_NOT_SUPPORTED: return 7;
    case CURLPX_REPLY_ADDRESS_TYPE_NOT_SUPPORTED: return 8;
    case CURLPX_NO_AUTH:
    case CURLPX_USER_REJECTED: return FF_SOCKS_CREDENTIALS;
    default: return 0;
    }
}

static void settle(struct request *request, CURLcode code, ff_rest_response *out) {
    long status = 0, connect_status = 0, proxy_error = 0;
    curl.easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    curl.easy_getinfo(request->easy, CURLINFO_HTTP_CONNECTCODE, &connect_status);
    curl.easy_getinfo(request->easy, CURLINFO_PROXY_ERROR, &proxy_error);
    memset(out, 0, sizeof *out);
    out->token = request->token;
    out->status = (uint16_t)(status < 0 || status > 999 ? 0 : status);
    out->connect_status = (uint16_t)(connect_status < 0 || connect_status > 999 ? 0 : connect_status);
    out->socks_code = socks_code(proxy_error);
    out->retry_after_s = request->retry_after_s;
    out->used_weight = request->used_weight;
    out->date_s = request->date_s;
    out->failure = request->failure;
    if (code != CURLE_OK && request->failure == FF_REST_OK) {
        out->failure = code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ? FF_REST_REFUSED : FF_REST_TRANSPORT;
    }
    if (out->failure != FF_REST_OK) {
        const char *reason = request->reason ? request->reason : request->error[0] ? request->error : curl.easy_strerror(code);
        snprintf(out->reason, sizeof out->reason, "%.*s", (int)sizeof out->reason - 1, reason);
        return;
    }
    if (request->body == NULL && (request->body = malloc(FF_JSON_PADDING)) == NULL) abort();
    memset(request->body + request->length, 0, FF_JSON_PADDING);
    out->body = request->body;
    out->length = request->length;
    request->body = NULL;
}

int ff_rest_take(ff_rest *rest, ff_rest_response *out) {
    int left = 0;
    for (CURLMsg *message; (message = curl.multi_info_read(rest->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE) continue;
        CURLcode code = message->data.result;
        char *found = NULL;
        curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &found);
        struct request *request = (struct request *)(void *)found;
        settle(request, code, out);
        forget(request);
        return 1;
    }
    return 0;
}

void ff_rest_response_free(ff_rest_response *response) {
    free(response->body);
    response->body = NULL;
}
