// Inside COps: libmicrohttpd, loaded when the first server is started. Linked in, it would bring GnuTLS (and 2.6 MB of
// touched memory) into every process, also those that serve nothing.

#ifndef FF_MICROHTTPD_CALLS_H
#define FF_MICROHTTPD_CALLS_H

#include <dlfcn.h>
#include <microhttpd.h>

#define FF_MHD_CALLS(each)                                                                                                   \
    each(add_response_header) each(create_response_from_buffer) each(create_response_from_callback) each(destroy_response)   \
    each(get_connection_info) each(get_connection_values_n) each(get_daemon_info) each(get_timeout) each(queue_response)     \
    each(resume_connection) each(run) each(set_connection_option) each(start_daemon) each(stop_daemon)                       \
    each(suspend_connection)

/// libmicrohttpd's functions by their names without `MHD_`. A server that has started has all of them.
extern struct microhttpd {
#define FF_DECLARE(name) __typeof__(&MHD_##name) name;
    FF_MHD_CALLS(FF_DECLARE)
#undef FF_DECLARE
} mhd;

#endif
