// TLS contexts and sessions. A context is made by one thread and then shared, unchanged; a session belongs to one thread.
// Nothing waits: what the socket has no room or no bytes for is an answer. Bounds: OpenSSL's (a record of 16 KiB).

#define _GNU_SOURCE  // secure_getenv
#include "ff_tls.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct ff_tls_context {
    SSL_CTX *ssl;
};

struct ff_tls {
    SSL *ssl;
    char error[256];
};

/// The newest entry of OpenSSL's error queue as text, and the queue emptied.
static void last_error(const char *what, char *error, size_t size) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    // What OpenSSL calls it when the answer is not a TLS record.
    int is_plain = ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER;
    snprintf(error, size, "%s: %s%s", what, reason ? reason : code ? "unknown TLS error" : "unreadable",
             is_plain ? " (does the server speak TLS on this port?)" : "");
    ERR_clear_error();
}

static SSL_CTX *base_context(const SSL_METHOD *method) {
    SSL_CTX *ssl = SSL_CTX_new(method);
    if (ssl == NULL) return NULL;
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_security_level(ssl, 2);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // One read of the socket takes several records: fewer system calls under load. OpenSSL moves what is left of them to the
    // front at each record, so a larger buffer costs more than it saves.
    SSL_CTX_set_read_ahead(ssl, 1);
    SSL_CTX_set_default_read_buffer_len(ssl, 64 * 1024);
    return ssl;
}

static ff_tls_context *wrap(SSL_CTX *ssl) {
    ff_tls_context *context = malloc(sizeof *context);
    if (context == NULL) abort();
    context->ssl = ssl;
    return context;
}

/// A store that holds a revocation list has the whole chain checked for it, and refuses a certificate whose
/// issuer's list is missing or out of date; a store without any checks no revocation.
static void check_revocation_if_listed(SSL_CTX *ssl) {
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ssl));
    for (int index = 0; index < sk_X509_OBJECT_num(objects); index++) {
        if (X509_OBJECT_get_type(sk_X509_OBJECT_value(objects, index)) != X509_LU_CRL) continue;
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
        return;
    }
}

static int use_certificate(SSL_CTX *ssl, const char *certificate_file, const char *key_file, char *error, size_t size) {
    if (SSL_CTX_use_certificate_chain_file(ssl, certificate_file) != 1) {
        last_error(certificate_file, error, size);
        return -1;
    }
    if (SSL_CTX_use_PrivateKey_file(ssl, key_file, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ssl) != 1) {
        last_error(key_file, error, size);
        return -1;
    }
    return 0;
}

ff_tls_context *ff_tls_client_context(const char *ca_file, const char *certificate_file, const char *key_file,
                                      char *error, size_t size) {
    ERR_clear_error();
    SSL_CTX *ssl = base_context(TLS_client_method());
    if (ssl == NULL) {
        last_error("TLS context", error, size);
        return NULL;
    }
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    int loaded = ca_file != NULL ? SSL_CTX_load_verify_locations(ssl, ca_file, NULL) : SSL_CTX_set_default_verify_paths(ssl);
    if (loaded != 1) {
        last_error(ca_file != NULL ? ca_file : "system certificate store", error, size);
        SSL_CTX_free(ssl);
        return NULL;
    }
    check_revocation_if_listed(ssl);
    if (certificate_file != NULL && use_certificate(ssl, certificate_file, key_file ? key_file : certificate_file, error, size) != 0) {
        SSL_CTX_free(ssl);
        return NULL;
    }
    return wrap(ssl);
}

/// The name in the environment wins, as for OpenSSL itself.
static const char *store_place(const char *variable, const char *otherwise) {
    const char *named = secure_getenv(variable);
    return named != NULL ? named : otherwise;
}

int ff_tls_has_system_store(void) {
    if (access(store_place(X509_get_default_cert_file_env(), X509_get_default_cert_file()), R_OK) == 0) return 1;
    char directories[4096];
    snprintf(directories, sizeof directories, "%s", store_place(X509_get_default_cert_dir_env(), X509_get_default_cert_dir()));
    char *rest = directories;
    for (const char *name; (name = strsep(&rest, ":")) != NULL;) {
        DIR *directory = opendir(name);
        if (directory == NULL) continue;
        int found = 0;
        for (struct dirent *entry; !found && (entry = readdir(directory)) != NULL;) found = entry->d_name[0] != '.';
        closedir(directory);
        if (found) return 1;
    }
    return 0;
}

int ff_tls_trust_like(void *ssl_context, const ff_tls_context *context) {
    SSL_CTX *ssl = ssl_context;
    SSL_CTX_set1_cert_store(ssl, SSL_CTX_get_cert_store(context->ssl));
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_security_level(ssl, 2);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    int set = SSL_CTX_set1_param(ssl, SSL_CTX_get0_param(context->ssl)) == 1 && SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1;
    return set ? 0 : -1;
}

ff_tls_context *ff_tls_server_context(const char *certificate_file, const char *key_file, const char *client_ca_file,
                                      char *error, size_t size) {
    ERR_clear_error();
    SSL_CTX *ssl = base_context(TLS_server_method());
    if (ssl == NULL) {
        last_error("TLS context", error, size);
        return NULL;
    }
    if (use_certificate(ssl, certificate_file, key_file, error, size) != 0) {
        SSL_CTX_free(ssl);
        return NULL;
    }
    if (client_ca_file != NULL) {
        if (SSL_CTX_load_verify_locations(ssl, client_ca_file, NULL) != 1) {
            last_error(client_ca_file, error, size);
            SSL_CTX_free(ssl);
            return NULL;
        }
        check_revocation_if_listed(ssl);
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return wrap(ssl);
}

void ff_tls_context_free(ff_tls_context *context) {
    if (context == NULL) return;
    SSL_CTX_free(context->ssl);
    free(context);
}

/// As OpenSSL's own, which would raise SIGPIPE when the peer has gone: the end of a program that does not expect it.
static int write_quietly(BIO *bio, const char *bytes, int length) {
    int sent = (int)send((int)BIO_get_fd(bio, NULL), bytes, (size_t)length, MSG_NOSIGNAL);
    BIO_clear_retry_flags(bio);
    if (sent <= 0 && BIO_sock_should_retry(sent)) BIO_set_retry_write(bio);
    return sent;
}

static BIO_METHOD *quiet_socket;

static void make_quiet_socket(void) {
    const BIO_METHOD *socket = BIO_s_socket();
    quiet_socket = BIO_meth_new(BIO_TYPE_SOCKET, "socket without SIGPIPE");
    if (quiet_socket == NULL || !BIO_meth_set_write(quiet_socket, write_quietly) ||
        !BIO_meth_set_read(quiet_socket, BIO_meth_get_read(socket)) || !BIO_meth_set_ctrl(quiet_socket, BIO_meth_get_ctrl(socket)) ||
        !BIO_meth_set_create(quiet_socket, BIO_meth_get_create(socket)) ||
        !BIO_meth_set_destroy(quiet_socket, BIO_meth_get_destroy(socket))) abort();  // out of memory
}

static ff_tls *session(ff_tls_context *context, int descriptor) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_quiet_socket);
    ff_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL) abort();
    tls->ssl = SSL_new(context->ssl);
    BIO *socket = BIO_new(quiet_socket);
    if (tls->ssl == NULL || socket == NULL) abort();  // out of memory
    BIO_set_fd(socket, descriptor, BIO_NOCLOSE);
    SSL_set_bio(tls->ssl, socket, socket);
    return tls;
}

ff_tls *ff_tls_connect(ff_tls_context *context, int descriptor, const char *host) {
    ff_tls *tls = session(context, descriptor);
    unsigned char address[16];
    int is_address = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    int bound;
    if (is_address) {
        bound = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), host);
    } else {
        SSL_set_hostflags(tls->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        bound = SSL_set1_host(tls->ssl, host) == 1 && SSL_set_tlsext_host_name(tls->ssl, host) == 1;
    }
    if (!bound) abort();  // out of memory: never go on without the name check
    SSL_set_connect_state(tls->ssl);
    return tls;
}

ff_tls *ff_tls_accept(ff_tls_context *context, int descriptor) {
    ff_tls *tls = session(context, descriptor);
    SSL_set_accept_state(tls->ssl);
    return tls;
}

void ff_tls_free(ff_tls *tls) {
    if (tls == NULL) return;
    SSL_free(tls->ssl);
    free(tls);
}

/// Classifies a failed call; `result` is what it returned.
static int classify(ff_tls *tls, int result, const char *what) {
    int code = SSL_get_error(tls->ssl, result);
    switch (code) {
    case SSL_ERROR_WANT_READ: return FF_TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE: return FF_TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN: return FF_TLS_CLOSED;
    case SSL_ERROR_SYSCALL:
        snprintf(tls->error, sizeof tls->error, "%s: %s", what, errno ? strerror(errno) : "connection closed by peer");
        ERR_clear_error();
        return FF_TLS_FAILED;
    default: {
        long verified = SSL_get_verify_result(tls->ssl);
        if (verified != X509_V_OK && !SSL_is_init_finished(tls->ssl)) {
            snprintf(tls->error, sizeof tls->error, "certificate refused: %s", X509_verify_cert_error_string(verified));
            ERR_clear_error();
        } else {
            last_error(what, tls->error, sizeof tls->error);
        }
        return FF_TLS_FAILED;
    }
    }
}

int ff_tls_handshake(ff_tls *tls) {
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(tls->ssl);
    return result == 1 ? 0 : classify(tls, result, "TLS handshake");
}

long ff_tls_read(ff_tls *tls, void *bytes, size_t length) {
    ERR_clear_error();
    errno = 0;
    int result = SSL_read(tls->ssl, bytes, length > INT32_MAX ? INT32_MAX : (int)length);
    return result > 0 ? result : classify(tls, result, "TLS read");
}

long ff_tls_write(ff_tls *tls, const void *bytes, size_t length) {
    ERR_clear_error();
    errno = 0;
    int result = SSL_write(tls->ssl, bytes, length > INT32_MAX ? INT32_MAX : (int)length);
    return result > 0 ? result : classify(tls, result, "TLS write");
}

int ff_tls_has_pending(const ff_tls *tls) { return SSL_has_pending(tls->ssl); }

void ff_tls_shutdown(ff_tls *tls) {
    ERR_clear_error();
    SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

const char *ff_tls_error(const ff_tls *tls) { return tls->error; }

void ff_websocket_accept(const char *key, size_t length, char out[29]) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char joined[128 + sizeof guid], digest[SHA_DIGEST_LENGTH];
    if (length > 128) length = 128;
    memcpy(joined, key, length);
    memcpy(joined + length, guid, sizeof guid - 1);
    SHA1(joined, length + sizeof guid - 1, digest);
    EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
}

void ff_base64(const void *bytes, size_t length, char *out) {
    EVP_EncodeBlock((unsigned char *)out, bytes, (int)length);
}
