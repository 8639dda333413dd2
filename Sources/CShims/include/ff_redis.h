// hiredis's reply reader, without its allocations: replies become small fixed records.
#ifndef FF_REDIS_H
#define FF_REDIS_H

#include <stddef.h>
#include <stdint.h>

enum { FF_REPLY_TEXT_MAX = 111 };

typedef enum ff_reply_kind {
    FF_REPLY_STRING = 1,
    FF_REPLY_ARRAY = 2,
    FF_REPLY_INTEGER = 3,
    FF_REPLY_NIL = 4,
    FF_REPLY_STATUS = 5,
    FF_REPLY_ERROR = 6,
} ff_reply_kind;

/// One top-level reply. Of an array only its length is kept.
typedef struct ff_reply {
    int64_t integer;  ///< an integer's value, an array's length
    uint8_t kind;     ///< ff_reply_kind
    uint8_t length;   ///< text bytes kept, the first FF_REPLY_TEXT_MAX of the string
    char text[FF_REPLY_TEXT_MAX + 1];
} ff_reply;

typedef struct ff_reply_reader ff_reply_reader;

ff_reply_reader *ff_reply_reader_create(void);
void ff_reply_reader_free(ff_reply_reader *reader);
/// Takes bytes as they came from the socket. Returns 0; -1 when more than `unparsed_max` bytes would wait
/// for the rest of one reply, or memory is out.
int ff_reply_reader_feed(ff_reply_reader *reader, const void *bytes, size_t length, size_t unparsed_max);
/// Fills up to `capacity` complete replies. Returns how many; 0 when more bytes are needed; -1 on a protocol
/// error, after the replies before it (then the connection is of no more use).
int ff_reply_reader_drain(ff_reply_reader *reader, ff_reply *replies, int capacity);
/// Why the last call failed.
const char *ff_reply_reader_error(const ff_reply_reader *reader);

// Whole reply trees, for the client side and tests.

/// The most elements of one array; more is a protocol error, before anything is allocated for them.
enum { FF_TREE_ELEMENTS_MAX = 1 << 20 };

typedef struct ff_tree_reader ff_tree_reader;
typedef struct ff_tree ff_tree;

ff_tree_reader *ff_tree_reader_create(void);
void ff_tree_reader_free(ff_tree_reader *reader);
/// Returns 0; -1 when more than `unparsed_max` bytes would wait for the rest of one string, or memory is out.
int ff_tree_reader_feed(ff_tree_reader *reader, const void *bytes, size_t length, size_t unparsed_max);
/// The next complete reply (owned by the caller), NULL in `*out` when more bytes are needed; -1 on error.
int ff_tree_reader_next(ff_tree_reader *reader, ff_tree **out);
void ff_tree_free(ff_tree *tree);
int ff_tree_kind(const ff_tree *tree);
int64_t ff_tree_integer(const ff_tree *tree);
const char *ff_tree_text(const ff_tree *tree, size_t *length);
size_t ff_tree_count(const ff_tree *tree);
const ff_tree *ff_tree_element(const ff_tree *tree, size_t index);

#endif
