// The page's files (Sources/COps/page), which stand in the program itself.
#ifndef OPS_PAGE_H
#define OPS_PAGE_H

#include <stddef.h>
#include <stdint.h>

/// NULL: there is no file of this name. `*type`: its Content-Type.
const uint8_t *ops_page_file(const char *name, size_t *length, const char **type);

#endif
