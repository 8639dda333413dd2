// OpenSSL behind a small interface: contexts, and non-blocking sessions on a socket.
#ifndef FF_TLS_H
#define FF_TLS_H

#include <stddef.h>

typedef struct ff_tls_context ff_tls_context;
typedef struct ff_tls ff_tls;

/// Negative results of handshake, read and write.
enum {
    FF_TLS_WANT_READ = -1,
    FF_TLS_WANT_WRITE = -2,
    FF_TLS_CLOSED = -3,  ///< the peer said close_notify
    FF_TLS_FAILED = -4,  ///< ff_tls_error says why
};

/// A client context: TLS 1.2 or newer, security level 2, no renegotiation, chain verified against `ca_file`
/// or, when that is NULL, the system's store. Revocation lists (CRL) in `ca_file` are heeded: with any there,
/// every certificate of a chain needs its issuer's current one. A client certificate is optional. NULL on
/// failure, with one sentence in `error`.
ff_tls_context *ff_tls_client_context(const char *ca_file, const char *certificate_file, const char *key_file,
                                      char *error, size_t error_size);
/// 0 when the system's store is not there or empty: no client context without a `ca_file` can trust anybody. Looks at the disk.
int ff_tls_has_system_store(void);
/// A server context with a certificate chain and its key. `client_ca_file`, if not NULL, makes a client
/// certificate mandatory.
ff_tls_context *ff_tls_server_context(const char *certificate_file, const char *key_file, const char *client_ca_file,
                                      char *error, size_t error_size);
void ff_tls_context_free(ff_tls_context *context);
/// Gives another library's client context (an SSL_CTX) the trust and the rules of ours: roots, revocation lists,
/// TLS 1.2 or newer, security level. 0, or -1.
int ff_tls_trust_like(void *ssl_context, const ff_tls_context *context);

/// A client session on a connected non-blocking socket. `host` is sent as SNI (unless it is an address) and
/// must match the certificate.
ff_tls *ff_tls_connect(ff_tls_context *context, int descriptor, const char *host);
/// A server session on an accepted non-blocking socket.
ff_tls *ff_tls_accept(ff_tls_context *context, int descriptor);
void ff_tls_free(ff_tls *tls);

/// Goes on with the handshake. 0 when done, else a negative code.
int ff_tls_handshake(ff_tls *tls);
/// Bytes read or written (> 0), else a negative code; a peer that has gone raises no signal. At most one TLS record is read per call.
long ff_tls_read(ff_tls *tls, void *bytes, size_t length);
long ff_tls_write(ff_tls *tls, const void *bytes, size_t length);
/// True when decrypted or buffered bytes wait inside the session, which the socket would not report.
int ff_tls_has_pending(const ff_tls *tls);
/// Sends close_notify, best effort.
void ff_tls_shutdown(ff_tls *tls);
/// Why the session failed, in one line.
const char *ff_tls_error(const ff_tls *tls);

/// The value of Sec-WebSocket-Accept for a key: base64(SHA-1(key + GUID)), 28 characters and NUL.
void ff_websocket_accept(const char *key, size_t length, char out[29]);
/// Base64 of `length` bytes, NUL-terminated; `out` holds 4 * ((length + 2) / 3) + 1.
void ff_base64(const void *bytes, size_t length, char *out);

#endif
