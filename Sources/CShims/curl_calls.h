// Inside rest.c: libcurl, loaded when the first REST client is made. Linked in, it would bring two dozen libraries (and
// their 4 MB of touched memory) into every process, also those that only follow streams.

#ifndef FF_CURL_CALLS_H
#define FF_CURL_CALLS_H

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>

#define FF_CURL_CALLS(each)                                                                                                  \
    each(easy_cleanup) each(easy_getinfo) each(easy_init) each(easy_setopt) each(easy_strerror) each(getdate)                \
    each(global_init) each(multi_add_handle) each(multi_cleanup) each(multi_info_read) each(multi_init) each(multi_perform)  \
    each(multi_poll) each(multi_remove_handle) each(multi_setopt) each(multi_wakeup)

/// libcurl's functions by their names without `curl_`. All are there, or `loading_error` is not empty.
static struct {
#define FF_DECLARE(name) __typeof__(&curl_##name) name;
    FF_CURL_CALLS(FF_DECLARE)
#undef FF_DECLARE
} curl;
static char loading_error[160];

static void load_curl(void) {
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
#define FF_FIND(name)                                                                    \
    if (library != NULL && (curl.name = (__typeof__(curl.name))dlsym(library, "curl_" #name)) == NULL) library = NULL;
    FF_CURL_CALLS(FF_FIND)
#undef FF_FIND
    if (library == NULL) {
        const char *reason = dlerror();
        snprintf(loading_error, sizeof loading_error, "libcurl cannot be loaded: %s", reason != NULL ? reason : "no reason given");
    } else if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        snprintf(loading_error, sizeof loading_error, "libcurl cannot be started");
    }
}

#endif
