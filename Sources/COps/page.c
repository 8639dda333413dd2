// The page's files as bytes of the program.

#include "ops_page.h"

#include <string.h>

#pragma clang diagnostic ignored "-Wc23-extensions"

static const uint8_t index_html[] = {
#embed "page/index.html"
};
static const uint8_t app_css[] = {
#embed "page/app.css"
};
static const uint8_t app_js[] = {
#embed "page/app.js"
};
static const uint8_t dom_js[] = {
#embed "page/dom.js"
};
static const uint8_t views_js[] = {
#embed "page/views.js"
};
static const uint8_t series_js[] = {
#embed "page/series.js"
};
static const uint8_t chart_js[] = {
#embed "page/chart.js"
};
static const uint8_t redis_js[] = {
#embed "page/redis.js"
};

static const uint8_t symbols_js[] = {
#embed "page/symbols.js"
};

#define HTML "text/html; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define SCRIPT "text/javascript; charset=utf-8"
#define FILE_OF(bytes, name, type) { name, type, bytes, sizeof bytes }

static const struct {
    const char *name, *type;
    const uint8_t *bytes;
    size_t length;
} files[] = {
    FILE_OF(index_html, "index.html", HTML),
    FILE_OF(app_css, "app.css", CSS),
    FILE_OF(app_js, "app.js", SCRIPT),
    FILE_OF(dom_js, "dom.js", SCRIPT),
    FILE_OF(views_js, "views.js", SCRIPT),
    FILE_OF(series_js, "series.js", SCRIPT),
    FILE_OF(chart_js, "chart.js", SCRIPT),
    FILE_OF(redis_js, "redis.js", SCRIPT),
    FILE_OF(symbols_js, "symbols.js", SCRIPT),
};

const uint8_t *ops_page_file(const char *name, size_t *length, const char **type) {
    for (size_t index = 0; index < sizeof files / sizeof files[0]; index++) {
        if (strcmp(files[index].name, name) != 0) continue;
        *length = files[index].length;
        *type = files[index].type;
        return files[index].bytes;
    }
    return NULL;
}
