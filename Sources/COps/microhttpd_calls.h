// Inside ops_http.c: libmicrohttpd, loaded when the first server is started. Linked in, it would bring GnuTLS (and 2.6 MB of
// touched memory) into every process, also those that serve nothing.

#ifndef FF_MICROHTTPD_CALLS_H
#define FF_MICROHTTPD_CALLS_H

#include <dlfcn.h>
#include <microhttpd.h>
#include <stdio.h>

#define FF_MHD_CALLS(each)                                                                                                   \
    each(add_response_header) each(create_response_from_buffer) each(create_response_from_callback) each(destroy_response)   \
    each(get_connection_info) each(get_connection_values_n) each(get_daemon_info) each(get_timeout) each(queue_response)     \
    each(resume_connection) each(run) each(set_connection_option) each(start_daemon) each(stop_daemon)                       \
    each(suspend_connection)

/// libmicrohttpd's functions by their names without `MHD_`. All are there, or `loading_error` is not empty.
static struct {
#define FF_DECLARE(name) __typeof__(&MHD_##name) name;
    FF_MHD_CALLS(FF_DECLARE)
#undef FF_DECLARE
} mhd;
static char loading_error[160];

static void load_mhd(void) {
    void *library = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
#define FF_FIND(name)                                                                    \
    if (library != NULL && (mhd.name = (__typeof__(mhd.name))dlsym(library, "MHD_" #name)) == NULL) library = NULL;
    FF_MHD_CALLS(FF_FIND)
#undef FF_FIND
    if (library == NULL) {
        const char *reason = dlerror();
        snprintf(loading_error, sizeof loading_error, "libmicrohttpd cannot be loaded: %s", reason != NULL ? reason : "no reason given");
    }
}

#endif
