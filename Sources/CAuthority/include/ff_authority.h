// A throw-away certificate authority for the local exchange and the tests.
#ifndef FF_AUTHORITY_H
#define FF_AUTHORITY_H

#include <stddef.h>

/// Makes a private authority and a server certificate for localhost, 127.0.0.1 and ::1 (P-256, one day),
/// and writes `ca.pem`, `cert.pem` and `key.pem` (mode 0600) into `directory`. 0, or -1 with `error` set.
int ff_authority_make(const char *directory, char *error, size_t error_size);

#endif
