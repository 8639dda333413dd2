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
    uint8_t length;   ///< text bytes kept, the first FF_REPLY_TEXT_MAX of the string (of a script's error, of the reason in it)
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

#endif
