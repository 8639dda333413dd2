// A certificate authority for one day on one machine: the local exchange and the tests speak real TLS with
// real verification against it. Never for anything reachable from outside. Any thread.

#include "ff_authority.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    if (extension == NULL) return 0;
    int added = X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return added;
}

/// A certificate for `key`, signed by `issuer_key` (its own when `issuer` is NULL).
static X509 *make_certificate(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key) {
    X509 *certificate = X509_new();
    if (certificate == NULL) return NULL;
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate), (int64_t)time(NULL) * 2 + (issuer != NULL));
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, issuer ? X509_get_subject_name(issuer) : subject);
    X509 *signer = issuer ? issuer : certificate;
    int ok = add_extension(certificate, signer, NID_subject_key_identifier, "hash");
    if (issuer == NULL) {
        ok = ok && add_extension(certificate, signer, NID_basic_constraints, "critical,CA:TRUE") &&
             add_extension(certificate, signer, NID_key_usage, "critical,keyCertSign,cRLSign");
    } else {
        ok = ok && add_extension(certificate, signer, NID_basic_constraints, "critical,CA:FALSE") &&
             add_extension(certificate, signer, NID_key_usage, "critical,digitalSignature") &&
             add_extension(certificate, signer, NID_ext_key_usage, "serverAuth") &&
             add_extension(certificate, signer, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1");
    }
    if (ok && X509_sign(certificate, issuer_key, EVP_sha256()) > 0) return certificate;
    X509_free(certificate);
    return NULL;
}

/// Opens `directory/name` for its owner alone.
static FILE *open_private(const char *directory, const char *name) {
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path) return NULL;
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return descriptor < 0 ? NULL : fdopen(descriptor, "w");
}

static int write_certificate(const char *directory, const char *name, X509 *certificate) {
    FILE *file = open_private(directory, name);
    if (file == NULL) return 0;
    int ok = PEM_write_X509(file, certificate);
    return fclose(file) == 0 && ok;
}

static int write_key(const char *directory, const char *name, EVP_PKEY *key) {
    FILE *file = open_private(directory, name);
    if (file == NULL) return 0;
    int ok = PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    return fclose(file) == 0 && ok;
}

int ff_authority_make(const char *directory, char *error, size_t size) {
    EVP_PKEY *authority_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *authority = NULL, *certificate = NULL;
    if (authority_key != NULL && key != NULL) authority = make_certificate(authority_key, "FastFeed local authority", NULL, authority_key);
    if (authority != NULL) certificate = make_certificate(key, "localhost", authority, authority_key);
    int made = certificate != NULL;
    int written = made && write_certificate(directory, "ca.pem", authority) &&
                  write_certificate(directory, "cert.pem", certificate) && write_key(directory, "key.pem", key);
    if (!written) {
        snprintf(error, size, made ? "cannot write certificates into %s" : "cannot make a certificate for %s", directory);
        ERR_clear_error();
    }
    X509_free(certificate);
    X509_free(authority);
    EVP_PKEY_free(key);
    EVP_PKEY_free(authority_key);
    return written ? 0 : -1;
}
